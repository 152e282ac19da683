//! Which scenarios come with narrows? Those whose files are built in, by name.

/// A scenario that comes with narrows, as its file's name and text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// Its file.
    pub toml: &'static str,
}

macro_rules! builtins {
    ($($name:literal,)*) => {
        /// All of them, by name.
        pub const BUILTINS: &[Builtin] =
            &[$(Builtin { name: $name, toml: include_str!(concat!("../../scenarios/", $name, ".toml")) },)*];
    };
}

builtins! {
    "blackhole",
    "blackhole-clamped",
    "blackhole-probing",
    "bulk",
    "bulk-codel",
    "bulk-lossy",
    "bulk-vpn",
    "chatty-60ms",
    "datagrams-fragmented",
    "healthy-rpc",
    "long-fat",
    "slow-http",
    "slow-rpc",
    "tunnel-discovery",
    "tunnel-fragmented",
}

/// The scenario of that name.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}
