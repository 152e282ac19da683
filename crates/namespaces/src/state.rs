//! Where is the running lab? A small file while it runs, and the way into its hosts.

use crate::error::Error;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File};
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A running lab, as its file tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningLab {
    /// The scenario's name.
    pub name: String,
    /// The process that holds the namespaces and carries the packets.
    pub pid: i32,
    /// When that process began, as /proc/PID/stat has it: a number that was given to another process is not taken for it.
    pub began: u64,
    /// The namespaces belong to a user namespace of their own.
    pub user_namespace: bool,
    /// The hosts.
    pub hosts: Vec<RunningHost>,
}

/// A host of a running lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningHost {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// The process's file descriptor of its network namespace.
    pub descriptor: i32,
    /// The number of that namespace, as its file's inode.
    pub network: u64,
}

/// A lab whose process has gone while its programs have not, and its file.
type Crashed = (PathBuf, RunningLab);

/// The folder of the labs' files: the user's alone.
///
/// # Errors
/// [`Error::Io`] when it cannot be made, [`Error::Setup`] when it is somebody else's.
pub fn folder() -> Result<PathBuf, Error> {
    let uid = Uid::effective();
    let folder = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) if !runtime.is_empty() => PathBuf::from(runtime).join("narrows"),
        _ if uid.is_root() => PathBuf::from("/run/narrows"),
        _ => std::env::temp_dir().join(format!("narrows-{uid}")),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let owner = fs::symlink_metadata(&folder)?;
    if !owner.is_dir() || owner.uid() != uid.as_raw() {
        return Err(Error::Setup(format!("{} belongs to somebody else: remove it", folder.display())));
    }
    Ok(folder)
}

impl RunningLab {
    /// What a lab's file says about the calling process.
    ///
    /// # Errors
    /// [`Error::Io`] when /proc cannot be read.
    pub fn of_this_process(
        name: &str,
        user_namespace: bool,
        hosts: Vec<RunningHost>,
    ) -> Result<RunningLab, Error> {
        let pid = std::process::id() as i32;
        let began = began(pid).ok_or_else(|| Error::Setup("/proc is needed".to_owned()))?;
        Ok(RunningLab { name: name.to_owned(), pid, began, user_namespace, hosts })
    }

