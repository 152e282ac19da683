//! Our stack and the real kernel, each on one end of a TUN device, and work that both do together.

use super::exchange::{self, Counts, Failure, Kernel, Times};
use super::stream;
use narrows_lab::End;
use narrows_namespaces::{Error, Namespace};
use narrows_net::Host;
use narrows_net::lab::Link;
use narrows_net::tun::{TunOptions, link_counters};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Work that is not done in that time hangs.
const PATIENCE: Duration = Duration::from_secs(300);
/// All that come at once have room: a queue that overflows answers by SYN cookies, and the FIN that overtakes the first data is then
/// answered by a RST (Linux 6.18), which is right but no success.
const BACKLOG: u32 = 4_096;
/// IPv4, and IPv6.
const KERNEL: [&str; 2] = ["10.7.0.1/24", "fd07::1/64"];
const OURS: [&str; 2] = ["10.7.0.2", "fd07::2"];
pub const VERSIONS: [&str; 2] = ["IPv4", "IPv6"];

/// A link that loses, reorders and doubles packets, and is short, so that many connections do not take long.
pub fn bad_link() -> Link {
    let short = Duration::from_micros(100);
    Link::new().delay(short).loss(0.001).reorder(0.01, short).duplicate(0.01)
}

/// Who opens the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    Kernel,
    Us,
}

/// A network namespace with a TUN device: the kernel, and a host of ours.
pub struct World {
    pub host: Host,
    namespace: Arc<Namespace>,
}

impl World {
    pub fn new(link: Option<Link>, runtime: &Runtime) -> Result<World, Failure> {
        let options = TunOptions::new().seed(1);
        let options = KERNEL.into_iter().fold(options, TunOptions::kernel);
        let options = OURS.into_iter().fold(options, TunOptions::address);
        let (namespace, tun) = Namespace::new(|| {
            narrows_namespaces::ip("link set lo up")?;
            let options = match link {
                Some(link) => options.link(link),
                None => options,
            };
            options.open().map_err(Error::from)
        })?;
        let host = runtime.block_on(async { tun.host() })?;
        Ok(World { host, namespace: Arc::new(namespace) })
    }

    /// Runs the kernel's end of some work in a thread of its own.
    fn kernel<T: Send + 'static, F: Future<Output = Result<T, Failure>>>(
        &self,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> JoinHandle<Result<T, Failure>> {
        let namespace = Arc::clone(&self.namespace);
        std::thread::spawn(move || {
            let done = namespace.run(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                Ok::<_, Error>(runtime.block_on(patiently(work())))
            });
            done?
        })
    }

    /// Runs our end of some work until the kernel's has ended, too, and nothing that was written is under way.
    fn ours<T, K>(
        &self,
        runtime: &Runtime,
        kernel: JoinHandle<Result<K, Failure>>,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<(T, K), Failure> {
        let done = runtime.block_on(patiently(async {
            let done = work.await?;
            while !kernel.is_finished() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            self.host.drained().await;
            Ok(done)
        }))?;
        Ok((done, kernel.join().map_err(|_| "the kernel's end panicked")??))
    }

    /// So many blocks to the kernel, then as many from it, each byte compared; both in Gb/s.
    pub fn streams(&self, runtime: &Runtime, version: usize, blocks: u64) -> Result<[f64; 2], Failure> {
        let to = SocketAddr::new(OURS[version].parse()?, 80);
        let listener = self.host.listen(80)?;
        let kernel = self.kernel(move || async move {
            let rate = stream::receive(tokio::net::TcpStream::connect(to).await?, blocks).await?;
            stream::send(tokio::net::TcpStream::connect(to).await?, blocks).await?;
            Ok(rate)
        });
        let ours = async {
            stream::send(listener.accept().await?.0, blocks).await?;
            stream::receive(listener.accept().await?.0, blocks).await
        };
        let (from_kernel, to_kernel) = self.ours(runtime, kernel, ours)?;
        Ok([to_kernel, from_kernel])
    }

    /// Many connections, half of them over IPv4, half over IPv6.
    pub fn connections(&self, runtime: &Runtime, opener: Opener, counts: Counts) -> Result<Times, Failure> {
        match opener {
            Opener::Kernel => {
                let listener = self.host.listen(80)?;
                let to = addresses(OURS, 80)?;
                let kernel = self.kernel(move || async move { exchange::ask(&Kernel, &to, counts).await });
                let ours = exchange::answer(&listener, counts);
                self.ours(runtime, kernel, ours).map(|(_, times)| times)
            }
            Opener::Us => {
                let (say, listens) = tokio::sync::oneshot::channel();
                let kernel = self.kernel(move || async move {
                    let socket = tokio::net::TcpSocket::new_v6()?;
                    // Connections of an earlier listener may be in TIME-WAIT there.
                    socket.set_reuseaddr(true)?;
                    socket.bind("[::]:81".parse()?)?;
                    let listener = socket.listen(BACKLOG)?;
                    say.send(()).map_err(|()| "our end is gone")?;
                    exchange::answer(&listener, counts).await
                });
                let to = addresses(KERNEL.map(|network| network.split('/').next().unwrap_or(network)), 81)?;
                let ours = async {
                    listens.await?;
                    exchange::ask(&self.host, &to, counts).await
                };
                self.ours(runtime, kernel, ours).map(|(times, _)| times)
            }
        }
    }

    /// No socket is left at either end, those in TIME-WAIT not counted; a FIN that got lost has a while to come again.
    pub fn has_no_sockets(&self, runtime: &Runtime) -> Result<(), Failure> {
        let mut left = (0, 0);
        for _ in 0..200 {
            left = (self.host.open_sockets(), self.namespace.run(|| Ok::<_, Error>(kernel_sockets()))?);
            if left == (0, 0) {
                return Ok(());
            }
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
        }
        Err(format!("{} sockets are left, and {} of the kernel", left.0, left.1).into())
    }

    /// What the link has done to packets from us and from the kernel: how many there were, lost, held up, doubled. Nothing where there is
    /// no link.
    pub fn harm(&self) -> Vec<[u64; 4]> {
        let counters = [End::First, End::Second].into_iter().filter_map(|end| link_counters(&self.host, end));
        counters.map(|c| [c.offered_packets, c.lost_randomly, c.reordered, c.duplicated]).collect()
    }
}

async fn patiently<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => Err(format!("not done after {PATIENCE:?}: something hangs").into()),
    }
}

fn addresses(ips: [&str; 2], port: u16) -> Result<Vec<SocketAddr>, Failure> {
    ips.into_iter().map(|ip| Ok(SocketAddr::new(ip.parse()?, port))).collect()
}

/// TCP sockets in use in the calling thread's network, TIME-WAIT not counted.
fn kernel_sockets() -> u64 {
    let files = ["sockstat", "sockstat6"]
        .map(|file| std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default());
    let lines = files.iter().flat_map(|text| text.lines());
    let tcp = lines.filter(|line| line.starts_with("TCP:") || line.starts_with("TCP6:"));
    tcp.filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok()).sum()
}
