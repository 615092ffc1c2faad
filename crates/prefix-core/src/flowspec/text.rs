//! The rule for people: `dst 203.0.113.10/32 proto udp dport <53|>53`, exactly what is on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::{BitmaskError, NumericError, Rule, RuleError};
use crate::address::{AddressError, Prefix};

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleTextError {
    /// A word that names no component.
    #[error(
        "\"{0}\" is no part of a rule, write dst, src, proto, port, dport, sport, icmp-type, icmp-code, flags, len, dscp, frag or label"
    )]
    UnknownWord(String),
    /// A component twice.
    #[error("\"{0}\" is given twice")]
    Duplicate(&'static str),
    /// A component without value.
    #[error("\"{0}\" needs a value")]
    NoValue(&'static str),
    /// No `dst`.
    #[error("a rule needs a destination, write \"dst\" and a prefix")]
    NoDestination,
    /// The prefix of `dst` or `src`.
    #[error("{word}: {error}")]
    Address {
        /// `dst` or `src`.
        word: &'static str,
        /// What is wrong with it.
        error: AddressError,
    },
    /// The value of a numeric component.
    #[error("{word}: {error}")]
    Numeric {
        /// The word.
        word: &'static str,
        /// What is wrong with its value.
        error: NumericError,
    },
    /// The value of `flags` or `frag`.
    #[error("{word}: {error}")]
    Bitmask {
        /// The word.
        word: &'static str,
        /// What is wrong with its value.
        error: BitmaskError,
    },
    /// The parts do not make a rule.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

/// The text form of an rtbh route: `blackhole 203.0.113.10/32`.
pub fn blackhole_text(prefix: Prefix) -> String {
    format!("blackhole {prefix}")
}

impl fmt::Display for Rule {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl FromStr for Rule {
    type Err = RuleTextError;

    fn from_str(_text: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
