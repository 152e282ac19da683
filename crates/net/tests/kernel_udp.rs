//! Do datagrams and QUIC of ours get on with the real kernel? In a network namespace with a TUN device; needs root, and says so where
//! it is not.

mod kernel {
    #![allow(dead_code)]
    pub mod stage;
}

use kernel::stage::Stage;
use narrows_namespaces::permitted;
use narrows_net::UdpSocket;
use std::io::ErrorKind;
use std::net::UdpSocket as KernelSocket;
use std::time::Duration;

/// Small, exactly a packet of 1500 bytes with IPv4, and several pieces.
const SIZES: [usize; 6] = [0, 1, 1_200, 1_472, 4_000, 20_000];

fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at as u8).wrapping_mul(17)).collect()
}

#[test]
fn datagrams_of_every_size_go_to_the_kernel_and_come_back() {
    if !permitted() {
        return;
    }
    for ipv6 in [false, true] {
        let stage = Stage::new(ipv6, None);
        let to = stage.kernel(7);
        let kernel = stage.in_namespace(move || {
            let socket = KernelSocket::bind(to).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut buffer = vec![0; 65_536];
            for _ in SIZES {
                let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
                socket.send_to(&buffer[..bytes], from).unwrap();
            }
        });
        stage.run(|host| async move {
            let socket = host.udp_bind(0).unwrap();
            socket.connect(to).await.unwrap();
            // Until the kernel's socket is there, its port refuses.
            let mut buffer = vec![0; 65_536];
            for size in SIZES {
                let sent = payload(size);
                loop {
                    match socket.send(&sent).await {
                        Ok(bytes) => assert_eq!(bytes, size),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                            continue;
                        }
                    }
                    match socket.recv(&mut buffer).await {
                        Ok(bytes) => {
                            assert!(buffer[..bytes] == sent, "{size} bytes came back as others");
                            break;
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                }
            }
        });
        kernel.join().unwrap();
    }
}

#[test]
fn each_is_refused_by_a_closed_port_of_the_other() {
    if !permitted() {
        return;
    }
    for ipv6 in [false, true] {
        let stage = Stage::new(ipv6, None);
        let (to, ours) = (stage.kernel(9), stage.ours(9));
        let (ended, wait) = tokio::sync::oneshot::channel();
        let kernel = stage.in_namespace(move || {
            let socket = KernelSocket::bind((to.ip(), 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            socket.connect(ours).unwrap();
            socket.send(b"x").unwrap();
            let refused = socket.recv(&mut [0]).unwrap_err();
            ended.send(()).unwrap();
            refused.kind()
        });
        stage.run(|host| async move {
            let socket = UdpSocket::bind(&host, (host.ip(), 0).into()).unwrap();
            socket.connect(to).await.unwrap();
            socket.send(b"x").await.unwrap();
            assert_eq!(socket.recv(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
            wait.await.unwrap();
        });
        assert_eq!(kernel.join().unwrap(), ErrorKind::ConnectionRefused);
    }
}
