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
mod page;
mod shared;
mod size_fixes;
mod system;
mod table;
mod value;
mod values;

pub use crate::tcp::listen::syn_cookies::SynCookies;
pub use crate::tcp::mtu_probe::MtuProbing;
pub use page::page;
pub(crate) use shared::SharedKnobs;
pub use system::System;
pub use table::KNOBS;
pub use value::{Kind, KnobError, Value, edits, look_up};
pub use values::{
    AckPolicyKind, CongestionControl, EcnMode, HyStartKind, Knobs, LossDetection, PmtuDiscovery, QuickAck,
};

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
    /// The knob's value that these lines give, or [`Fix::ANY`].
    pub value: &'static str,
    /// As one types them; with [`Fix::ANY`] they have places for the value, which [`Knob::fixes_for`] fills.
    pub lines: &'static [&'static str],
}

impl Fix {
    /// The lines give any value of the knob.
    pub const ANY: &'static str = "any";
    /// The places that [`Knob::fixes_for`] fills: the value as the knob has it, and a time in micro-, milli- and whole seconds.
    const PLACES: [&'static str; 4] = ["{value}", "{us}", "{ms}", "{s}"];

    /// The lines for whatever value: each place reads `VALUE`.
    #[must_use]
    pub fn with_places(&self) -> FixLines {
        let shown = |line: &&str| {
            Fix::PLACES.iter().fold((*line).to_owned(), |line, place| line.replace(place, "VALUE"))
        };
        FixLines { system: self.system, lines: self.lines.iter().map(shown).collect() }
    }
}

/// A fix for one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixLines {
    /// As [`Fix::system`].
    pub system: &'static str,
    /// As one types them.
    pub lines: Vec<String>,
}

impl FixLines {
    /// The same for IPv6, where the lines are about a route: `ip route` alone means IPv4.
    #[must_use]
    pub fn over_ipv6(mut self) -> FixLines {
        for line in &mut self.lines {
            *line = line.replace("ip route ", "ip -6 route ");
        }
        self
    }
}

impl Knob {
    /// How to give this knob `value`, per system, in the table's order; empty where no system lets one.
    ///
    /// ```
    /// use narrows_stack::knob;
    ///
    /// let fixes = knob::find("ack_delay_max").unwrap().fixes_for("10ms")?;
    /// let freebsd = fixes.iter().find(|fix| fix.system == "FreeBSD (sysctl)").unwrap();
    /// assert_eq!(freebsd.lines, ["sudo sysctl net.inet.tcp.delacktime=10"]);
    /// # Ok::<(), knob::KnobError>(())
    /// ```
    ///
    /// # Errors
    /// [`KnobError::Invalid`] when the knob does not take that value.
    pub fn fixes_for(&self, value: &str) -> Result<Vec<FixLines>, KnobError> {
        let value = self.parse(values::canonical(self.name, value))?;
        let text = self.kind.text(value);
        // A word in place of a number, as `off`, does not go where a number would.
        let word = matches!((self.kind, value), (Kind::Integer { zero: Some(_), .. }, Value::Integer(0)));
        let fits = |fix: &&Fix| fix.value == text || (!word && fix.value == Fix::ANY);
        let [any, us, ms, s] = Fix::PLACES;
        let fill = |line: &&str| match value {
            Value::Bool(_) | Value::Choice(_) => line.replace(any, &text),
            // "auto" and "exact" have no number to type.
            Value::Integer(number) => line.replace(any, &number.to_string()),
            Value::Duration(time) => line
                .replace(us, &time.as_micros().to_string())
                .replace(ms, &time.as_millis().max(1).to_string())
                .replace(s, &time.as_secs().max(1).to_string()),
        };
        let fixes = self.fixes.iter().filter(fits);
        Ok(fixes
            .map(|fix| FixLines { system: fix.system, lines: fix.lines.iter().map(fill).collect() })
            .collect())
    }
}

/// The row with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Knob> {
    KNOBS.iter().find(|knob| knob.name == name)
}

#[cfg(test)]
mod tests;
