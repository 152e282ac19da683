//! How is a turning written? As `--turn` reads it.

use narrows_whatif::Turning;

/// `client.nodelay=true`; where a knob can be turned in several ways, the way: `server.quickack=route`.
pub fn spell(turning: &Turning) -> String {
    let value = turning.by.as_ref().unwrap_or(&turning.value);
    format!("{}.{}={value}", turning.side.name(), turning.knob)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "client.nodelay=true",
            "server.quickack=route",
            "both.ack_delay_max=10ms",
            "server.quickack=false",
        ] {
            let turning: Turning = text.parse().expect("a turning");
            assert_eq!(spell(&turning), text);
        }
    }
}
