//! What does the peer do? Accepts connections on two ports: one speaks HTTP, one says nothing.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The port that speaks HTTP.
pub const HTTP: u16 = 80;
/// The port that accepts and says nothing.
pub const MUTE: u16 = 7000;
/// Bytes of each answer's body.
const BODY: usize = 40_000;

/// Listens on both ports, in the calling thread's network.
///
/// # Errors
/// Those of the sockets.
pub fn listen(ipv6: bool) -> std::io::Result<Vec<TcpListener>> {
    let any: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    [HTTP, MUTE]
        .into_iter()
        .map(|port| {
            let listener = TcpListener::bind((any, port))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        })
        .collect()
}

/// Serves until `stop`.
pub fn serve(listeners: &[TcpListener], stop: &AtomicBool) {
    let mut open = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for listener in listeners {
            while let Ok((stream, _)) = listener.accept() {
                if listener.local_addr().is_ok_and(|address| address.port() == HTTP) {
                    thread::spawn(move || answer(stream));
                } else {
                    open.push(stream);
                }
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// One request, one answer. A path that loses them ends it, in time.
fn answer(mut stream: TcpStream) {
    let patience = Some(Duration::from_secs(3));
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_read_timeout(patience);
    let _ = stream.set_write_timeout(patience);
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"\r\n\r\n") && request.len() < 20_000 {
        match stream.read(&mut buffer) {
            Ok(bytes @ 1..) => request.extend_from_slice(&buffer[..bytes]),
            _ => return,
        }
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&[b'n'; BODY]));
}
