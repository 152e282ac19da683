//! Is a finding large enough to fail the run? The threshold of `--fail-on`.

use crate::units;
use narrows_trace::Connection;
use std::str::FromStr;
use std::time::Duration;

/// From which size on a finding makes the exit status 1: any of the limits that is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Share of the connection's duration that is lost.
    pub share: Option<f64>,
    /// Time that is lost.
    pub lost: Option<Duration>,
}

impl Default for Threshold {
    fn default() -> Threshold {
        Threshold { share: Some(0.10), lost: Some(Duration::from_millis(100)) }
    }
}

impl Threshold {
    /// Whether any finding of the connection that is an alarm reaches one of the limits.
    pub fn is_reached_by(&self, connection: &Connection) -> bool {
        connection.findings.iter().filter(|finding| !finding.cause.is_information()).any(|finding| {
            self.lost.is_some_and(|limit| finding.lost >= limit)
                || self.share.is_some_and(|limit| units::share(finding.lost, connection.duration) >= limit)
        })
    }
}

/// Why a threshold could not be read.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("`{0}` is not a threshold: write a share (10%), a time (100ms, 2s, 500us), both (5%,50ms) or never")]
pub struct ThresholdError(String);

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Threshold, ThresholdError> {
        let mut threshold = Threshold { share: None, lost: None };
        if text == "never" {
            return Ok(threshold);
        }
        for part in text.split(',') {
            let part = part.trim();
            let wrong = || ThresholdError(part.to_owned());
            if let Some(number) = part.strip_suffix('%') {
                threshold.share = Some(positive(number).ok_or_else(wrong)? / 100.0);
            } else {
                threshold.lost = Some(time(part).ok_or_else(wrong)?);
            }
        }
        Ok(threshold)
    }
}

fn time(text: &str) -> Option<Duration> {
    let (number, seconds) = if let Some(number) = text.strip_suffix("ms") {
        (number, 1e-3)
    } else if let Some(number) = text.strip_suffix("us").or_else(|| text.strip_suffix("µs")) {
        (number, 1e-6)
    } else {
        (text.strip_suffix('s')?, 1.0)
    };
    Duration::try_from_secs_f64(positive(number)? * seconds).ok()
}

fn positive(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use proptest::prelude::*;

    #[test]
    fn shares_times_both_and_never() {
        assert_eq!("10%".parse(), Ok(Threshold { share: Some(0.1), lost: None }));
        assert_eq!("100ms".parse(), Ok(Threshold { share: None, lost: Some(Duration::from_millis(100)) }));
        assert_eq!(
            "5%, 50ms".parse(),
            Ok(Threshold { share: Some(0.05), lost: Some(Duration::from_millis(50)) })
        );
        assert_eq!("500us".parse(), Ok(Threshold { share: None, lost: Some(Duration::from_micros(500)) }));
        assert_eq!("2s".parse(), Ok(Threshold { share: None, lost: Some(Duration::from_secs(2)) }));
        assert_eq!("never".parse(), Ok(Threshold { share: None, lost: None }));
    }

    #[test]
    fn what_is_no_threshold_is_refused_by_name() {
        for text in ["", "10", "%", "-5%", "ms", "1h", "5%,", "nan%", "infs"] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
        assert!("5%,soon".parse::<Threshold>().unwrap_err().to_string().contains("`soon`"));
    }

    #[test]
    fn either_limit_is_enough() {
        let nagle = sample::nagle().connection; // 6.32 s of 8.46 s
        let reached = |text: &str| text.parse::<Threshold>().expect("a threshold").is_reached_by(&nagle);
        assert!(Threshold::default().is_reached_by(&nagle));
        assert!(reached("70%"));
        assert!(reached("90%,6s"));
        assert!(!reached("90%,7s"));
        assert!(!reached("never"));
        assert!(!Threshold::default().is_reached_by(&sample::healthy().connection));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,12}") {
            let _ = text.parse::<Threshold>();
        }
    }
}
