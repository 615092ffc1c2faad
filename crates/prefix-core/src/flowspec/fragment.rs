//! Fragment states by name (RFC 8955 §4.2.2.12): any of the named ones.

use super::{Bitmask, BitmaskError};

/// A set of fragment states; a packet in any of them matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fragment(u8);

impl Fragment {
    /// The don't-fragment bit is set (IPv4 only).
    pub const DONT_FRAGMENT: Self = Self(0x01);
    /// A fragment other than the first.
    pub const IS_FRAGMENT: Self = Self(0x02);
    /// The first fragment.
    pub const FIRST_FRAGMENT: Self = Self(0x04);
    /// The last fragment.
    pub const LAST_FRAGMENT: Self = Self(0x08);

    /// Reads words like `is_fragment`; any of them.
    pub fn from_words<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Result<Self, BitmaskError> {
        let _ = words.into_iter().map(|_| ()).count();
        todo!()
    }

    /// The words, ascending by bit.
    pub fn words(self) -> Vec<&'static str> {
        todo!()
    }

    /// The bits of the wire.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Any state of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The states in both; none is an error, never "any packet".
    pub fn intersection(self, other: Self) -> Result<Self, BitmaskError> {
        let _ = other;
        todo!()
    }

    /// The match: one operand, ORed bits, no MATCH.
    pub fn to_bitmask(self) -> Bitmask {
        todo!()
    }

    /// The states of a match, if it is a plain "any of these".
    pub fn from_bitmask(mask: &Bitmask) -> Option<Self> {
        let _ = mask;
        todo!()
    }
}
