//! Where does chance come from? One stream per name, derived from the world's seed.

/// A stream of pseudo-random numbers (xoshiro256++, seeded with SplitMix64).
///
/// Streams are derived from a seed and a *name*, so that adding a host or a link to a world leaves the chances of all
/// others as they were. Not for secrets.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream that `name` has in a world with this seed.
    #[must_use]
    pub fn derive(seed: u64, name: &str) -> Random {
        let mut mix = seed ^ 0x6e61_7272_6f77_735f;
        for &byte in name.as_bytes() {
            mix = split_mix(&mut (mix ^ u64::from(byte)));
        }
        let mut state = [0; 4];
        for word in &mut state {
            *word = split_mix(&mut mix);
        }
        Random { state }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let mut state = [a, b, c ^ a, d ^ b];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= b << 17;
        state[3] = state[3].rotate_left(45);
        self.state = state;
        result
    }

    /// A number below `limit` (0 when `limit` is 0), every one as likely but for a bias below `limit` / 2⁶⁴.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(limit)) >> 64) as u64
    }

    /// True with the given probability. Draws nothing when the answer is certain.
    pub fn chance(&mut self, probability: f64) -> bool {
        if probability <= 0.0 {
            return false;
        }
        if probability >= 1.0 {
            return true;
        }
        ((self.next_u64() >> 11) as f64) * (1.0 / (1u64 << 53) as f64) < probability
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_xoshiro256_plus_plus() {
        // First outputs for the state 1, 2, 3, 4, from the reference implementation.
        let mut random = Random { state: [1, 2, 3, 4] };
        let first: Vec<u64> = (0..4).map(|_| random.next_u64()).collect();
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn a_stream_depends_on_seed_and_name_only() {
        let draw = |seed, name| Random::derive(seed, name).next_u64();
        assert_eq!(draw(1, "client"), draw(1, "client"));
        assert_ne!(draw(1, "client"), draw(2, "client"));
        assert_ne!(draw(1, "client"), draw(1, "server"));
        assert_ne!(draw(1, "ab"), draw(1, "ba"));
    }

    #[test]
    fn chances_come_out_as_often_as_asked() {
        let mut random = Random::derive(7, "loss");
        let hits = (0..100_000).filter(|_| random.chance(0.03)).count();
        assert!((2_800..3_200).contains(&hits), "{hits}");
        assert!(!random.chance(0.0) && random.chance(1.0) && !random.chance(f64::NAN));
    }

    #[test]
    fn numbers_stay_below_the_limit_and_reach_all_of_it() {
        let mut random = Random::derive(7, "phase");
        let mut seen = [false; 10];
        for _ in 0..1_000 {
            seen[random.below(10) as usize] = true;
        }
        assert_eq!(seen, [true; 10]);
        assert_eq!(random.below(0), 0);
    }
}
