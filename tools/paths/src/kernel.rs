//! A path of Linux's own routers: namespaces in a row, joined by veth pairs, with nft rules and a VXLAN tunnel.
//!
//! client — router 1 — router 2 — server

use crate::bed::{client, quiet, router, server};
use narrows_namespaces::{Error, Namespace, ip, sysctl};
use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};

/// What is special about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The MTU of the three links; 0 is 1500.
    pub links: [u32; 3],
    /// The routers' link is a VXLAN tunnel over a link of this MTU.
    pub vxlan_over: Option<u32>,
    /// The MTU of router 1's route to the server only, and of router 2's route to the client only.
    pub route_mtu: [Option<u32>; 2],
    /// nft rules of router 1: output hook, forward hook.
    pub rules: [&'static [&'static str]; 2],
}

/// What was built.
pub struct Built {
    /// The client's network.
    pub client: Namespace,
    /// The server's network.
    pub server: Namespace,
    _routers: [Namespace; 2],
}

/// Builds it.
///
/// # Errors
/// [`Error::NotPermitted`] and [`Error::Setup`].
pub fn build(plan: &Plan, ipv6: bool) -> Result<Built, Error> {
    let empty = || Namespace::new(|| ip("link set lo up\n"));
    let [(client_net, ()), (one, ()), (two, ()), (server_net, ())] = [empty()?, empty()?, empty()?, empty()?];
    let row = [&client_net, &one, &two, &server_net];
    for (index, pair) in row.windows(2).enumerate() {
        let there = format!("/proc/{}/fd/{}", std::process::id(), pair[1].descriptor());
        pair[0].run(|| {
            ip(&format!("link add right type veth peer name left netns {there}\n"))?;
            quiet("right");
            ip(&format!("link set right mtu {} up\n", mtu(plan, index)))
        })?;
        pair[1].run(|| {
            quiet("left");
            ip(&format!("link set left mtu {} up\n", mtu(plan, index)))
        })?;
    }
    let names = [client(ipv6), router(ipv6, 1), router(ipv6, 2), server(ipv6)];
    for (place, net) in row.iter().enumerate() {
        net.run(|| configure(plan, place, &names, ipv6))?;
    }
    Ok(Built { client: client_net, server: server_net, _routers: [one, two] })
}

fn mtu(plan: &Plan, link: usize) -> u32 {
    let asked = if link == 1 { plan.vxlan_over.unwrap_or(plan.links[1]) } else { plan.links[link] };
    if asked == 0 { 1500 } else { asked }
}

/// Addresses and routes of one place in the row: one address of its own, and links without any.
fn configure(plan: &Plan, place: usize, names: &[IpAddr; 4], ipv6: bool) -> Result<(), Error> {
    let prefix = if ipv6 { 128 } else { 32 };
    let mut batch = String::new();
    let mut line = |text: String| {
        batch.push_str(&text);
        batch.push('\n');
    };
    let nodad = if ipv6 { " nodad" } else { "" };
    let mut devices = [(place > 0).then_some("left"), (place < 3).then_some("right")];
    let mine = names[place];
    if place == 1 || place == 2 {
        for (key, value) in [("net/ipv4/ip_forward", "1"), ("net/ipv6/conf/all/forwarding", "1")] {
            sysctl(key, value)?;
        }
        if let Some(below) = plan.vxlan_over {
            tunnel(place, below)?;
            devices[usize::from(place == 1)] = Some("tunnel");
        }
    }
    for device in devices.into_iter().flatten() {
        line(format!("address add {mine}/{prefix} dev {device}{nodad}"));
    }
    // Neighbours are reached directly, the others by them.
    for (to, name) in names.iter().enumerate().filter(|(to, _)| *to != place) {
        let device = devices[usize::from(to > place)].unwrap_or("lo");
        let neighbour = if to > place { place + 1 } else { place.wrapping_sub(1) };
        let locked = match (place, to) {
            (1, 3) => plan.route_mtu[0],
            (2, 0) => plan.route_mtu[1],
            _ => None,
        };
        let locked = locked.map(|mtu| format!(" mtu lock {mtu}")).unwrap_or_default();
        if to == neighbour {
            line(format!("route add {name}/{prefix} dev {device} src {mine}"));
        } else {
            let via = names[neighbour];
            let onlink = " onlink";
            line(format!("route add {name}/{prefix} via {via} dev {device} src {mine}{onlink}{locked}"));
        }
    }
    // Neighbours first: a route by them needs them.
    let mut lines: Vec<&str> = batch.lines().collect();
    lines.sort_by_key(|line| line.contains(" via "));
    ip(&format!("{}\n", lines.join("\n")))?;
    if place == 1 {
        rules(plan)?;
    }
    Ok(())
}

/// The VXLAN device between the routers, over addresses of the link below.
fn tunnel(place: usize, below_mtu: u32) -> Result<(), Error> {
    let (below, own, other) = if place == 1 { ("right", 1, 2) } else { ("left", 2, 1) };
    ip(&format!(
        "address add 192.0.2.{own}/24 dev {below}\n\
         link add tunnel type vxlan id 7 local 192.0.2.{own} remote 192.0.2.{other} dstport 4789\n"
    ))?;
    quiet("tunnel");
    ip(&format!("link set tunnel mtu {} up\n", below_mtu - 50))
}

fn rules(plan: &Plan) -> Result<(), Error> {
    let mut script = String::from("table inet bed {\n");
    for (hook, rules) in ["output", "forward"].into_iter().zip(plan.rules) {
        script.push_str(&format!("chain at_{hook} {{\ntype filter hook {hook} priority 0;\n"));
        for rule in rules {
            script.push_str(rule);
            script.push('\n');
        }
        script.push_str("}\n");
    }
    script.push_str("}\n");
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| Error::Setup(format!("the command `nft` of nftables is needed: {e}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes())?;
    }
    let out = child.wait_with_output()?;
    if out.status.success() {
        return Ok(());
    }
    Err(Error::Setup(format!("nft: {}", String::from_utf8_lossy(&out.stderr).trim())))
}
