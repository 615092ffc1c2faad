//! Bitmask matches (RFC 8955 §4.2.1.2): an OR of ANDed conditions on bits, in one canonical form.

use thiserror::Error;

/// Why a bitmask match can not be built.
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

/// One condition on the bits of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitmaskOperand {
    /// The bits it looks at.
    pub bits: u16,
    /// NOT: the condition must not hold.
    pub not: bool,
    /// MATCH: all of the bits must be set; otherwise any of them.
    pub all: bool,
}

/// An OR of ANDed operands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitmask {
    terms: Vec<Vec<BitmaskOperand>>,
}

impl Bitmask {
    /// Any of the terms must hold; of a term every operand.
    pub fn any_of(terms: Vec<Vec<BitmaskOperand>>) -> Result<Self, BitmaskError> {
        let _ = terms;
        todo!()
    }

    /// All bits of `set` set and none of `unset`. Without any bit it matches every packet.
    pub(super) fn all_of(set: u16, unset: u16) -> Self {
        let _ = (set, unset);
        todo!()
    }

    /// Any of these bits.
    pub(super) fn any_bit_of(bits: u16) -> Self {
        let _ = bits;
        todo!()
    }

    /// The terms: an OR of ANDed operands.
    pub fn terms(&self) -> &[Vec<BitmaskOperand>] {
        &self.terms
    }

    /// Whether a packet with exactly these bits matches.
    pub fn matches(&self, bits: u16) -> bool {
        let _ = (bits, &self.terms);
        todo!()
    }
}
