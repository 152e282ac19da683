//! How long does an exchange take: from the request's first byte to the answer's last, on the client's clock?

use crate::script::duration;
use std::time::Duration;

/// Exchanges while they are being heard. Times are nanoseconds on the client's clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchanges {
    open: Option<(i64, Option<i64>)>,
    count: u32,
    total: i64,
}

impl Exchanges {
    /// The client sends new payload.
    pub(crate) fn request(&mut self, at: i64) {
        if let Some((begin, Some(end))) = self.open {
            self.add(begin, end);
            self.open = None;
        }
        if self.open.is_none() {
            self.open = Some((at, None));
        }
    }

    /// Payload of the server arrives at the client.
    pub(crate) fn answer(&mut self, at: i64) {
        if let Some((_, end)) = &mut self.open {
            *end = Some(at);
        }
    }

    /// How many there were, and their mean time.
    pub(crate) fn finish(mut self) -> (u32, Option<Duration>) {
        if let Some((begin, Some(end))) = self.open {
            self.add(begin, end);
        }
        let mean = self.total.checked_div(i64::from(self.count)).map(duration);
        (self.count, mean)
    }

    fn add(&mut self, begin: i64, end: i64) {
        self.count = self.count.saturating_add(1);
        self.total = self.total.saturating_add(end - begin);
    }
}
