//! The text form of a rule: `dst 203.0.113.10/32 proto udp dport <53|>53`. It has the same components as the encoding.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{Bitmask, BitmaskError, Component, Numeric, NumericError, Rule, RuleError, fragment, tcp_flags};
use crate::address::{AddressError, Prefix};

/// Why the text is no rule.
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
    /// The components make no valid rule.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

/// Protocols that have a word.
const PROTOCOLS: [(&str, u64); 5] = [("icmp", 1), ("tcp", 6), ("udp", 17), ("gre", 47), ("icmpv6", 58)];

fn protocol_word(number: u64) -> String {
    PROTOCOLS
        .iter()
        .find_map(|(word, known)| (*known == number).then(|| (*word).to_owned()))
        .unwrap_or_else(|| number.to_string())
}

fn protocol_number(word: &str) -> Option<u64> {
    PROTOCOLS.iter().find_map(|(known, number)| (*known == word).then_some(*number))
}

fn prefix(component: Component, text: &str) -> Result<Prefix, RuleTextError> {
    text.parse().map_err(|error| RuleTextError::Address { word: component.word(), error })
}

/// The text form of an rtbh route: `blackhole 203.0.113.10/32`.
pub fn blackhole_text(prefix: Prefix) -> String {
    format!("blackhole {prefix}")
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dst {}", self.destination())?;
        if let Some(source) = self.source() {
            write!(f, " src {source}")?;
        }
        for component in Component::ALL {
            if let Some(numeric) = self.numeric(component) {
                write!(f, " {} ", component.word())?;
                match component {
                    Component::Protocol => numeric.write(f, |number| Some(protocol_word(number)))?,
                    _ => numeric.fmt(f)?,
                }
            } else if let Some(bitmask) = self.bitmask(component) {
                write!(f, " {} ", component.word())?;
                match component {
                    Component::Fragment => bitmask.write(f, &fragment::NAMES)?,
                    _ => bitmask.write(f, &tcp_flags::NAMES)?,
                }
            }
        }
        Ok(())
    }
}

impl FromStr for Rule {
    type Err = RuleTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts: Vec<(Component, &str)> = Vec::new();
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            let component = Component::ALL.into_iter().find(|component| component.word() == word);
            let component = component.ok_or_else(|| RuleTextError::UnknownWord(word.to_owned()))?;
            if parts.iter().any(|(other, _)| *other == component) {
                return Err(RuleTextError::Duplicate(component.word()));
            }
            parts.push((component, words.next().ok_or(RuleTextError::NoValue(component.word()))?));
        }
        let destination = parts.iter().find(|(component, _)| *component == Component::Destination);
        let (_, destination) = destination.ok_or(RuleTextError::NoDestination)?;
        let mut builder = Self::to(prefix(Component::Destination, destination)?);
        for (component, value) in parts {
            let word = component.word();
            let bitmask_error = |error| RuleTextError::Bitmask { word, error };
            let numeric_error = |error| RuleTextError::Numeric { word, error };
            builder = match component {
                Component::Destination => builder,
                Component::Source => builder.source(prefix(component, value)?),
                Component::TcpFlags | Component::Fragment => {
                    let names =
                        if component == Component::Fragment { &fragment::NAMES } else { &tcp_flags::NAMES };
                    builder.with_bitmask(component, Bitmask::read(value, names).map_err(bitmask_error)?)
                }
                Component::Protocol => {
                    builder.protocol(Numeric::read(value, protocol_number).map_err(numeric_error)?)
                }
                _ => builder.with_numeric(component, value.parse().map_err(numeric_error)?),
            };
        }
        Ok(builder.build()?)
    }
}

serde_as_text!(Rule);
