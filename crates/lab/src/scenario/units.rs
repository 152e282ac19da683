//! How is a quantity of a scenario written? `20ms`, `100Mbit/s`, `64KB`, `1%`: each exactly, no floating point between.

use std::time::Duration;

const DURATION_UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
];
const RATE_UNITS: &[(&str, u64)] =
    &[("bit/s", 1), ("kbit/s", 1_000), ("Mbit/s", 1_000_000), ("Gbit/s", 1_000_000_000)];
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// What a duration looks like, for errors.
pub const DURATION_EXPECTED: &str = "a duration with its unit (ns, us, ms, s, min), as \"20ms\" or \"1.5s\"";
/// What a rate looks like, for errors.
pub const RATE_EXPECTED: &str = "a rate with its unit (bit/s, kbit/s, Mbit/s, Gbit/s), as \"100Mbit/s\"";
/// What a size looks like, for errors.
pub const SIZE_EXPECTED: &str = "a number of bytes, or a size with its unit (B, KB = 1000 bytes, KiB = 1024 bytes, MB, MiB, GB, GiB), as \"64KB\"";
/// What a probability looks like, for errors.
pub const PROBABILITY_EXPECTED: &str = "a probability from 0 to 1, or a percentage, as 0.01 or \"1%\"";

/// Reads a duration: `20ms`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    scaled(text, DURATION_UNITS).map(Duration::from_nanos)
}

/// Reads a rate in bits per second: `100Mbit/s`.
#[must_use]
pub fn parse_rate(text: &str) -> Option<u64> {
    scaled(text, RATE_UNITS)
}

/// Reads a size in bytes: `64KB`.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    scaled(text, SIZE_UNITS)
}

/// Reads a probability: `0.01` or `1%`.
#[must_use]
pub fn parse_probability(text: &str) -> Option<f64> {
    let text = text.trim();
    let value = match text.strip_suffix('%') {
        // By the decimal point, so that 1% is what 0.01 is.
        Some(percent) => format!("{}e-2", percent.trim_end()).parse::<f64>().ok()?,
        None => text.parse::<f64>().ok()?,
    };
    (0.0..=1.0).contains(&value).then_some(value)
}

/// A duration as [`parse_duration`] reads it, in the largest unit that needs no fraction.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let (unit, size) = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)]
        .into_iter()
        .find(|(_, size)| nanoseconds.is_multiple_of(*size) && nanoseconds != 0)
        .unwrap_or(("ms", 1_000_000));
    format!("{}{unit}", nanoseconds / size)
}

/// A rate as [`parse_rate`] reads it.
#[must_use]
pub fn rate_text(bits_per_second: u64) -> String {
    whole(
        bits_per_second,
        &[("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1_000), ("bit/s", 1)],
    )
}

/// A size as [`parse_size`] reads it.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    whole(
        bytes,
        &[
            ("GB", 1_000_000_000),
            ("MB", 1_000_000),
            ("GiB", 1 << 30),
            ("MiB", 1 << 20),
            ("KB", 1_000),
            ("KiB", 1 << 10),
            ("B", 1),
        ],
    )
}

fn whole(value: u64, units: &[(&str, u64)]) -> String {
    let fits = units.iter().find(|(_, size)| value != 0 && value.is_multiple_of(*size));
    let (unit, size) = fits.or(units.last()).copied().unwrap_or(("", 1));
    format!("{}{unit}", value / size)
}

/// A decimal number and one of the units, as a whole number of the smallest unit; `None` when it is not one.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start();
    let size = units.iter().find(|(name, _)| *name == unit).or_else(|| {
        // `mbit/s` is taken for Mbit/s, there being no milli-bit; units that differ in case only are never confused.
        let mut same = units.iter().filter(|(name, _)| name.eq_ignore_ascii_case(unit));
        same.next().filter(|_| same.next().is_none())
    })?;
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if whole.is_empty() || fraction.contains('.') || fraction.len() > 9 {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scaled = whole.checked_mul(scale)?.checked_add(fraction)?.checked_mul(u128::from(size.1))?;
    if !scaled.is_multiple_of(scale) {
        return None;
    }
    u64::try_from(scaled / scale).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_write_is_read() {
        assert_eq!(parse_duration("20ms"), Some(Duration::from_millis(20)));
        assert_eq!(parse_duration(" 1.5 s "), Some(Duration::from_millis(1_500)));
        assert_eq!(parse_duration("0.25us"), Some(Duration::from_nanos(250)));
        assert_eq!(parse_duration("7µs"), Some(Duration::from_micros(7)));
        assert_eq!(parse_duration("2min"), Some(Duration::from_secs(120)));
        assert_eq!(parse_rate("100Mbit/s"), Some(100_000_000));
        assert_eq!(parse_rate("2.5gbit/s"), Some(2_500_000_000));
        assert_eq!(parse_size("64KB"), Some(64_000));
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("1_500B"), Some(1_500));
        assert_eq!(parse_probability("1%"), Some(0.01));
        assert_eq!(parse_probability("0.25"), Some(0.25));
    }

    #[test]
    fn what_is_not_a_quantity_is_refused() {
        for text in
            ["", "20", "ms", "-1ms", "1.2.3ms", "0.1ns", "20 parsecs", "999999999999999999s", ".5s", "1e3ms"]
        {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        for text in ["100", "100Mbit", "0.5bit/s"] {
            assert_eq!(parse_rate(text), None, "{text}");
        }
        for text in ["64", "1.5B", "64K"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
        for text in ["101%", "-0.1", "nan", "%", "1e9"] {
            assert_eq!(parse_probability(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value: u64) {
            prop_assert_eq!(parse_duration(&duration_text(Duration::from_nanos(value))), Some(Duration::from_nanos(value)));
            prop_assert_eq!(parse_rate(&rate_text(value)), Some(value));
            prop_assert_eq!(parse_size(&size_text(value)), Some(value));
        }

        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,40}") {
            let _ = (parse_duration(&text), parse_rate(&text), parse_size(&text), parse_probability(&text));
        }
    }
}
