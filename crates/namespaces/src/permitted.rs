//! May networks and devices be made here? What tests and tools ask before they begin.

use std::path::Path;

/// Whether namespaces and TUN devices can be made here; if not, says on standard error why what needs them is skipped.
#[must_use]
pub fn permitted() -> bool {
    let root = nix::unistd::geteuid().is_root();
    let tun = Path::new("/dev/net/tun").exists();
    if !(root && tun) {
        eprintln!("skipped: network namespaces need root and /dev/net/tun");
    }
    root && tun
}

/// Whether a program is installed, in `PATH` or where only root's has it; if not, says on standard error that what needs it is
/// skipped.
#[must_use]
pub fn installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .chain(["/usr/sbin", "/sbin"].map(Into::into))
        .any(|folder| folder.join(program).exists());
    if !found {
        eprintln!("skipped: `{program}` is not installed");
    }
    found
}
