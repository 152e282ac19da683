//! How is a quantity written? Times in µs, ms or s with three significant digits, counts, shares and factors.

use std::time::Duration;

const UNITS: [(f64, &str); 3] = [(1e3, "µs"), (1e6, "ms"), (1e9, "s")];

/// The number and the unit of a time.
fn split(duration: Duration) -> (String, &'static str) {
    let nanoseconds = duration.as_nanos() as f64;
    if nanoseconds == 0.0 {
        return ("0".to_owned(), "s");
    }
    // 999.5 of a unit would be rounded to four digits: it belongs to the next unit.
    let (size, name) =
        UNITS.into_iter().find(|(size, _)| nanoseconds < 999.5 * size).unwrap_or(UNITS[UNITS.len() - 1]);
    let value = nanoseconds / size;
    let decimals = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    (format!("{value:.decimals$}"), name)
}

/// `8.46 s`, `63.2 ms`, `412 µs`; zero is `0 s`.
pub fn duration(duration: Duration) -> String {
    let (number, unit) = split(duration);
    format!("{number} {unit}")
}

/// Two times and what stands between them, the unit written once where it is the same: `8.46 → 2.10 s`.
pub fn pair(first: Duration, between: &str, second: Duration) -> String {
    let (first_number, first_unit) = split(first);
    let (second_number, second_unit) = split(second);
    if first_unit == second_unit || first.is_zero() {
        format!("{first_number}{between}{second_number} {second_unit}")
    } else {
        format!("{first_number} {first_unit}{between}{second_number} {second_unit}")
    }
}

/// A range beside the value it belongs to: `2.06–2.35`, with the unit where it is not the value's.
pub fn range(low: Duration, high: Duration, value: Duration) -> String {
    let (low_number, low_unit) = split(low);
    let (high_number, high_unit) = split(high);
    if [low_unit, high_unit].iter().all(|unit| *unit == split(value).1) {
        format!("{low_number}–{high_number}")
    } else {
        pair(low, "–", high)
    }
}

/// A rate in bits per second: `40.0 Mbit/s`, `500 kbit/s`.
pub fn rate(bits_per_second: u64) -> String {
    const UNITS: [(f64, &str); 3] = [(1e3, "kbit/s"), (1e6, "Mbit/s"), (1e9, "Gbit/s")];
    let rate = bits_per_second as f64;
    let (size, name) = UNITS.into_iter().rfind(|(size, _)| rate >= 0.9995 * size).unwrap_or(UNITS[0]);
    let value = rate / size;
    let decimals = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.decimals$} {name}")
}

/// A count with separators from 10,000 on.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 packet`, `12 packets`.
pub fn plural(value: u64, noun: &str) -> String {
    let ending = if value == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(value))
}

/// The share of a part in a whole; 0 when there is no whole.
pub fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { part.as_secs_f64() / whole.as_secs_f64() }
}

/// `75 %`; what is there but would be rounded to nothing is `<1 %`.
pub fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.005 { "<1 %".to_owned() } else { format!("{:.0} %", share * 100.0) }
}

/// A signed relative error: `+0.6 %`, `-12.0 %`.
pub fn signed_percent(error: f64) -> String {
    let text = format!("{:+.1} %", error * 100.0);
    if text == "-0.0 %" { "+0.0 %".to_owned() } else { text }
}

/// How many times faster: `4.0x`, `36x`; `no gain` within 2 %, and below that how much slower.
pub fn factor(before: Duration, after: Duration) -> String {
    let before = before.as_secs_f64();
    let after = after.as_secs_f64();
    if before <= after * 1.02 && after <= before * 1.02 {
        "no gain".to_owned()
    } else if after > before {
        format!("{}x slower", times(after, before))
    } else {
        format!("{}x", times(before, after))
    }
}

