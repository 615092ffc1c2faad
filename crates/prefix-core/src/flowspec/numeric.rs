//! Numeric matches (RFC 8955 §4.2.1.1): an OR of ranges, in one canonical form.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Why a numeric match can not be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NumericError {
    /// No value was given: an empty list never means "any".
    #[error("a match needs at least one value")]
    Empty,
    /// Nothing is left to match.
    #[error("the match excludes every value")]
    MatchesNothing,
    /// Not a term like `53`, `=53`, `>=20&<=100`.
    #[error("\"{0}\" is no numeric match, write for instance \"=53\", \"=80|=443\" or \">=20&<=100\"")]
    Syntax(String),
}

/// An OR of terms. Canonical: terms ascending, unique, none that matches nothing, never with `!=`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numeric {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Term;

impl Numeric {
    /// One of these values: `=80|=443`. Sorted and unique.
    pub fn any_of(values: impl IntoIterator<Item = u64>) -> Result<Self, NumericError> {
        let _ = values;
        todo!()
    }

    /// This value only: `=53`.
    pub fn equal(value: u64) -> Self {
        let _ = value;
        todo!()
    }

    /// None of these values, out of 0..=`max`: `<53|>53&<443|>443`. Adjacent values are merged (`<53|>54`),
    /// terms that match nothing are left out.
    pub fn none_of(values: impl IntoIterator<Item = u64>, max: u64) -> Result<Self, NumericError> {
        let _ = (values, max);
        todo!()
    }

    /// From `min` to `max`, both included: `>=20&<=100`, or `=20` if they are equal.
    pub fn range(min: u64, max: u64) -> Result<Self, NumericError> {
        let _ = (min, max);
        todo!()
    }

    /// Whether the value matches.
    pub fn matches(&self, value: u64) -> bool {
        let _ = value;
        todo!()
    }

    /// The matched values out of 0..=`max` as ascending, disjoint, not adjacent ranges `(first, last)`.
    pub fn intervals(&self, max: u64) -> Vec<(u64, u64)> {
        let _ = max;
        todo!()
    }

    /// The ranges out of 0..=`max` that do not match.
    pub fn excluded_ranges(&self, max: u64) -> Vec<(u64, u64)> {
        let _ = max;
        todo!()
    }

    /// Whether `other` matches every value out of 0..=`max` that `self` matches.
    pub fn is_subset_of(&self, other: &Self, max: u64) -> bool {
        let _ = (other, max);
        todo!()
    }

    /// Number of terms on the wire's OR level: 2 for `=80|=443` and for `<53|>53`.
    pub fn term_count(&self) -> usize {
        self.terms.len()
    }

    /// Whether it is written as an exclusion: only with `<` and `>`.
    pub fn is_exclusion(&self) -> bool {
        todo!()
    }

    /// What counts for `guardrails.max_ports`: terms, or for an exclusion the excluded ranges (`<53|>53` is 1).
    pub fn port_terms(&self, max: u64) -> usize {
        let _ = max;
        todo!()
    }

    /// The values, ascending, if it is a plain list (`=80|=443`).
    pub fn values(&self) -> Option<Vec<u64>> {
        todo!()
    }

    /// The excluded values, ascending, if it is an exclusion (`<53|>54` is 53 and 54).
    pub fn excluded_values(&self, max: u64) -> Option<Vec<u64>> {
        let _ = max;
        todo!()
    }

    /// `(min, max)` if it is one value or one closed range.
    pub fn bounds(&self) -> Option<(u64, u64)> {
        todo!()
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl FromStr for Numeric {
    type Err = NumericError;

    fn from_str(_text: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}
