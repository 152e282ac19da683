//! How does a scenario become two hosts and a path? Namespaces that live as long as the measurement.

use crate::ethernet::{GATEWAY, HOST, spell};
use crate::kernel;
use crate::scenario::{Build, Scenario, User};
use crate::serve::{listen, serve};
use crate::wire::carry;
use narrows_namespaces::{Error, Namespace, ip, sysctl};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// The client's address.
#[must_use]
pub fn client(ipv6: bool) -> IpAddr {
    if ipv6 { IpAddr::from([0xfd99, 0, 0, 0, 0, 0, 0, 1]) } else { [10, 99, 0, 1].into() }
}

/// The server's address.
#[must_use]
pub fn server(ipv6: bool) -> IpAddr {
    if ipv6 { IpAddr::from([0xfd99, 0, 0, 9, 0, 0, 0, 1]) } else { [10, 99, 9, 1].into() }
}

/// A router's address, from 1.
#[must_use]
pub fn router(ipv6: bool, number: u8) -> IpAddr {
    if ipv6 {
        IpAddr::from([0xfd99, 0, 0, u16::from(number), 0, 0, 0, 0xfe])
    } else {
        [10, 99, number, 254].into()
    }
}

/// Builds the path, serves at its end, and runs `client` at its beginning.
///
/// # Errors
/// [`Error`] of the building; and what `client` reports.
pub fn with_bed<T: Send>(
    scenario: &Scenario,
    client_part: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let stop = AtomicBool::new(false);
    let ipv6 = scenario.ipv6;
    match &scenario.build {
        Build::Wire { path, mtu } => {
            let (here, one) = Namespace::new(|| host(client(ipv6), router(ipv6, 1), mtu[0]))?;
            let (there, other) = Namespace::new(|| host(server(ipv6), router(ipv6, 3), mtu[1]))?;
            thread::scope(|scope| {
                let stop = &stop;
                let (one, other) = (&one, &other);
                let wire = scope.spawn(move || carry(path, [one, other], stop));
                let done = between(&here, &there, scenario, stop, client_part);
                stop.store(true, Ordering::Relaxed);
                let _ = wire.join();
                done
            })
        }
        Build::Kernel(plan) => {
            let built = kernel::build(plan, ipv6)?;
            between(&built.client, &built.server, scenario, &stop, client_part)
        }
    }
}

/// Serves in one namespace while something runs in the other.
fn between<T: Send>(
    here: &Namespace,
    there: &Namespace,
    scenario: &Scenario,
    stop: &AtomicBool,
    client_part: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let listeners = there.run(|| listen(scenario.ipv6).map_err(Error::from))?;
    here.run(|| permit_and_believe(scenario))?;
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            there.run(|| {
                serve(&listeners, stop);
                Ok::<(), Error>(())
            })
        });
        let done = here.run(client_part);
        stop.store(true, Ordering::Relaxed);
        let _ = serving.join();
        done
    })
}

/// Lets the client's user do what the scenario says, and its kernel believe what it says.
fn permit_and_believe(scenario: &Scenario) -> Result<(), Error> {
    if scenario.user == User::Pings {
        sysctl("net/ipv4/ping_group_range", "0 2147483647")?;
    }
    // A route's MTU is what the kernel goes by, as it goes by what a router (or a liar) has told it.
    if let (Some(mtu), Build::Wire { .. }) = (scenario.believed, &scenario.build) {
        let (server, gateway) = (server(scenario.ipv6), router(scenario.ipv6, 1));
        ip(&format!("route add {server} via {gateway} dev eth0 src {} mtu {mtu}\n", client(scenario.ipv6)))?;
    }
    Ok(())
}

/// Gives the calling thread's new network one device that a wire reads and writes.
fn host(address: IpAddr, gateway: IpAddr, mtu: u32) -> Result<SyncDevice, Error> {
    let device = DeviceBuilder::new()
        .name("eth0")
        .layer(Layer::L2)
        .enable(false)
        .build_sync()
        .map_err(|e| Error::NotPermitted(format!("a TUN device (/dev/net/tun: {e})")))?;
    device.set_nonblocking(true)?;
    quiet("eth0");
    let (prefix, nodad) = if address.is_ipv6() { (128, " nodad") } else { (32, "") };
    let (host, router) = (spell(HOST), spell(GATEWAY));
    // The neighbour is known for good: nobody answers for it.
    ip(&format!(
        "link set lo up\nlink set eth0 address {host} mtu {mtu} txqueuelen 10000 up\n\
         address add {address}/{prefix} dev eth0{nodad}\n\
         neigh replace {gateway} lladdr {router} dev eth0 nud permanent\n\
         route add {gateway}/{prefix} dev eth0\nroute add default via {gateway} dev eth0 src {address}\n"
    ))?;
    Ok(device)
}

/// No neighbour or router discovery's own traffic on a device.
pub(crate) fn quiet(device: &str) {
    for (key, value) in [("accept_dad", "0"), ("router_solicitations", "0")] {
        // A kernel without IPv6 has no such key.
        let _ = sysctl(&format!("net/ipv6/conf/{device}/{key}"), value);
    }
}
