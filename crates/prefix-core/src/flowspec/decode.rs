//! Reading a rule from the wire: whatever a speaker lists becomes canonical, or an error; never a panic.

use super::{NlriError, Rule};
use crate::address::Family;

impl Rule {
    /// Reads an NLRI with its length octet(s). Other orders, value lengths and operators than ours are accepted.
    pub fn decode(family: Family, bytes: &[u8]) -> Result<Self, NlriError> {
        let _ = (family, bytes);
        todo!()
    }

    /// Reads the components without length octet(s).
    pub fn decode_components(family: Family, bytes: &[u8]) -> Result<Self, NlriError> {
        let _ = (family, bytes);
        todo!()
    }
}
