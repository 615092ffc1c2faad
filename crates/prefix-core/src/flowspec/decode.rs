//! Decodes rules: any octets become a canonical rule, or an error.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Component, NlriError, Rule, WireComponent, WireItem};
use crate::address::{AddressError, Family, Prefix};

impl Rule {
    /// Decodes an NLRI with its length octet(s) (RFC 8955 §4.1). Encodings that are not canonical, with other orders,
    /// value lengths and operators, are accepted.
    ///
    /// # Errors
    /// The octets are no NLRI of this family, or none that prefixd can announce.
    pub fn decode(family: Family, bytes: &[u8]) -> Result<Self, NlriError> {
        let mut reader = Reader(bytes);
        let first = reader.octet("length")?;
        let length = if first < 0xf0 {
            usize::from(first)
        } else {
            usize::from(first & 0x0f) << 8 | usize::from(reader.octet("length")?)
        };
        let components = reader.octets(length, "components")?;
        if !reader.0.is_empty() {
            return Err(NlriError::Trailing(reader.0.len()));
        }
        Self::decode_components(family, components)
    }

    /// As [`Self::decode`], without length octet(s).
    pub fn decode_components(family: Family, bytes: &[u8]) -> Result<Self, NlriError> {
        let mut reader = Reader(bytes);
        let mut components = Vec::new();
        while !reader.0.is_empty() {
            let code = reader.octet("component type")?;
            let component = Component::from_code(code).ok_or(NlriError::UnknownComponent(code))?;
            components.push(match component {
                Component::Destination | Component::Source => {
                    WireComponent::Prefix(component, reader.prefix(family, component)?)
                }
                _ => WireComponent::Items(component, reader.items()?),
            });
        }
        Self::from_wire_components(family, components)
    }
}

/// The octets that are not decoded yet.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn octets(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], NlriError> {
        let (octets, rest) = self.0.split_at_checked(count).ok_or(NlriError::Truncated(what))?;
        self.0 = rest;
        Ok(octets)
    }

    fn octet(&mut self, what: &'static str) -> Result<u8, NlriError> {
        Ok(self.octets(1, what)?[0])
    }

    fn prefix(&mut self, family: Family, component: Component) -> Result<Prefix, NlriError> {
        let len = self.octet("prefix length")?;
        if family == Family::Ipv6 {
            let offset = self.octet("prefix offset")?;
            if offset != 0 {
                return Err(NlriError::Offset { component, offset });
            }
        }
        self.prefix_octets(family, len)
    }

    /// A prefix of `len` bits in as many octets as they need. Trailing bits are ignored (RFC 8955 §4.2.2.1).
    pub(super) fn prefix_octets(&mut self, family: Family, len: u8) -> Result<Prefix, NlriError> {
        let max = family.max_len();
        if len > max {
            return Err(AddressError::Length { text: format!("/{len}"), max }.into());
        }
        let octets = self.octets(usize::from(len.div_ceil(8)), "prefix")?;
        let mut padded = [0; 16];
        padded[..octets.len()].copy_from_slice(octets);
        let ip = match family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::new(padded[0], padded[1], padded[2], padded[3])),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(padded)),
        };
        Ok(Prefix::truncated(ip, len)?)
    }

    fn items(&mut self) -> Result<Vec<WireItem>, NlriError> {
        let mut items = Vec::new();
        loop {
            let op = self.octet("operator")?;
            let mut item = WireItem { op, value: 0 };
            let octets = self.octets(item.value_len(), "value")?;
            item.value = octets.iter().fold(0, |value, octet| value << 8 | u64::from(*octet));
            items.push(item);
            if item.is_last() {
                return Ok(items);
            }
        }
    }
}
