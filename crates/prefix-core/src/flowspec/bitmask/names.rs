//! The names of the bits of a component.

use super::BitmaskError;

/// Names and bits, ascending by bit.
pub(in crate::flowspec) struct BitNames {
    pub(in crate::flowspec) bits: &'static [(&'static str, u16)],
    /// The names in a sentence, for errors.
    pub(in crate::flowspec) known: &'static str,
}

impl BitNames {
    /// The bit of a name.
    pub(in crate::flowspec) fn bit(&self, name: &str) -> Result<u16, BitmaskError> {
        let found = self.bits.iter().find_map(|(known, bit)| (*known == name).then_some(*bit));
        found.ok_or_else(|| BitmaskError::UnknownWord { word: name.to_owned(), known: self.known })
    }

    /// The name of a bit; `None` if it has none.
    pub(in crate::flowspec) fn name(&self, bit: u16) -> Option<&'static str> {
        self.bits.iter().find_map(|(name, known)| (*known == bit).then_some(*name))
    }
}
