//! Rates with their unit in the type: bits and packets per second cannot be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The largest rate, 2^63-1: what a signed 64-bit column holds.
pub const MAX_RATE: u64 = i64::MAX.unsigned_abs();

/// The rate is more than 2^63-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a rate of {0} is too large, the largest is 9223372036854775807")]
pub struct RateError(pub u64);

macro_rules! rate {
    ($(#[$doc:meta])* $name:ident, $unit:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name(u64);

        impl $name {
            /// A rate from 0 to 2^63-1.
            pub const fn new(rate: u64) -> Result<Self, RateError> {
                if rate <= MAX_RATE { Ok(Self(rate)) } else { Err(RateError(rate)) }
            }

            /// A rate; more than 2^63-1 becomes 2^63-1.
            pub const fn saturating(rate: u64) -> Self {
                if rate <= MAX_RATE { Self(rate) } else { Self(MAX_RATE) }
            }

            /// The number.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        checked_number!($name(u64), $name::new, RateError);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{} ", $unit), self.0)
            }
        }
    };
}

rate!(
    /// Bits per second, 0..=2^63-1. BGP carries bytes per second: see [`BitsPerSecond::bytes_per_second_f32`].
    BitsPerSecond,
    "bit/s"
);
rate!(
    /// Packets per second, 0..=2^63-1.
    PacketsPerSecond,
    "packet/s"
);

impl BitsPerSecond {
    /// The rate in **bytes** per second as a traffic-rate action carries it (RFC 8955 §7.1: IEEE 754, single
    /// precision).
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // the wire has 24 bits of precision
    pub fn bytes_per_second_f32(self) -> f32 {
        (self.0 as f64 / 8.0) as f32
    }
}

impl PacketsPerSecond {
    /// The rate as a traffic-rate action carries it (RFC 8955 §7.2: IEEE 754, single precision).
    #[allow(clippy::cast_precision_loss)] // the wire has 24 bits of precision
    pub fn packets_per_second_f32(self) -> f32 {
        self.0 as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_become_bytes_on_the_wire() {
        assert_eq!(BitsPerSecond::saturating(10_000_000).bytes_per_second_f32().to_bits(), 0x4998_9680);
        assert_eq!(BitsPerSecond::saturating(0).bytes_per_second_f32().to_bits(), 0);
    }

    #[test]
    fn a_rate_fits_a_signed_column() {
        assert!(serde_json::from_str::<BitsPerSecond>("9223372036854775807").is_ok());
        assert!(serde_json::from_str::<BitsPerSecond>("9223372036854775808").is_err());
        assert!(serde_json::from_str::<PacketsPerSecond>("-1").is_err());
        assert_eq!(PacketsPerSecond::saturating(u64::MAX).get(), MAX_RATE);
        assert_eq!(serde_json::to_string(&PacketsPerSecond::saturating(7)).unwrap(), "7");
    }
}
