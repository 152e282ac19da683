//! Which knob is to be turned, on which side, to what? `SIDE.KNOB[@WAY]=VALUE`, read and written.

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
}

/// Reads `client.nodelay=true` or, where a knob can be turned in more than one way, `server.quickack@route=true`.
///
/// # Errors
/// Names the part that is wrong and what is possible there.
pub fn parse(text: &str) -> Result<Turning, TurningError> {
    let form = || TurningError::Form(text.to_owned());
    let (place, value) = text.split_once('=').ok_or_else(form)?;
    let (side, knob) = place.split_once('.').ok_or_else(form)?;
    let (knob, by) = match knob.split_once('@') {
        Some((knob, by)) => (knob, Some(by)),
        None => (knob, None),
    };
    if knob.is_empty() || value.is_empty() || by.is_some_and(str::is_empty) {
        return Err(form());
    }
    let side = SIDES
        .into_iter()
        .find(|known| known.name() == side)
        .ok_or_else(|| TurningError::Side(side.to_owned()))?;
    Ok(Turning { knob: knob.to_owned(), side, value: value.to_owned(), by: by.map(str::to_owned) })
}

/// Writes a turning as `--turn` reads it.
pub fn spell(turning: &Turning) -> String {
    let by = turning.by.as_ref().map(|by| format!("@{by}")).unwrap_or_default();
    format!("{}.{}{by}={}", turning.side.name(), turning.knob, turning.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_read_is_written_back() {
        for text in ["client.nodelay=true", "server.quickack@route=true", "path.loss=0.01", "both.mtu=9000"] {
            assert_eq!(parse(text).map(|turning| spell(&turning)), Ok(text.to_owned()));
        }
    }

    #[test]
    fn an_error_names_what_is_wrong() {
        assert_eq!(parse("nodelay=true"), Err(TurningError::Form("nodelay=true".to_owned())));
        assert_eq!(parse("client.nodelay"), Err(TurningError::Form("client.nodelay".to_owned())));
        assert_eq!(parse("client.nodelay="), Err(TurningError::Form("client.nodelay=".to_owned())));
        assert_eq!(parse("proxy.nodelay=true"), Err(TurningError::Side("proxy".to_owned())));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,30}") {
            let _ = parse(&text);
        }
    }
}
