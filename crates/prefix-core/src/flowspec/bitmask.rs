//! Bitmask matches (RFC 8955 §4.2.1.2): an OR of ANDed conditions on bits, in one canonical form.

mod names;
mod normal;
mod text;

use thiserror::Error;

pub(super) use names::BitNames;

/// Why a bitmask match cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BitmaskError {
    /// No bit was named.
    #[error("a match needs at least one flag")]
    Empty,
    /// The conditions exclude each other.
    #[error("the flags exclude each other, nothing can match")]
    MatchesNothing,
    /// Not a word of this component.
    #[error("\"{word}\" is no flag, the flags are {known}")]
    UnknownWord {
        /// The word as given.
        word: String,
        /// The words there are.
        known: &'static str,
    },
    /// Parentheses or operators that do not fit.
    #[error("\"{0}\" is no flag match, write for instance \"syn&!ack\"")]
    Syntax(String),
}

/// A condition on the bits of a packet (RFC 8955 §4.2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitmaskOperand {
    /// The bits that it tests.
    pub bits: u16,
    /// NOT: the condition must not hold.
    pub not: bool,
    /// MATCH: all of the bits must be set; otherwise any of them.
    pub all: bool,
}

impl BitmaskOperand {
    /// True for every packet: all of no bits are set.
    const TRUE: Self = Self { bits: 0, not: false, all: true };

    /// Whether the condition holds for a packet with exactly these bits.
    pub const fn holds(self, bits: u16) -> bool {
        let condition = if self.all { bits & self.bits == self.bits } else { bits & self.bits != 0 };
        condition != self.not
    }
}

/// An OR of ANDed operands. Canonical: operands ascending by bits, one bit each where that says the same, and
/// alternatives that each want some bit joined into one operand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitmask {
    terms: Vec<Vec<BitmaskOperand>>,
}

impl Bitmask {
    /// An OR of terms, each an AND of operands.
    ///
    /// # Errors
    /// No term, a term without operand, or terms that no packet can match.
    pub fn any_of(terms: Vec<Vec<BitmaskOperand>>) -> Result<Self, BitmaskError> {
        if terms.is_empty() || terms.iter().any(Vec::is_empty) {
            return Err(BitmaskError::Empty);
        }
        let terms = normal::terms(terms);
        if terms.is_empty() { Err(BitmaskError::MatchesNothing) } else { Ok(Self { terms }) }
    }

    /// All bits of `set` set and none of `unset`; the two are disjoint. Without any bit it matches every packet.
    pub(super) fn all_of(set: u16, unset: u16) -> Self {
        let operands = vec![
            BitmaskOperand { bits: set, not: false, all: true },
            BitmaskOperand { bits: unset, not: true, all: false },
        ];
        Self { terms: normal::terms(vec![operands]) }
    }

    /// Any of these bits, of which there is at least one.
    pub(super) fn any_bit_of(bits: u16) -> Self {
        Self { terms: normal::terms(vec![vec![BitmaskOperand { bits, not: false, all: false }]]) }
    }

    /// The terms: an OR of ANDed operands.
    pub fn terms(&self) -> &[Vec<BitmaskOperand>] {
        &self.terms
    }

    /// All bits that it tests.
    pub fn mentioned(&self) -> u16 {
        self.terms.iter().flatten().fold(0, |bits, operand| bits | operand.bits)
    }

    /// Whether a packet with exactly these bits matches.
    pub fn matches(&self, bits: u16) -> bool {
        self.terms.iter().any(|term| term.iter().all(|operand| operand.holds(bits)))
    }

    /// Whether some combination of bits matches both.
    pub fn overlaps(&self, other: &Self) -> bool {
        normal::subsets(self.mentioned() | other.mentioned())
            .any(|bits| self.matches(bits) && other.matches(bits))
    }

    /// Whether `other` matches every combination of bits that `self` matches.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        normal::subsets(self.mentioned() | other.mentioned())
            .all(|bits| !self.matches(bits) || other.matches(bits))
    }
}
