//! TCP flags by name: which must be set and which must not.

use std::str::FromStr;

use super::{Bitmask, BitmaskError};

/// Flags that must be set and flags that must not be set, all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TcpFlags {
    set: u16,
    unset: u16,
}

impl TcpFlags {
    /// Reads words like `syn` and `!ack`; all must hold.
    pub fn from_words<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Result<Self, BitmaskError> {
        let _ = words.into_iter().map(|_| ()).count();
        todo!()
    }

    /// The words, ascending by bit: `["syn", "!ack"]`.
    pub fn words(&self) -> Vec<String> {
        todo!()
    }

    /// Both sets of conditions (the intersection of what they match).
    pub fn and(self, other: Self) -> Result<Self, BitmaskError> {
        let _ = (other, self.set, self.unset);
        todo!()
    }

    /// The match: one operand per flag, ascending, ANDed, MATCH for set, NOT alone for unset.
    pub fn to_bitmask(self) -> Result<Bitmask, BitmaskError> {
        todo!()
    }

    /// The flags of a match, if it is a plain list of set and unset flags.
    pub fn from_bitmask(mask: &Bitmask) -> Option<Self> {
        let _ = mask;
        todo!()
    }
}

impl FromStr for TcpFlags {
    type Err = BitmaskError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_words(text.split('&'))
    }
}