fn times(larger: f64, smaller: f64) -> String {
    if smaller <= 0.0 {
        return ">1000".to_owned();
    }
    let factor = larger / smaller;
    if factor < 1.195 {
        format!("{factor:.2}")
    } else if factor < 9.95 {
        format!("{factor:.1}")
    } else if factor < 1000.0 {
        format!("{factor:.0}")
    } else {
        ">1000".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nanos(value: u64) -> Duration {
        Duration::from_nanos(value)
    }

    #[test]
    fn times_have_three_significant_digits() {
        for (nanoseconds, text) in [
            (0, "0 s"),
            (800, "0.80 µs"),
            (1_234, "1.23 µs"),
            (412_000, "412 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (9_995_000, "10.0 ms"),
            (63_240_000, "63.2 ms"),
            (99_949_999, "99.9 ms"),
            (99_950_000, "100 ms"),
            (999_600_000, "1.00 s"),
            (8_460_000_000, "8.46 s"),
            (1_234_000_000_000, "1234 s"),
        ] {
            assert_eq!(duration(nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn a_pair_names_a_common_unit_once() {
        assert_eq!(pair(nanos(8_460_000_000), " → ", nanos(2_100_000_000)), "8.46 → 2.10 s");
        assert_eq!(pair(nanos(2_210_000_000), " → ", nanos(60_300_000)), "2.21 s → 60.3 ms");
        assert_eq!(pair(nanos(0), "–", nanos(60_300_000)), "0–60.3 ms");
    }

    #[test]
    fn a_range_has_units_where_they_differ_from_the_values() {
        let second = 1_000_000_000;
        assert_eq!(range(nanos(2 * second), nanos(3 * second), nanos(2 * second)), "2.00–3.00");
        assert_eq!(range(nanos(second / 2), nanos(3 * second), nanos(2 * second)), "500 ms–3.00 s");
        assert_eq!(range(nanos(second / 5), nanos(second / 2), nanos(second)), "200–500 ms");
    }

    #[test]
    fn factors_say_when_there_is_no_gain() {
        assert_eq!(factor(nanos(8_400), nanos(2_100)), "4.0x");
        assert_eq!(factor(nanos(36_600), nanos(1_000)), "37x");
        assert_eq!(factor(nanos(1_500), nanos(1_000)), "1.5x");
        assert_eq!(factor(nanos(1_100), nanos(1_000)), "1.10x");
        assert_eq!(factor(nanos(1_000), nanos(1_019)), "no gain");
        assert_eq!(factor(nanos(0), nanos(0)), "no gain");
        assert_eq!(factor(nanos(1_000), nanos(1_500)), "1.5x slower");
        assert_eq!(factor(nanos(1_000), nanos(0)), ">1000x");
    }

    #[test]
    fn shares_and_errors() {
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.0001), "<1 %");
        assert_eq!(percent(0.749), "75 %");
        assert_eq!(signed_percent(-0.0001), "+0.0 %");
        assert_eq!(signed_percent(-0.006), "-0.6 %");
        assert_eq!(share(nanos(1), nanos(0)), 0.0);
    }

    #[test]
    fn rates_have_three_digits() {
        let rates = [900, 56_000, 999_600, 40_000_000, 1_200_000_000];
        let expected = ["0.90 kbit/s", "56.0 kbit/s", "1.00 Mbit/s", "40.0 Mbit/s", "1.20 Gbit/s"];
        assert_eq!(rates.map(rate), expected);
    }

    #[test]
    fn counts_are_separated_from_ten_thousand() {
        assert_eq!(count(9_999), "9999");
        assert_eq!(count(2_640_097), "2,640,097");
        assert_eq!(plural(1, "packet"), "1 packet");
        assert_eq!(plural(0, "packet"), "0 packets");
    }

    proptest! {
        #[test]
        fn what_is_written_is_within_half_a_percent(nanoseconds in 100_000u64..10_000_000_000_000) {
            let text = duration(nanos(nanoseconds));
            let (number, unit) = text.split_once(' ').expect("a number and a unit");
            let size = UNITS.iter().find(|(_, name)| *name == unit).expect("a known unit").0;
            let read: f64 = number.parse().expect("a number");
            prop_assert!((read * size / nanoseconds as f64 - 1.0).abs() <= 0.0051, "{} -> {}", nanoseconds, text);
        }
    }
}
