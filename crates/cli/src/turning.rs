//! Which knob is to be turned, on which side, to what? `SIDE.KNOB=VALUE`, read and written.

use narrows_stack::Knobs;
use narrows_stack::knob::{self, KnobError, Scope};
use narrows_whatif::{KnobSide, Turning};

const SIDES: [KnobSide; 4] = [KnobSide::Client, KnobSide::Server, KnobSide::Both, KnobSide::Path];

/// Why a turning could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TurningError {
    /// Not of the form.
    #[error("`{0}` is not SIDE.KNOB=VALUE (as in client.nodelay=true)")]
    Form(String),
    /// No such side.
    #[error("`{0}` is not a side: write client, server, both or path")]
    Side(String),
    /// A knob of the path on a host, or the other way round.
    #[error("knob `{knob}` belongs to the {scope}: write {instead}.{knob}=…")]
    Place {
        /// The knob.
        knob: &'static str,
        /// Where it is.
        scope: &'static str,
        /// The side to write.
        instead: &'static str,
    },
    /// No such knob, or not a value of it.
    #[error(transparent)]
    Knob(#[from] KnobError),
}

/// Reads `client.nodelay=true`.
///
/// # Errors
/// Names the part that is wrong and what is possible there.
pub fn parse(text: &str) -> Result<Turning, TurningError> {
    let form = || TurningError::Form(text.to_owned());
    let (place, value) = text.split_once('=').ok_or_else(form)?;
    let (side, name) = place.split_once('.').ok_or_else(form)?;
    let side = SIDES
        .into_iter()
        .find(|known| known.name() == side)
        .ok_or_else(|| TurningError::Side(side.to_owned()))?;
    // The knobs of applications and of the path are in the table, too, but a host has no value for them.
    match Knobs::default().set(name, value) {
        Ok(()) | Err(KnobError::NotOfTheStack { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if let Some(knob) = knob::find(name) {
        let on_path = knob.scope == Scope::Path;
        if on_path != (side == KnobSide::Path) {
            let instead = if on_path { "path" } else { "client, server or both" };
            return Err(TurningError::Place { knob: knob.name, scope: knob.scope.name(), instead });
        }
    }
    let (value, by) = way(name, value);
    Ok(Turning { knob: name.to_owned(), side, value: value.to_owned(), by: by.map(str::to_owned) })
}

/// A knob that can be turned in two ways has the way as its value in the table; everywhere else it is on or off, *by* a way.
fn way<'a>(name: &str, value: &'a str) -> (&'a str, Option<&'static str>) {
    match (name, value) {
        ("quickack", "socket") => ("true", Some("socket")),
        ("quickack", "off" | "false" | "no" | "0") => ("false", None),
        ("quickack", _) => ("true", Some("route")),
        _ => (value, None),
    }
}

/// Writes a turning as `--turn` reads it.
pub fn spell(turning: &Turning) -> String {
    let value = turning.by.as_ref().unwrap_or(&turning.value);
    format!("{}.{}={value}", turning.side.name(), turning.knob)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_read_is_written_back() {
        for text in ["client.nodelay=true", "server.quickack=route", "both.ack_delay_min=10ms"] {
            assert_eq!(parse(text).map(|turning| spell(&turning)), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_way_to_turn_is_no_value() {
        let turning = |text| parse(text).map(|turning| (turning.value, turning.by));
        assert_eq!(turning("server.quickack=socket"), Ok(("true".to_owned(), Some("socket".to_owned()))));
        assert_eq!(turning("server.quickack=true"), Ok(("true".to_owned(), Some("route".to_owned()))));
        assert_eq!(turning("server.quickack=off"), Ok(("false".to_owned(), None)));
    }

    #[test]
    fn an_error_names_what_is_wrong_and_what_is_possible() {
        let message = |text| parse(text).unwrap_err().to_string();
        assert!(message("nodelay=true").contains("SIDE.KNOB=VALUE"));
        assert!(message("client.nodelay").contains("SIDE.KNOB=VALUE"));
        assert!(message("proxy.nodelay=true").contains("client, server, both or path"));
        assert!(message("client.nodleay=true").contains("nodelay"));
        assert!(message("client.nodelay=perhaps").contains("true or false"));
        assert!(message("client.nodelay=").contains("true or false"));
        assert!(message("path.nodelay=true").contains("client, server or both"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,30}", side in "client|path|x", knob in "nodelay|quickack|hz") {
            let _ = parse(&text);
            let _ = parse(&format!("{side}.{knob}={text}"));
        }
    }
}
