//! How does a lab stay up until it is told to end? Real hosts on a scenario's links, for any program.

use crate::clock::Clock;
use crate::error::{Error, joined};
use crate::host::open_hosts;
use crate::state::{RunningHost, RunningLab, folder};
use crate::wire::{WireOptions, WireReport, carry};
use narrows_lab::scenario::Scenario;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Gid, Uid};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

/// Brings the scenario's hosts up and carries packets between them until SIGINT, SIGTERM or SIGHUP; `ready` is told
/// when everything is there. Nothing is left behind, however it ends: the namespaces have no names.
///
/// To be called before the process has a second thread.
///
/// # Errors
/// [`Error::NotPermitted`] says what is needed; [`Error::Setup`] what is wrong.
pub fn up(scenario: &Scenario, ready: impl FnOnce(&RunningLab)) -> Result<WireReport, Error> {
    let folder = folder()?;
    let user_namespace = !Uid::effective().is_root();
    if user_namespace {
        enter_user_namespace()?;
    }
    // Blocked in all threads from here on: they end by being told, and clean up.
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block()?;
    let waiting = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let stop = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let stop = &stop;
        let wire = scope.spawn(move || run(scenario, &tell, stop));
        let announced = told.recv().ok().map(|hosts| {
            let lab = RunningLab::of_this_process(&scenario.name, user_namespace, hosts)?;
            let announcement = lab.announce(&folder)?;
            ready(&lab);
            Ok::<_, Error>((lab, announcement))
        });
        if matches!(announced, Some(Ok(_))) {
            let mut news = [PollFd::new(waiting.as_fd(), PollFlags::POLLIN)];
            // A wire that has failed ends the lab, too.
            while !wire.is_finished() && !matches!(poll(&mut news, PollTimeout::from(200_u16)), Ok(1..)) {}
        }
        if let Some(Ok((lab, _))) = &announced {
            lab.end_programs();
        }
        stop.store(true, Ordering::Relaxed);
        let report = joined(wire.join());
        drop(announced.transpose()?);
        report
    })
}

fn run(
    scenario: &Scenario,
    tell: &mpsc::Sender<Vec<RunningHost>>,
    stop: &AtomicBool,
) -> Result<WireReport, Error> {
    let built = scenario.build_network();
    let mut world =
        built.map_err(|error| Error::Setup(format!("scenario `{}`: {error}", scenario.name)))?.world;
    let hosts = open_hosts(&mut world)?;
    let running = hosts.iter().map(|host| RunningHost {
        name: host.place.name.clone(),
        address: host.place.address,
        descriptor: host.namespace.descriptor(),
        network: host.namespace.number(),
    });
    // Nobody listens only when the caller is gone already.
    let _ = tell.send(running.collect());
    carry(&mut world, &hosts, Clock::start(), WireOptions::default(), stop, None)
}

/// Becomes root in a user namespace of its own.
fn enter_user_namespace() -> Result<(), Error> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    unshare(CloneFlags::CLONE_NEWUSER)
        .map_err(|e| Error::NotPermitted(format!("a user namespace, as you are not root (unshare: {e})")))?;
    let write = |file: &str, text: String| {
        std::fs::write(format!("/proc/self/{file}"), text)
            .map_err(|e| Error::NotPermitted(format!("a user namespace, as you are not root ({file}: {e})")))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("0 {uid} 1"))?;
    write("gid_map", format!("0 {gid} 1"))?;
    // Otherwise /proc/PID/fd would be closed to `narrows lab exec` of the same user.
    prctl::set_dumpable(true)?;
    Ok(())
}
