//! Chance that can be repeated: every random choice of a test comes from a seed that the test prints.

use std::time::Duration;

/// A small generator (xorshift64*); the same seed gives the same numbers in every run.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// From a seed; 0 is as good as any other.
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        // Close seeds begin with close numbers.
        for _ in 0..8 {
            random.next();
        }
        random
    }

    /// The seed in the variable `PREFIXD_SEED`, else `usual`; printed, so that a failure can be repeated.
    pub(crate) fn of_this_run(usual: u64) -> Self {
        let seed = number_of_environment("PREFIXD_SEED").unwrap_or(usual);
        println!("seed: PREFIXD_SEED={seed}");
        Self::from_seed(seed)
    }

    /// A generator of its own for a part of the test, so that parts do not take each other's numbers.
    pub(crate) fn fork(&mut self) -> Self {
        Self::from_seed(self.next())
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// A time below `bound`, in steps of a microsecond.
    pub(crate) fn moment_within(&mut self, bound: Duration) -> Duration {
        let bound = u64::try_from(bound.as_micros()).expect("a bound of a test");
        Duration::from_micros(self.below(bound))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// A number that a person put into the environment, like `PREFIXD_KILLS=1000`.
pub(crate) fn number_of_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}
