//! TCP flags by name (RFC 8955 §4.2.2.9).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::bitmask::BitNames;
use super::{Bitmask, BitmaskError, BitmaskOperand};

/// The names of the bits.
pub(super) const NAMES: BitNames = BitNames {
    bits: &[
        ("fin", 0x01),
        ("syn", 0x02),
        ("rst", 0x04),
        ("psh", 0x08),
        ("ack", 0x10),
        ("urg", 0x20),
        ("ece", 0x40),
        ("cwr", 0x80),
    ],
    known: "fin, syn, rst, psh, ack, urg, ece and cwr, each also with ! in front",
};

/// Flags that must be set and flags that must not be set, all of them; a flag is never both. The default names no flag
/// and matches every packet. JSON is a list of words: `["syn", "!ack"]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct TcpFlags {
    set: u16,
    unset: u16,
}

impl TcpFlags {
    /// The conditions with these words, like `syn` and `!ack`. No word matches every packet.
    ///
    /// # Errors
    /// An unknown word, or a flag that must be both set and not set.
    pub fn from_words<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Result<Self, BitmaskError> {
        words.into_iter().try_fold(Self::default(), |flags, word| {
            let word = word.as_ref();
            let (name, not) = word.strip_prefix('!').map_or((word, false), |name| (name, true));
            let bit = NAMES.bit(name)?;
            flags.and(if not { Self { set: 0, unset: bit } } else { Self { set: bit, unset: 0 } })
        })
    }

    /// The words, ascending by bit: `["syn", "!ack"]`.
    pub fn words(&self) -> Vec<String> {
        NAMES
            .bits
            .iter()
            .filter_map(|(word, bit)| {
                if self.set & bit != 0 {
                    Some((*word).to_owned())
                } else {
                    (self.unset & bit != 0).then(|| format!("!{word}"))
                }
            })
            .collect()
    }

    /// Whether it names no flag.
    pub const fn is_empty(&self) -> bool {
        self.set == 0 && self.unset == 0
    }

    /// The conditions of both.
    ///
    /// # Errors
    /// A flag must be both set and not set.
    pub fn and(self, other: Self) -> Result<Self, BitmaskError> {
        let both = Self { set: self.set | other.set, unset: self.unset | other.unset };
        if both.set & both.unset == 0 { Ok(both) } else { Err(BitmaskError::MatchesNothing) }
    }

    /// The match: one operand per flag, ascending, ANDed, MATCH for set, NOT alone for unset.
    /// Without any flag it matches every TCP packet.
    pub fn bitmask(&self) -> Bitmask {
        Bitmask::all_of(self.set, self.unset)
    }

    /// The flags of a match; `None` unless it is one AND of named flags.
    pub fn from_bitmask(mask: &Bitmask) -> Option<Self> {
        let [term] = mask.terms() else { return None };
        term.iter().try_fold(Self::default(), |flags, &BitmaskOperand { bits, not, .. }| {
            let named = NAMES.name(bits).is_some();
            let operand = if not { Self { set: 0, unset: bits } } else { Self { set: bits, unset: 0 } };
            if named { flags.and(operand).ok() } else { None }
        })
    }
}

impl FromStr for TcpFlags {
    type Err = BitmaskError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_words(text.split('&'))
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join("&"))
    }
}

impl TryFrom<Vec<String>> for TcpFlags {
    type Error = BitmaskError;

    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        Self::from_words(words)
    }
}

impl From<TcpFlags> for Vec<String> {
    fn from(flags: TcpFlags) -> Self {
        flags.words()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sorted_by_bit_and_unique() {
        let flags = TcpFlags::from_words(["ack", "!syn", "ack"]).unwrap();
        assert_eq!(flags.words(), ["!syn", "ack"]);
        assert_eq!(flags.to_string(), "!syn&ack");
        assert_eq!("!syn&ack".parse(), Ok(flags));
    }

    #[test]
    fn a_flag_can_not_be_set_and_unset() {
        assert_eq!(TcpFlags::from_words(["syn", "!syn"]), Err(BitmaskError::MatchesNothing));
    }

    #[test]
    fn unknown_words_are_answered_with_the_known_ones() {
        let message = TcpFlags::from_words(["sin"]).unwrap_err().to_string();
        assert!(message.starts_with("\"sin\" is no flag, the flags are fin, syn"), "{message}");
    }

    #[test]
    fn flags_survive_their_match() {
        for words in [vec!["syn", "!ack"], vec!["!syn", "ack"], vec!["syn", "ack"], vec!["rst"], vec!["!cwr"]]
        {
            let flags = TcpFlags::from_words(&words).unwrap();
            assert_eq!(TcpFlags::from_bitmask(&flags.bitmask()), Some(flags));
        }
        let either =
            Bitmask::any_of(vec![vec![BitmaskOperand { bits: 0x12, not: false, all: false }]]).unwrap();
        assert_eq!(TcpFlags::from_bitmask(&either), None);
    }

    #[test]
    fn json_is_a_list_of_words() {
        let flags: TcpFlags = serde_json::from_str(r#"["!ack","syn"]"#).unwrap();
        assert_eq!(serde_json::to_string(&flags).unwrap(), r#"["syn","!ack"]"#);
    }
}
