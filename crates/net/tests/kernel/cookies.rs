//! Do SYN cookies of ours and of the real kernel open connections between the two?

use super::stage::Stage;
use narrows_namespaces::permitted;
use narrows_net::tun::TunOptions;
use narrows_stack::knob::SynCookies;
use narrows_stack::{Counter, Knobs};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BYTES: usize = 200_000;

/// With and without the timestamps that carry the options.
fn cases() -> [(bool, bool); 4] {
    [(false, true), (false, false), (true, true), (true, false)]
}

fn knobs(timestamps: bool) -> Knobs {
    Knobs { timestamps, ..Knobs::default() }
}

/// One of the kernel's counters in /proc/net/netstat of the calling thread's namespace.
fn kernel_counter(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/netstat").expect("the kernel's counters");
    let lines: Vec<&str> = text.lines().collect();
    let pair = lines.chunks(2).find(|pair| pair[0].contains(name)).expect("a line with that counter");
    let place = pair[0].split_whitespace().position(|word| word == name).expect("that counter");
    pair[1].split_whitespace().nth(place).and_then(|word| word.parse().ok()).expect("a number")
}

#[test]
fn the_kernel_connects_to_a_listener_of_ours_that_remembers_nothing() {
    if !permitted() {
        return;
    }
    for (ipv6, timestamps) in cases() {
        let ours = Knobs { syn_cookies: SynCookies::Always, ..knobs(timestamps) };
        let stage = Stage::with(ipv6, |options: TunOptions| options.knobs(ours));
        let address = stage.ours(80);
        let kernel = stage.in_namespace(move || {
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(20)).unwrap();
            stream.write_all(&vec![1; BYTES]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all.len()
        });
        stage.run(|host| async move {
            let listener = host.listen(80).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let info = stream.info().unwrap();
            let agreed = [info.timestamps, info.sack, info.window_scaling];
            assert_eq!(agreed, [timestamps; 3], "only timestamps carry what is agreed on");
            let header = if timestamps { 12 } else { 0 };
            assert_eq!(info.snd_mss, if ipv6 { 1_440 } else { 1_460 } - header);
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            stream.write_all(&all).await.unwrap();
            stream.shutdown().await.unwrap();
            assert_eq!(all.len(), BYTES);
            assert_eq!(host.counters().get(Counter::SynCookiesSent), 1);
            assert_eq!(host.counters().get(Counter::SynCookiesReceived), 1);
        });
        assert_eq!(kernel.join().unwrap(), BYTES);
    }
}

#[test]
fn we_connect_to_a_listener_of_the_kernel_that_remembers_nothing() {
    if !permitted() {
        return;
    }
    for (ipv6, timestamps) in cases() {
        let stage = Stage::with(ipv6, |options: TunOptions| options.knobs(knobs(timestamps)));
        let always = stage.in_namespace(|| std::fs::write("/proc/sys/net/ipv4/tcp_syncookies", "2"));
        if always.join().unwrap().is_err() {
            eprintln!("skipped: this kernel has no SYN cookies");
            return;
        }
        let listener = stage.kernel_listener();
        let address = listener.local_addr().unwrap();
        let kernel = stage.in_namespace(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&all).unwrap();
            (kernel_counter("SyncookiesSent"), kernel_counter("SyncookiesRecv"))
        });
        stage.run(|host| async move {
            let mut stream = host.connect(address).await.unwrap();
            let info = stream.info().unwrap();
            assert_eq!([info.timestamps, info.sack, info.window_scaling], [timestamps; 3]);
            stream.write_all(&vec![2; BYTES]).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all.len(), BYTES);
        });
        assert_eq!(kernel.join().unwrap(), (1, 1));
    }
}