    /// Writes the file into `folder`; it goes when the value returned goes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn announce(&self, folder: &std::path::Path) -> Result<Announcement, Error> {
        let path = folder.join(format!("{}.json", self.pid));
        let text = serde_json::to_string(self).map_err(std::io::Error::from)?;
        // First beside it: nobody shall read half a file.
        let beside = folder.join(format!(".{}.new", self.pid));
        fs::write(&beside, text)?;
        fs::rename(&beside, &path)?;
        Ok(Announcement { path })
    }

    /// All labs that run; files of those that no longer do, and of which nothing is left, are removed.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be read.
    pub fn all() -> Result<Vec<RunningLab>, Error> {
        let (running, _) = RunningLab::known()?;
        Ok(running)
    }

    /// Clears up after labs that ended without doing so (of that name, if one is given): what still ran on their hosts is ended.
    /// The labs, and how many programs that were.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be read.
    pub fn clear_crashed(name: Option<&str>) -> Result<(Vec<RunningLab>, usize), Error> {
        let (_, crashed) = RunningLab::known()?;
        let mut labs = Vec::new();
        let mut programs = 0;
        for (path, lab) in crashed.into_iter().filter(|(_, lab)| name.is_none_or(|name| lab.name == name)) {
            programs += lab.end_programs();
            fs::remove_file(&path)?;
            labs.push(lab);
        }
        Ok((labs, programs))
    }

    /// Labs that run, and those whose process has gone while their programs have not, with their files.
    fn known() -> Result<(Vec<RunningLab>, Vec<Crashed>), Error> {
        let (mut running, mut crashed) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(folder()?)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let read = fs::read_to_string(&path).ok();
            match read.and_then(|text| serde_json::from_str::<RunningLab>(&text).ok()) {
                Some(lab) if lab.runs() => running.push(lab),
                Some(lab) if !lab.programs().is_empty() => crashed.push((path, lab)),
                _ => drop(fs::remove_file(&path)),
            }
        }
        running.sort_by(|a: &RunningLab, b| (&a.name, a.pid).cmp(&(&b.name, b.pid)));
        Ok((running, crashed))
    }

    /// The lab of that name; without a name the only one.
    ///
    /// # Errors
    /// [`Error::NotFound`] says which there are.
    pub fn find(name: Option<&str>) -> Result<RunningLab, Error> {
        let all = RunningLab::all()?;
        let names: Vec<String> = all.iter().map(|lab| format!("`{}`", lab.name)).collect();
        let mut fitting = all.into_iter().filter(|lab| name.is_none_or(|name| lab.name == name));
        match (fitting.next(), fitting.next(), name) {
            (Some(lab), None, _) => Ok(lab),
            (Some(_), Some(_), _) => Err(Error::NotFound(format!(
                "several labs are running ({}): say which with --lab NAME",
                names.join(", ")
            ))),
            (None, _, Some(name)) if !names.is_empty() => {
                Err(Error::NotFound(format!("no lab `{name}` is running; there is {}", names.join(", "))))
            }
            (None, ..) => {
                Err(Error::NotFound("no lab is running: narrows lab up FILE starts one".to_owned()))
            }
        }
    }

    /// Whether its process is still the same.
    #[must_use]
    pub fn runs(&self) -> bool {
        began(self.pid) == Some(self.began)
    }

    /// Moves the calling process, which has to have one thread only, into a host's network.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown host, with those that there are; [`Error::NotPermitted`].
    pub fn enter(&self, host: &str) -> Result<(), Error> {
        let names =
            || self.hosts.iter().map(|host| format!("`{}`", host.name)).collect::<Vec<_>>().join(", ");
        let Some(host) = self.hosts.iter().find(|known| known.name == host) else {
            return Err(Error::NotFound(format!(
                "lab `{}` has no host `{host}`; it has {}",
                self.name,
                names()
            )));
        };
        let open = |what: String| {
            File::open(format!("/proc/{}/{what}", self.pid))
                .map_err(|e| Error::NotPermitted(format!("entering host `{}`: {e}", host.name)))
        };
        let net = open(format!("fd/{}", host.descriptor))?;
        if self.user_namespace {
            let user = open("ns/user".to_owned())?;
            setns(user.as_fd(), CloneFlags::CLONE_NEWUSER)
                .map_err(|e| Error::NotPermitted(format!("the lab's user namespace (setns: {e})")))?;
        }
        setns(net.as_fd(), CloneFlags::CLONE_NEWNET)
            .map_err(|e| Error::NotPermitted(format!("the network of host `{}` (setns: {e})", host.name)))
    }

    /// Ends it, and waits until it is gone.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] when it is somebody else's, [`Error::Program`] when it does not end.
    pub fn end(&self) -> Result<(), Error> {
        if !self.runs() {
            return Ok(());
        }
        kill(Pid::from_raw(self.pid), Signal::SIGTERM)
            .map_err(|e| Error::NotPermitted(format!("ending the lab `{}` (kill: {e})", self.name)))?;
        let begin = Instant::now();
        while self.runs() {
            if begin.elapsed() > Duration::from_secs(5) {
                return Err(Error::Program(format!(
                    "the lab `{}` does not end: kill -KILL {} ends it, and leaves nothing behind either",
                    self.name, self.pid
                )));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// The file of a running lab.
#[derive(Debug)]
pub struct Announcement {
    path: PathBuf,
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Without the process the file says nothing: whoever reads it removes it.
        let _ = fs::remove_file(&self.path);
    }
}

/// When a process began, in ticks since the machine did; `None` when it is not running.
fn began(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may contain anything.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?;
    let began = fields.nth(18)?.parse().ok()?;
    (state != "Z" && state != "X").then_some(began)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_another_one_with_its_number() {
        let lab = RunningLab::of_this_process("a", false, Vec::new()).unwrap();
        assert!(lab.runs());
        assert!(!RunningLab { began: lab.began + 1, ..lab.clone() }.runs());
        assert!(!RunningLab { pid: i32::MAX, ..lab.clone() }.runs());
        let text = serde_json::to_string(&lab).unwrap();
        assert_eq!(serde_json::from_str::<RunningLab>(&text).unwrap(), lab);
    }

    #[test]
    fn the_announcement_goes_with_its_value() {
        let folder = std::env::temp_dir().join(format!("narrows-state-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let lab = RunningLab::of_this_process("a", false, Vec::new()).unwrap();
        let announcement = lab.announce(&folder).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        drop(announcement);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn an_unknown_host_is_answered_with_those_that_there_are() {
        let address = [10, 0, 0, 1].into();
        let hosts = vec![RunningHost { name: "server".to_owned(), address, descriptor: -1, network: 0 }];
        let lab = RunningLab::of_this_process("a", false, hosts).unwrap();
        let error = lab.enter("serve").unwrap_err().to_string();
        assert_eq!(error, "lab `a` has no host `serve`; it has `server`");
    }
}
