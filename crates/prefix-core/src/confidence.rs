//! The confidence of a report: a finite number from 0 to 1.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A confidence, `0.0..=1.0`, never NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Confidence(f64);

/// The number is no confidence.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("confidence must be a number from 0 to 1, not {0}")]
pub struct ConfidenceError(f64);

impl Confidence {
    /// 0: no confidence.
    pub const ZERO: Self = Self(0.0);
    /// 1: certain.
    pub const ONE: Self = Self(1.0);

    /// A confidence of this value.
    ///
    /// # Errors
    /// The value is below 0, above 1, or NaN.
    pub fn new(value: f64) -> Result<Self, ConfidenceError> {
        // -0.0 would pass the range and be shown with its sign
        if (0.0..=1.0).contains(&value) { Ok(Self(value + 0.0)) } else { Err(ConfidenceError(value)) }
    }

    /// The nearest confidence; NaN becomes 0.
    pub fn clamped(value: f64) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) + 0.0 })
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl Eq for Confidence {}

impl Ord for Confidence {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Confidence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

checked_number!(Confidence(f64), Confidence::new, ConfidenceError);

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_from_zero_to_one_are_confidences() {
        for good in [0.0, 0.5, 1.0] {
            assert_eq!(Confidence::new(good).unwrap().value().to_bits(), good.to_bits());
        }
        for bad in [-0.1, 1.1, 7.0, f64::NAN, f64::INFINITY] {
            assert!(Confidence::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn clamping_never_fails() {
        assert_eq!(Confidence::clamped(f64::NAN), Confidence::ZERO);
        assert_eq!(Confidence::clamped(7.0), Confidence::ONE);
    }
}
