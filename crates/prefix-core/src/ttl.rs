//! Times to live, in whole seconds.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A time to live: 1 to 86,400 seconds. Every announced rule has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Ttl(u32);

/// The number is no time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("ttl_seconds must be 1 to 86400, not {0}")]
pub struct TtlError(u64);

impl Ttl {
    /// The longest: 86,400 s, one day.
    pub const MAX: Self = Self(86_400);

    /// A time to live of this number of seconds.
    ///
    /// # Errors
    /// 0, or more than 86,400.
    pub fn from_seconds(seconds: u64) -> Result<Self, TtlError> {
        match u32::try_from(seconds) {
            Ok(short @ 1..=86_400) => Ok(Self(short)),
            _ => Err(TtlError(seconds)),
        }
    }

    /// The number of seconds, 1..=86400.
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// The time at which it ends, counted from `start`.
    pub fn after(self, start: DateTime<Utc>) -> DateTime<Utc> {
        start + self.delta()
    }

    /// The duration.
    pub fn delta(self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.0))
    }

    /// Multiplied, rounded to whole seconds, and kept within `1..=86400`.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        let seconds = (f64::from(self.0) * factor).round().clamp(1.0, f64::from(Self::MAX.0));
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped on the line above"
        )]
        Self(seconds as u32)
    }
}

checked_number!(Ttl(u64), Ttl::from_seconds, TtlError);

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_never_zero_and_never_longer_than_a_day() {
        assert!(Ttl::from_seconds(0).is_err());
        assert!(Ttl::from_seconds(86_401).is_err());
        assert_eq!(Ttl::from_seconds(86_400).unwrap(), Ttl::MAX);
    }

    #[test]
    fn scaling_rounds_to_whole_seconds() {
        let ttl = Ttl::from_seconds(31).unwrap();
        assert_eq!(ttl.scaled(1.5).seconds(), 47);
        assert_eq!(ttl.scaled(0.0).seconds(), 1);
        assert_eq!(Ttl::MAX.scaled(2.0), Ttl::MAX);
    }
}
