//! What is compared of a run? The quantities that both kinds of hosts have, by name.

use crate::compare::Unit;
use crate::take::{TIMEOUTS, Take};
use crate::tally::Sent;
use std::time::Duration;

/// One quantity of one run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantity {
    /// As in [`crate::Comparison::rows`].
    pub name: String,
    pub unit: Unit,
    pub value: f64,
}

/// These make a row only where there are any.
pub(crate) fn is_rare(name: &str) -> bool {
    ["fragments of ", "marks at ", "reductions of "].iter().any(|rare| name.starts_with(rare))
}

/// All of a run, in the order of the rows; the same names for every run of a scenario.
pub(crate) fn quantities(take: &Take) -> Vec<Quantity> {
    let mut all = Vec::new();
    let mut add = |name: &str, unit, value| all.push(Quantity { name: name.to_owned(), unit, value });
    add("completion", Unit::Seconds, take.completion.as_secs_f64());
    add("finished", Unit::Count, f64::from(u8::from(take.finished)));
    if !take.exchanges.is_empty() {
        let seconds: Vec<f64> = take.exchanges.iter().map(Duration::as_secs_f64).collect();
        add("exchange mean", Unit::Seconds, seconds.iter().sum::<f64>() / seconds.len() as f64);
        add("exchange p50", Unit::Seconds, quantile(&seconds, 0.5));
        add("exchange p99", Unit::Seconds, quantile(&seconds, 0.99));
    }
    if let Some(datagrams) = &take.datagrams {
        add("datagrams sent", Unit::Count, datagrams.sent as f64);
        add("datagrams refused", Unit::Count, datagrams.refused as f64);
        add("datagrams received", Unit::Count, datagrams.received as f64);
        add("delivered", Unit::Share, datagrams.delivered());
    }
    if take.read.len() > 1 {
        add("bytes read", Unit::Bytes, take.read.iter().sum::<u64>() as f64);
        add("fairness", Unit::Share, fairness(&take.read));
    }
    for (index, (host, sent)) in take.sent.iter().enumerate() {
        let Sent { packets, bytes, fragments, acks, retransmissions, reductions, marks, .. } = *sent;
        let timeouts = take.counters.get(index).and_then(|(_, counters)| counters.get(TIMEOUTS));
        for (what, unit, value) in [
            ("packets of", Unit::Count, packets),
            ("bytes of", Unit::Bytes, bytes),
            ("fragments of", Unit::Count, fragments),
            ("ACKs of", Unit::Count, acks),
            ("retransmissions of", Unit::Count, retransmissions),
            ("timeouts of", Unit::Count, timeouts.copied().unwrap_or_default()),
            ("marks at", Unit::Count, marks),
            ("reductions of", Unit::Count, reductions),
        ] {
            add(&format!("{what} {host}"), unit, value as f64);
        }
    }
    all
}

/// Jain's index: 1 when all shares are alike, 1/n when one has everything.
fn fairness(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|share| *share as f64).sum();
    let squares: f64 = shares.iter().map(|share| (*share as f64).powi(2)).sum();
    if squares > 0.0 { sum * sum / (shares.len() as f64 * squares) } else { 1.0 }
}

/// The value that a part `q` does not exceed (nearest rank).
fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fairness_is_one_for_equal_shares_and_a_part_for_one_who_has_all() {
        assert_eq!(fairness(&[7, 7, 7, 7]), 1.0);
        assert_eq!(fairness(&[7, 0, 0, 0]), 0.25);
        assert_eq!(fairness(&[0, 0]), 1.0);
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.99)), (50.0, 99.0));
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
