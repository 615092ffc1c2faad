//! Policy profiles scale a playbook to a customer's taste: protect early and hold long, or act late and let go early.

use prefix_core::confidence::Confidence;
use prefix_core::ttl::Ttl;
use prefix_core::words;

use crate::settings::clamped;

words! {
    /// The profile of a customer (configuration.md §4.3).
    #[derive(Default)]
    pub enum Profile {
        /// Protect early, hold long.
        Strict = "strict",
        /// As the playbook says.
        #[default]
        Normal = "normal",
        /// Act late, let go early.
        Relaxed = "relaxed",
    }
}

impl Profile {
    /// What persistence, required confidence and TTL are multiplied by.
    pub fn factors(self) -> (f64, f64, f64) {
        match self {
            Self::Strict => (0.5, 0.9, 1.5),
            Self::Normal => (1.0, 1.0, 1.0),
            Self::Relaxed => (2.0, 1.1, 0.75),
        }
    }

    /// Seconds of persistence, rounded to whole ones.
    pub fn persistence(self, seconds: u64) -> u32 {
        let scaled = (f64::from(clamped(seconds)) * self.factors().0).round().clamp(0.0, f64::from(u32::MAX));
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped on the line above"
        )]
        let scaled = scaled as u32;
        scaled
    }

    /// The required confidence, at most 1.
    pub fn confidence(self, required: Confidence) -> Confidence {
        match self {
            Self::Normal => required,
            _ => Confidence::clamped(required.value() * self.factors().1),
        }
    }

    /// The TTL, rounded to whole seconds.
    pub fn ttl(self, ttl: Ttl) -> Ttl {
        ttl.scaled(self.factors().2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_acts_early_and_holds_long_and_relaxed_the_other_way_round() {
        let ttl = Ttl::from_seconds(120).unwrap();
        let confidence = Confidence::new(0.8).unwrap();
        let of = |profile: Profile| {
            (profile.persistence(121), profile.confidence(confidence).value(), profile.ttl(ttl).seconds())
        };
        let (persistence, required, seconds) = of(Profile::Strict);
        assert_eq!((persistence, seconds), (61, 180));
        assert!((required - 0.72).abs() < 1e-9);
        assert_eq!(of(Profile::Normal), (121, 0.8, 120));
        let (persistence, required, seconds) = of(Profile::Relaxed);
        assert_eq!((persistence, seconds), (242, 90));
        assert!((required - 0.88).abs() < 1e-9);
    }

    #[test]
    fn a_required_confidence_never_exceeds_one() {
        assert_eq!(Profile::Relaxed.confidence(Confidence::clamped(0.95)), Confidence::ONE);
    }
}
