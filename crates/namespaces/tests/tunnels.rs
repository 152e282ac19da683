//! Are the lab's tunnels those of the kernel? Outer packets of both for the same datagrams, and the kernel takes the lab's apart. Needs root and
//! the kernel's VXLAN and Geneve devices; says so and does nothing without.

use narrows_lab::scenario::Scenario;
use narrows_lab::{End, Heading, LinkId, OuterDf, Passage, Recorder, Tunnel};
use narrows_namespaces::{Namespace, ip, sysctl};
use narrows_stack::Instant;
use narrows_wire::Packet;
use nix::sys::socket::setsockopt;
use nix::{libc, setsockopt_impl, sockopt_impl};
use std::net::{IpAddr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;
use tun_rs::{DeviceBuilder, SyncDevice};

sockopt_impl!(
    /// `IP_MTU_DISCOVER` (ip(7)).
    MtuDiscover, SetOnly, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::c_int
);

/// What passes at the client's end of the link outside.
#[derive(Default)]
struct Seen(Vec<(Heading, Packet)>);

impl Recorder for Seen {
    fn add_tap(&mut self, _name: &str) -> u32 {
        0
    }

    fn record(&mut self, _tap: u32, passage: &Passage<'_>) {
        self.0.push((passage.heading, passage.packet.clone()));
    }
}

#[derive(Clone, Copy, Debug)]
struct Case {
    kind: Tunnel,
    df: OuterDf,
    /// Inner packets have DF where they fit the inner path.
    inner_df: bool,
    size: usize,
}

impl Case {
    fn cuts_outside(self) -> bool {
        let with_df = self.df == OuterDf::Set || self.df == OuterDf::Inherit && self.inner_df;
        self.size > FITS && !with_df
    }

    /// Datagrams sent. When the kernel's device has cut one outside it lowers the path MTU of its own host's route, too
    /// (`skb_tunnel_check_pmtu`), and what follows is cut inside: the lab's device does not, and only the first can be compared.
    fn count(self) -> usize {
        if self.cuts_outside() { 1 } else { 3 }
    }
}

/// The largest payload whose outer packet is no larger than 1500 bytes.
const FITS: usize = 1_422;
const PORT: u16 = 7_000;

/// Datagrams of the lab, from the client to the server or back: outer packets at the client, and the outer addresses.
fn lab(case: Case, from_client: bool) -> (Vec<Packet>, [IpAddr; 2]) {
    let Case { kind, df, inner_df, size } = case;
    let mode = if inner_df { "want" } else { "dont" };
    let [from, to] = if from_client { ["client", "server"] } else { ["server", "client"] };
    let text = format!(
        "[host.client]\nknobs.pmtu_discovery = \"{mode}\"\n[host.server]\nknobs.pmtu_discovery = \"{mode}\"\n\
         [link.net]\nbetween = [\"client\", \"server\"]\ndelay = \"1ms\"\n\
         [link.vpn]\nbetween = [\"client\", \"server\"]\nover = \"network\"\ntunnel = \"{}\"\ntunnel_mtu = 1500\n\
         tunnel_df = \"{}\"\n\
         [workload.w]\nkind = \"datagrams\"\nclient = \"{from}\"\nserver = \"{to}\"\ndatagrams = {}\nsize = {size}\n\
         interval = \"20ms\"\n",
        kind.name(),
        df.name(),
        case.count(),
    );
    let mut world = Scenario::from_toml("lab.toml", &text).expect("a scenario").build().expect("a world");
    let recorder = world.world.add_recorder(Seen::default());
    world.world.tap(recorder, LinkId(0), End::First);
    let ends =
        [End::First, End::Second].map(|end| world.world.tunnel_address(LinkId(1), end).expect("a tunnel"));
    world.world.run_until(Instant::from_millis(500));
    let seen = world.world.take_recorder::<Seen>(recorder).expect("a recorder").0;
    let heading = if from_client { Heading::Out } else { Heading::In };
    (seen.into_iter().filter(|(known, _)| *known == heading).map(|(_, packet)| packet).collect(), ends)
}

/// A kernel with the tunnel's device in the client's place; `None` where it has no such device.
struct Kernel {
    namespace: Namespace,
    outside: SyncDevice,
}

fn kernel(case: Case, [own, peer]: [IpAddr; 2]) -> Option<Kernel> {
    let mac = |address: IpAddr| {
        let IpAddr::V4(v4) = address else { panic!("IPv4") };
        let [a, b, c, d] = v4.octets();
        format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    };
    let device = match case.kind {
        Tunnel::Vxlan => {
            format!("type vxlan id 1 local {own} remote {peer} dstport 4789 df {}", case.df.name())
        }
        _ => format!("type geneve id 1 remote {peer} dstport 6081 df {}", case.df.name()),
    };
    let set_up = || {
        let outside = DeviceBuilder::new().name("under").enable(false).build_sync().expect("/dev/net/tun");
        outside.set_nonblocking(true).expect("a device");
        for device in ["all", "default"] {
            let _ = sysctl(&format!("net/ipv6/conf/{device}/disable_ipv6"), "1");
        }
        ip(&format!(
            "link set lo up\nlink set under mtu 1500 up\naddress add {own}/32 dev under\nroute add {peer}/32 dev under src {own}\n\
             link add name tunnel address {} {device}\nlink set tunnel mtu 1500 up\naddress add 10.0.0.1/32 dev tunnel\n\
             route add 10.0.0.2/32 dev tunnel src 10.0.0.1\n\
             neighbor add 10.0.0.2 lladdr {} dev tunnel nud permanent\n",
            mac(own),
            mac(peer),
        ))?;
        Ok::<_, narrows_namespaces::Error>(outside)
    };
    match Namespace::new(set_up) {
        Ok((namespace, outside)) => Some(Kernel { namespace, outside }),
        Err(error) => {
            eprintln!("skipped: {}: {error}", case.kind.name());
            None
        }
    }
}

impl Kernel {
    fn socket(&self, case: Case) -> UdpSocket {
        let bind = || Ok::<_, narrows_namespaces::Error>(UdpSocket::bind(("10.0.0.1", PORT))?);
        let socket = self.namespace.run(bind).expect("a socket");
        let mode = if case.inner_df { libc::IP_PMTUDISC_WANT } else { libc::IP_PMTUDISC_DONT };
        setsockopt(&socket, MtuDiscover, &mode).expect("IP_MTU_DISCOVER");
        socket
    }

    /// What the kernel has sent into the network outside.
    fn sent(&self) -> Vec<Packet> {
        let mut buffer = vec![0; 65_536];
        let mut packets = Vec::new();
        while let Ok(length) = self.outside.recv(&mut buffer) {
            packets.push(Packet::parse(buffer[..length].to_vec().into()).expect("a packet"));
        }
        packets
    }
}

fn cases() -> impl Iterator<Item = Case> {
    let kinds = [Tunnel::Vxlan, Tunnel::Geneve];
    let dfs = OuterDf::ALL.into_iter().flat_map(|df| [true, false].map(|inner_df| (df, inner_df)));
    dfs.flat_map(move |(df, inner_df)| {
        let sizes = [1_000, 1_422, 1_423, 1_472];
        kinds.into_iter().flat_map(move |kind| sizes.map(move |size| Case { kind, df, inner_df, size }))
    })
}

fn permitted() -> bool {
    let root = nix::unistd::geteuid().is_root();
    let tun = std::path::Path::new("/dev/net/tun").exists();
    if !(root && tun) {
        eprintln!("skipped: network namespaces need root and /dev/net/tun");
    }
    root && tun
}

/// What of an outer packet has to be the same: length, protocol, DF, more, offset.
fn shape(packet: &Packet) -> (usize, u8, bool, bool, u16) {
    let ip = &packet.ip;
    (
        packet.len(),
        ip.protocol.number(),
        ip.fragment.dont_fragment,
        ip.fragment.more,
        ip.fragment.offset_bytes,
    )
}

#[test]
fn outer_packets_are_cut_marked_and_refused_as_by_the_kernel() {
    if !permitted() {
        return;
    }
    for case in cases() {
        let (ours, ends) = lab(case, true);
        let Some(kernel) = kernel(case, ends) else { continue };
        let socket = kernel.socket(case);
        for _ in 0..case.count() {
            // What does not fit is refused by some modes, and that is no error here.
            let _ = socket.send_to(&vec![7; case.size], ("10.0.0.2", PORT));
            sleep(Duration::from_millis(5));
        }
        let theirs: Vec<_> = kernel.sent().iter().map(shape).collect();
        assert_eq!(ours.iter().map(shape).collect::<Vec<_>>(), theirs, "{case:?}");
    }
}

#[test]
fn the_kernel_puts_the_lab_s_outer_packets_together_and_reads_what_is_inside() {
    if !permitted() {
        return;
    }
    for case in cases() {
        let (ours, ends) = lab(case, false);
        let Some(kernel) = kernel(case, ends) else { continue };
        let socket = kernel.socket(case);
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let refused = !case.cuts_outside() && case.size > FITS;
        let mut bytes = Vec::new();
        for packet in &ours {
            bytes.clear();
            packet.emit(&mut bytes);
            kernel.outside.send(&bytes).expect("a device");
        }
        let mut buffer = vec![0; 65_536];
        let mut read = 0;
        while read < case.count() {
            match socket.recv(&mut buffer) {
                Ok(length) => assert_eq!(length, case.size, "{case:?}"),
                Err(_) => break,
            }
            read += 1;
        }
        // With DF outside the first tells the sender what fits, and does not arrive.
        assert!(read == case.count() || refused, "{case:?}: {read} of {}", case.count());
    }
}
