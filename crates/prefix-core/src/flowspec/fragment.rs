//! Fragment states by name (RFC 8955 §4.2.2.12, RFC 8956 §3.6).

use serde::{Deserialize, Serialize};

use super::bitmask::BitNames;
use super::{Bitmask, BitmaskError};

/// The names of the bits.
pub(super) const NAMES: BitNames = BitNames {
    bits: &[
        ("dont_fragment", 0x01),
        ("is_fragment", 0x02),
        ("first_fragment", 0x04),
        ("last_fragment", 0x08),
    ],
    known: "dont_fragment, is_fragment, first_fragment and last_fragment",
};

/// A set of fragment states: packets in any of them match. The default names none and matches every packet.
/// JSON is a list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Fragment(u16);

impl Fragment {
    /// The don't-fragment bit is set (IPv4 only).
    pub const DONT_FRAGMENT: Self = Self(0x01);
    /// A fragment other than the first.
    pub const IS_FRAGMENT: Self = Self(0x02);
    /// The first fragment.
    pub const FIRST_FRAGMENT: Self = Self(0x04);
    /// The last fragment.
    pub const LAST_FRAGMENT: Self = Self(0x08);

    /// The states with these words, like `is_fragment`. No word matches every packet.
    ///
    /// # Errors
    /// An unknown word.
    pub fn from_words<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Result<Self, BitmaskError> {
        words.into_iter().try_fold(Self::default(), |set, word| Ok(Self(set.0 | NAMES.bit(word.as_ref())?)))
    }

    /// The words, ascending by bit.
    pub fn words(self) -> Vec<&'static str> {
        NAMES.bits.iter().filter(|(_, bit)| self.0 & bit != 0).map(|(word, _)| *word).collect()
    }

    /// The bits as encoded (RFC 8955 §4.2.2.12).
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether it has no state.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has all states of `other`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The states of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The states in both; a set without states matches every packet, and so restricts nothing.
    ///
    /// # Errors
    /// The sets have no state in common.
    pub fn intersection(self, other: Self) -> Result<Self, BitmaskError> {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => Ok(other),
            (_, true) => Ok(self),
            _ if self.0 & other.0 == 0 => Err(BitmaskError::MatchesNothing),
            _ => Ok(Self(self.0 & other.0)),
        }
    }

    /// The match: one operand of ORed bits, without MATCH. Without a state it matches every packet.
    pub fn bitmask(self) -> Bitmask {
        if self.is_empty() { Bitmask::all_of(0, 0) } else { Bitmask::any_bit_of(self.0) }
    }

    /// The states of a match; `None` unless it is one OR of states.
    pub fn from_bitmask(mask: &Bitmask) -> Option<Self> {
        let [term] = mask.terms() else { return None };
        let [operand] = term.as_slice() else { return None };
        let plain = !operand.not && (!operand.all || operand.bits.is_power_of_two());
        (plain && operand.bits & !0x0f == 0).then_some(Self(operand.bits))
    }
}

impl TryFrom<Vec<String>> for Fragment {
    type Error = BitmaskError;

    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        Self::from_words(words)
    }
}

impl From<Fragment> for Vec<String> {
    fn from(fragment: Fragment) -> Self {
        fragment.words().into_iter().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_survive_their_match() {
        for bits in 1..=0x0f {
            let states = Fragment(bits);
            assert_eq!(Fragment::from_bitmask(&states.bitmask()), Some(states));
            assert_eq!(Fragment::from_words(states.words()), Ok(states));
        }
    }

    #[test]
    fn an_empty_intersection_is_an_error_and_never_any_packet() {
        let (is, first) = (Fragment::IS_FRAGMENT, Fragment::FIRST_FRAGMENT);
        assert_eq!(is.intersection(first), Err(BitmaskError::MatchesNothing));
        assert_eq!(is.intersection(is.union(first)), Ok(is));
        assert_eq!(is.intersection(Fragment::default()), Ok(is));
    }

    #[test]
    fn json_is_a_list_of_words() {
        let states: Fragment = serde_json::from_str(r#"["last_fragment","is_fragment"]"#).unwrap();
        assert_eq!(serde_json::to_string(&states).unwrap(), r#"["is_fragment","last_fragment"]"#);
        assert!(serde_json::from_str::<Fragment>(r#"["isf"]"#).is_err());
    }
}
