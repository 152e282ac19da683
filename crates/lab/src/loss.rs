//! Is this packet lost by chance? Independent losses, and those that come in bursts.

use crate::link::{GilbertElliott, Loss};
use crate::random::Random;

/// Random loss at work in one direction of a link.
#[derive(Clone, Debug)]
pub(crate) struct LossProcess {
    loss: Loss,
    random: Random,
    bad: bool,
}

impl LossProcess {
    pub fn new(loss: Loss, random: Random) -> LossProcess {
        LossProcess { loss, random, bad: false }
    }

    /// Whether the next packet is lost.
    pub fn next_is_lost(&mut self) -> bool {
        match self.loss {
            Loss::None => false,
            Loss::Random(probability) => self.random.chance(probability),
            Loss::GilbertElliott(model) => self.burst(model),
        }
    }

    fn burst(&mut self, model: GilbertElliott) -> bool {
        let (loss, change) =
            if self.bad { (model.loss_in_bad, model.to_good) } else { (model.loss_in_good, model.to_bad) };
        let lost = self.random.chance(loss);
        if self.random.chance(change) {
            self.bad = !self.bad;
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(model: GilbertElliott, packets: usize) -> Vec<bool> {
        let mut process = LossProcess::new(Loss::GilbertElliott(model), Random::derive(3, "loss"));
        (0..packets).map(|_| process.next_is_lost()).collect()
    }

    #[test]
    fn the_share_lost_is_the_models_mean_and_bursts_are_as_long_as_it_says() {
        let model = GilbertElliott { to_bad: 0.01, to_good: 0.25, loss_in_good: 0.0, loss_in_bad: 1.0 };
        let lost = losses(model, 400_000);
        let share = lost.iter().filter(|&&lost| lost).count() as f64 / lost.len() as f64;
        assert!((share / model.mean_loss() - 1.0).abs() < 0.05, "{share} for {}", model.mean_loss());
        let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
        let length = lost.iter().filter(|&&lost| lost).count() as f64 / bursts;
        // A burst of the bad state lasts 1/r packets.
        assert!((length - 4.0).abs() < 0.2, "{length}");
    }

    #[test]
    fn equal_states_are_independent_loss() {
        let model = GilbertElliott { to_bad: 0.5, to_good: 0.5, loss_in_good: 0.1, loss_in_bad: 0.1 };
        let lost = losses(model, 100_000);
        let share = lost.iter().filter(|&&lost| lost).count() as f64 / 1e5;
        let pairs = lost.windows(2).filter(|pair| pair[0] && pair[1]).count() as f64 / 1e5;
        assert!((share - 0.1).abs() < 0.005 && (pairs - 0.01).abs() < 0.002, "{share} {pairs}");
    }

    #[test]
    fn certain_states_draw_no_chance_and_never_change() {
        let model = GilbertElliott { to_bad: 0.0, to_good: 1.0, loss_in_good: 0.0, loss_in_bad: 1.0 };
        assert!(losses(model, 1_000).iter().all(|&lost| !lost));
        assert_eq!(model.mean_loss(), 0.0);
        let model = GilbertElliott { to_bad: 1.0, to_good: 1.0, loss_in_good: 0.0, loss_in_bad: 1.0 };
        assert_eq!(losses(model, 6), [false, true, false, true, false, true]);
    }
}
