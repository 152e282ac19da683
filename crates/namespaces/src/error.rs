//! Why can there be no real hosts, or why did something on them fail?

use std::io;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Missing rights; says what is needed.
    #[error(
        "not permitted: {0}. Needed: root (or CAP_NET_ADMIN and CAP_SYS_ADMIN) and /dev/net/tun; without root, a kernel that \
         allows user namespaces (sysctl user.max_user_namespaces above 0, and kernel.apparmor_restrict_unprivileged_userns=0 \
         where there is that key)"
    )]
    NotPermitted(String),
    /// A host could not be set up as described.
    #[error("{0}")]
    Setup(String),
    /// A program on a host failed, or was not ready in time.
    #[error("{0}")]
    Program(String),
    /// There is no running lab of that name, or no such host in it.
    #[error("{0}")]
    NotFound(String),
    /// Input or output.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<nix::errno::Errno> for Error {
    fn from(error: nix::errno::Errno) -> Error {
        Error::Io(error.into())
    }
}

/// A thread's result; its panic is an error like any other.
pub(crate) fn joined<T, E: From<Error>>(result: std::thread::Result<Result<T, E>>) -> Result<T, E> {
    result.unwrap_or_else(|_| Err(Error::Setup("a thread has panicked".to_owned()).into()))
}
