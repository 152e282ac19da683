//! How does a prediction become what an application's clock measures?
//!
//! A capture knows exchanges and the connection's duration; the truth's values are means and totals by the words of
//! its `value`.

use narrows_trace::Connection;
use narrows_whatif::{Estimate, Prediction};
use std::time::Duration;

/// What a value measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Mean time from a request's first write to the last byte of its answer.
    MeanExchange,
    /// The same, and the first of this many requests has connecting in it.
    MeanWithConnect {
        /// How many requests the application counted.
        requests: u32,
    },
    /// From connecting to the last byte of the last answer.
    Total,
}

impl Measure {
    /// By the truth's words; `None` for what a prediction does not speak of.
    pub fn of(value: &str, requests: u32) -> Option<Measure> {
        match value {
            "mean request latency" => Some(Measure::MeanExchange),
            "mean time per request" => Some(Measure::MeanWithConnect { requests: requests.max(1) }),
            "total time" | "upload time" => Some(Measure::Total),
            _ => None,
        }
    }

    /// The prediction in this measure.
    pub fn estimate(self, connection: &Connection, prediction: &Prediction) -> Option<Estimate> {
        let connecting = connection.round_trip.path.unwrap_or_default();
        match self {
            Measure::MeanExchange => prediction.exchange,
            Measure::MeanWithConnect { requests } => {
                let share = connecting / requests;
                prediction.exchange.map(|e| shifted(e, |time| time + share))
            }
            Measure::Total => {
                let tail = after_last_answer(connection, prediction.exchange.map(|e| e.before), connecting);
                Some(shifted(prediction.duration, |time| time.saturating_sub(tail)))
            }
        }
    }
}

/// How long the connection goes on after its last answer: closing.
fn after_last_answer(connection: &Connection, exchange: Option<Duration>, connecting: Duration) -> Duration {
    let Some(exchange) = exchange else { return Duration::ZERO };
    let opening = if connection.handshake_seen { connecting } else { Duration::ZERO };
    let busy = opening + exchange * connection.exchanges + connection.account.client_thinking;
    connection.duration.saturating_sub(busy)
}

fn shifted(estimate: Estimate, by: impl Fn(Duration) -> Duration) -> Estimate {
    Estimate {
        before: by(estimate.before),
        after: by(estimate.after),
        low: by(estimate.low),
        high: by(estimate.high),
    }
}

#[cfg(test)]
mod tests {
    use super::Measure;

    #[test]
    fn words_that_no_prediction_speaks_of_have_no_measure() {
        assert_eq!(Measure::of("mean delivery latency", 3), None);
        assert_eq!(Measure::of("mean time per request", 0), Some(Measure::MeanWithConnect { requests: 1 }));
    }
}
