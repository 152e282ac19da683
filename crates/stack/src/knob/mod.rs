//! Which settings trade one cost for another? The table of knobs.
//!
//! A knob is one thing named once: its row in [`KNOBS`] is what a scenario sets, what `--turn side.knob=value` turns, what a
//! finding recommends, and what the commands of its fix are printed from.
//!
//! ```
//! use narrows_stack::{Knobs, knob};
//!
//! let mut knobs = Knobs::default();
//! knobs.set("nodelay", "true")?;
//! knobs.set("ack_delay_min", "10ms")?;
//! assert_eq!(knobs.get("ack_delay_min").as_deref(), Some("10ms"));
//! assert!(knobs.set("nodelays", "true").unwrap_err().to_string().contains("nodelay"));
//! let row = knob::find("nodelay").unwrap();
//! assert!(row.fixes.iter().any(|fix| fix.system == "Rust"));
//! # Ok::<(), knob::KnobError>(())
//! ```

mod fixes;
mod table;
mod value;
mod values;

pub use table::KNOBS;
pub use value::{Kind, KnobError, Value, look_up};
pub use values::{AckPolicyKind, CongestionControl, Knobs, QuickAck};

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Knob {
    /// Its only name.
    pub name: &'static str,
    /// Where it is turned.
    pub scope: Scope,
    /// Which values it takes.
    pub kind: Kind,
    /// What turning it trades for what, one line.
    pub trades: &'static str,
    /// Its value on Linux as shipped.
    pub linux_default: &'static str,
    /// How it is turned on real systems.
    pub fixes: &'static [Fix],
}

/// Where a knob is turned on a real system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// An option of a socket.
    Socket,
    /// A property of a route.
    Route,
    /// A setting of the whole system.
    System,
    /// The application's own behaviour; not a setting of the stack.
    Application,
    /// The road between the hosts.
    Path,
}

impl Scope {
    /// `socket`, `route`, `system`, `application` or `path`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scope::Socket => "socket",
            Scope::Route => "route",
            Scope::System => "system",
            Scope::Application => "application",
            Scope::Path => "path",
        }
    }
}

/// How to turn a knob on one system or in one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fix {
    /// `C`, `Go`, `Java`, `Node`, `Python`, `Rust`, `Linux (ip route)`, `Linux (sysctl)`, `FreeBSD (sysctl)`, ….
    pub system: &'static str,
    /// The knob's value that these lines give; `VALUE` when they contain `{value}` for any value.
    pub value: &'static str,
    /// As one types them.
    pub lines: &'static [&'static str],
}

/// The row with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Knob> {
    KNOBS.iter().find(|knob| knob.name == name)
}
