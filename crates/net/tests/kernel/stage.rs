//! A network namespace with a TUN device: the kernel on one end, our stack on the other.

use narrows_namespaces::{Error, Namespace};
use narrows_net::Host;
use narrows_net::lab::Link;
use narrows_net::tun::{Tun, TunOptions};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Stage {
    namespace: Namespace,
    tun: Option<Tun>,
    ipv6: bool,
}

/// No test takes longer than that unless something hangs.
const PATIENCE: Duration = Duration::from_secs(40);

impl Stage {
    pub fn new(ipv6: bool, link: Option<Link>) -> Stage {
        Stage::with(ipv6, |options| match link {
            Some(link) => options.link(link),
            None => options,
        })
    }

    pub fn with(ipv6: bool, change: impl FnOnce(TunOptions) -> TunOptions + Send) -> Stage {
        let (kernel, ours) = if ipv6 { ("fd07::1/64", "fd07::2") } else { ("10.7.0.1/24", "10.7.0.2") };
        let options = change(TunOptions::new().name("tun0").kernel(kernel).address(ours).seed(1));
        let (namespace, tun) = Namespace::new(|| {
            narrows_namespaces::ip("link set lo up\n")?;
            // Its IPv6 address can be used at once.
            let _ = narrows_namespaces::sysctl("net/ipv6/conf/default/accept_dad", "0");
            options.open().map_err(Error::from)
        })
        .expect("a namespace with a device");
        Stage { namespace, tun: Some(tun), ipv6 }
    }

    pub fn ours(&self, port: u16) -> SocketAddr {
        let address: IpAddr =
            if self.ipv6 { [0xfd07, 0, 0, 0, 0, 0, 0, 2].into() } else { [10, 7, 0, 2].into() };
        SocketAddr::new(address, port)
    }

    pub fn kernel(&self, port: u16) -> SocketAddr {
        let address: IpAddr =
            if self.ipv6 { [0xfd07, 0, 0, 0, 0, 0, 0, 1].into() } else { [10, 7, 0, 1].into() };
        SocketAddr::new(address, port)
    }

    /// Runs something in a thread of the namespace.
    pub fn in_namespace<T: Send + 'static>(
        &self,
        what: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let entered =
            self.namespace.run(|| std::fs::File::open("/proc/thread-self/ns/net").map_err(Error::from));
        let net = entered.expect("the namespace");
        std::thread::spawn(move || {
            nix::sched::setns(net, nix::sched::CloneFlags::CLONE_NEWNET).expect("to enter the namespace");
            what()
        })
    }

    pub fn kernel_listener(&self) -> TcpListener {
        let address = self.kernel(0);
        self.namespace.run(|| TcpListener::bind(address).map_err(Error::from)).expect("a listener")
    }

    /// The device, for those who run our side themselves.
    pub fn take(&mut self) -> Tun {
        self.tun.take().expect("one run")
    }

    /// Runs our side.
    pub fn run<F: Future>(mut self, ours: impl FnOnce(Host) -> F) -> F::Output {
        let tun = self.take();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let result = runtime.block_on(async {
            let host = tun.host().expect("a host");
            let all = async {
                let done = ours(host.clone()).await;
                host.drained().await;
                done
            };
            tokio::time::timeout(PATIENCE, all).await
        });
        result.expect("something hangs")
    }
}
