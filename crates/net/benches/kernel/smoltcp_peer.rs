//! smoltcp on a TUN device, as its own benchmark uses it: one sender and one receiver with large buffers, default features; and an echo.

use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, Medium, TunTapInterface, wait};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use std::os::fd::AsRawFd;

const BUFFER: usize = 1 << 20;

pub fn device() -> std::io::Result<TunTapInterface> {
    TunTapInterface::new("bench0", Medium::Ip)
}

pub fn serve(mut device: TunTapInterface, over: impl Fn() -> bool) {
    let descriptor = device.as_raw_fd();
    let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut device, Instant::now());
    interface.update_ip_addrs(|addresses| {
        addresses.push(IpCidr::new(IpAddress::v4(10, 7, 0, 2), 24)).expect("room for an address");
    });
    let socket = || {
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        tcp::Socket::new(buffer(), buffer())
    };
    let mut sockets = SocketSet::new(vec![]);
    let [sending, receiving, echoing] = [(); 3].map(|()| sockets.add(socket()));
    let _ = device.capabilities();
    let block = vec![0; super::BLOCK];
    while !over() {
        interface.poll(Instant::now(), &mut device, &mut sockets);
        let socket = sockets.get_mut::<tcp::Socket>(sending);
        if !socket.is_open() {
            socket.listen(super::SEND).expect("a port");
        }
        while socket.can_send() {
            // A program has its data elsewhere, as ours has: to leave in the buffer what is there would spare smoltcp the copy.
            let bytes = socket.send_slice(&block).expect("room");
            debug_assert!(bytes > 0, "can_send() says that there is room");
        }
        let socket = sockets.get_mut::<tcp::Socket>(receiving);
        if !socket.is_open() {
            socket.listen(super::RECEIVE).expect("a port");
        }
        while socket.can_recv() {
            socket.recv(|data| (data.len(), ())).expect("data");
        }
        if socket.may_send() && !socket.may_recv() {
            socket.close();
        }
        let socket = sockets.get_mut::<tcp::Socket>(echoing);
        if !socket.is_open() {
            socket.set_nagle_enabled(false);
            socket.listen(super::ECHO).expect("a port");
        }
        let mut byte = [0];
        while socket.can_recv() && socket.can_send() && socket.recv_slice(&mut byte) == Ok(1) {
            socket.send_slice(&byte).expect("room");
        }
        let delay = interface.poll_delay(Instant::now(), &sockets).unwrap_or(Duration::from_millis(20));
        wait(descriptor, Some(delay.min(Duration::from_millis(20)))).expect("to wait");
    }
}
