//! How long to wait.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A time to wait, in seconds. This server tells whole ones; a fraction of another is read, too.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Seconds {
    /// Whole seconds.
    Whole(u64),
    /// With a fraction.
    Fraction(f64),
}

impl Seconds {
    /// The same time; `None` if it is negative or not finite.
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::Whole(seconds) => Some(Duration::from_secs(seconds)),
            Self::Fraction(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        }
    }
}

impl From<u64> for Seconds {
    fn from(seconds: u64) -> Self {
        Self::Whole(seconds)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(seconds) => seconds.fmt(formatter),
            Self::Fraction(seconds) => seconds.fmt(formatter),
        }
    }
}
