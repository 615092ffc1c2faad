//! Path attributes as octets (RFC 4271 §4.3): encoded for own paths, decoded of any path.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, Bytes, BytesMut};
use prefix_core::flowspec::{ExtendedCommunity, RouteKind};
use prefix_core::ownership::LargeCommunity;

use crate::Community;

const OPTIONAL: u8 = 0x80;
const TRANSITIVE: u8 = 0x40;
const EXTENDED_LENGTH: u8 = 0x10;

const ORIGIN: u8 = 1;
const NEXT_HOP: u8 = 3;
const COMMUNITIES: u8 = 8;
const MP_REACH_NLRI: u8 = 14;
const EXTENDED_COMMUNITIES: u8 = 16;
const LARGE_COMMUNITIES: u8 = 32;

/// ORIGIN "IGP" (RFC 4271 §5.1.1).
pub(crate) fn origin() -> Bytes {
    attribute(TRANSITIVE, ORIGIN, &[0])
}

/// `NEXT_HOP` (RFC 4271 §5.1.3). `FlowSpec` has none on the wire, but the API requires one: the unspecified address.
pub(crate) fn next_hop(address: Ipv4Addr) -> Bytes {
    attribute(TRANSITIVE, NEXT_HOP, &address.octets())
}

/// `MP_REACH_NLRI` (RFC 4760 §3) of one IPv6 route.
pub(crate) fn mp_reach(kind: RouteKind, next_hop: Ipv6Addr, nlri: &[u8]) -> Bytes {
    let mut value = BytesMut::with_capacity(21 + nlri.len());
    value.put_u16(kind.family().afi());
    value.put_u8(kind.safi());
    value.put_u8(16);
    value.put_slice(&next_hop.octets());
    value.put_u8(0);
    value.put_slice(nlri);
    attribute(OPTIONAL, MP_REACH_NLRI, &value)
}

/// COMMUNITIES (RFC 1997), or nothing if there are none.
pub(crate) fn communities(communities: &[Community]) -> Option<Bytes> {
    let value: Vec<u8> = communities.iter().flat_map(|c| c.get().to_be_bytes()).collect();
    (!value.is_empty()).then(|| attribute(OPTIONAL | TRANSITIVE, COMMUNITIES, &value))
}

/// EXTENDED COMMUNITIES (RFC 4360).
pub(crate) fn extended_communities(communities: &[ExtendedCommunity]) -> Bytes {
    let value: Vec<u8> = communities.iter().flat_map(|c| c.0).collect();
    attribute(OPTIONAL | TRANSITIVE, EXTENDED_COMMUNITIES, &value)
}

/// `LARGE_COMMUNITY` (RFC 8092).
pub(crate) fn large_communities(communities: &[LargeCommunity]) -> Bytes {
    let value: Vec<u8> = communities
        .iter()
        .flat_map(|c| [c.global, c.local_1, c.local_2])
        .flat_map(u32::to_be_bytes)
        .collect();
    attribute(OPTIONAL | TRANSITIVE, LARGE_COMMUNITIES, &value)
}

fn attribute(flags: u8, kind: u8, value: &[u8]) -> Bytes {
    let mut octets = BytesMut::with_capacity(4 + value.len());
    match (u8::try_from(value.len()), u16::try_from(value.len())) {
        (Ok(length), _) => octets.put_slice(&[flags, kind, length]),
        (_, Ok(length)) => {
            octets.put_slice(&[flags | EXTENDED_LENGTH, kind]);
            octets.put_u16(length);
        }
        // more than 16,000 configured communities: the speaker refuses the malformed attribute
        _ => octets.put_slice(&[flags | EXTENDED_LENGTH, kind, 0xff, 0xff]),
    }
    octets.put_slice(value);
    octets.freeze()
}

/// The attributes of a path that prefixd reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) origin: Option<u8>,
    pub(crate) next_hop: Option<IpAddr>,
    pub(crate) communities: Vec<Community>,
    pub(crate) extended: Vec<ExtendedCommunity>,
    pub(crate) large: Vec<LargeCommunity>,
    /// The type codes of all others, and of those that cannot be decoded.
    pub(crate) others: Vec<u8>,
}

impl Attributes {
    /// Decodes attributes, one per element, each with flags, type and length.
    pub(crate) fn decode<'a>(attributes: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut read = Self::default();
        for octets in attributes {
            let Some((kind, value)) = split(octets) else { continue };
            if read.decode_one(kind, value).is_none() {
                read.others.push(kind);
            }
        }
        read
    }

    fn decode_one(&mut self, kind: u8, value: &[u8]) -> Option<()> {
        match kind {
            ORIGIN => self.origin = Some(*value.first()?),
            NEXT_HOP => self.next_hop = Some(IpAddr::from(<[u8; 4]>::try_from(value).ok()?)),
            MP_REACH_NLRI => self.next_hop = mp_reach_next_hop(value)?,
            COMMUNITIES => {
                self.communities = chunks(value)?.map(u32::from_be_bytes).map(Community::from).collect();
            }
            EXTENDED_COMMUNITIES => self.extended = chunks(value)?.map(ExtendedCommunity).collect(),
            LARGE_COMMUNITIES => self.large = chunks(value)?.map(large_community).collect(),
            _ => return None,
        }
        Some(())
    }
}

fn split(octets: &[u8]) -> Option<(u8, &[u8])> {
    let (&[flags, kind], rest) = octets.split_first_chunk()?;
    let (length, value) = if flags & EXTENDED_LENGTH == 0 {
        let (length, value) = rest.split_first()?;
        (usize::from(*length), value)
    } else {
        let (length, value) = rest.split_first_chunk()?;
        (usize::from(u16::from_be_bytes(*length)), value)
    };
    (value.len() == length).then_some((kind, value))
}

fn chunks<const N: usize>(value: &[u8]) -> Option<impl Iterator<Item = [u8; N]> + '_> {
    let (chunks, rest) = value.as_chunks();
    rest.is_empty().then(|| chunks.iter().copied())
}

fn large_community(octets: [u8; 12]) -> LargeCommunity {
    let part = |at: usize| u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
    LargeCommunity { global: part(0), local_1: part(4), local_2: part(8) }
}

/// The outer `None` is a malformed attribute, the inner one a path without next hop, like every `FlowSpec` path.
#[allow(clippy::option_option, reason = "malformed, absent and present are three cases")]
fn mp_reach_next_hop(value: &[u8]) -> Option<Option<IpAddr>> {
    let (&[_, _, _, length], rest) = value.split_first_chunk()?;
    let octets = rest.get(..usize::from(length))?;
    Some(match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        // a second, link-local address may follow (RFC 2545 §3)
        16 | 32 => octets.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    })
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let mut part = |name: &str, values: Vec<String>| {
            if !values.is_empty() {
                let separator = if text.is_empty() { "" } else { ", " };
                let _ = write!(text, "{separator}{name} {}", values.join(" "));
            }
        };
        let origin = self.origin.map(|origin| match origin {
            0 => "igp".to_owned(),
            1 => "egp".to_owned(),
            2 => "incomplete".to_owned(),
            other => other.to_string(),
        });
        part("origin", origin.into_iter().collect());
        part(
            "next hop",
            self.next_hop.iter().filter(|a| !a.is_unspecified()).map(ToString::to_string).collect(),
        );
        part("communities", self.communities.iter().map(ToString::to_string).collect());
        part("extended communities", self.extended.iter().map(ToString::to_string).collect());
        part("large communities", self.large.iter().map(ToString::to_string).collect());
        part("attribute types", self.others.iter().map(ToString::to_string).collect());
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn large() -> LargeCommunity {
        LargeCommunity { global: 4_200_000_000, local_1: 8955, local_2: 7 }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let discard = ExtendedCommunity([0x80, 6, 0xfd, 0xf2, 0, 0, 0, 0]);
        let written = [
            origin(),
            next_hop(Ipv4Addr::new(192, 0, 2, 1)),
            communities(&[Community::BLACKHOLE, Community::NO_EXPORT]).unwrap(),
            extended_communities(&[discard]),
            large_communities(&[large(), large()]),
        ];
        let read = Attributes::decode(written.iter().map(|a| &a[..]));
        assert_eq!(
            read,
            Attributes {
                origin: Some(0),
                next_hop: Some(Ipv4Addr::new(192, 0, 2, 1).into()),
                communities: vec![Community::BLACKHOLE, Community::NO_EXPORT],
                extended: vec![discard],
                large: vec![large(), large()],
                others: vec![],
            }
        );
        assert_eq!(
            read.to_string(),
            "origin igp, next hop 192.0.2.1, communities 65535:666 65535:65281, extended communities \
             0x8006fdf200000000, large communities 4200000000:8955:7 4200000000:8955:7"
        );
    }

    #[test]
    fn the_octets_are_those_of_the_rfcs() {
        assert_eq!(origin()[..], [0x40, 1, 1, 0]);
        assert_eq!(next_hop(Ipv4Addr::UNSPECIFIED)[..], [0x40, 3, 4, 0, 0, 0, 0]);
        assert_eq!(communities(&[]), None);
        assert_eq!(
            large_communities(&[LargeCommunity { global: 1, local_1: 2, local_2: 3 }])[..],
            [0xc0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]
        );
        let reach = mp_reach(RouteKind::UnicastV6, Ipv6Addr::LOCALHOST, &[0]);
        assert_eq!(reach[..8], [0x80, 14, 22, 0, 2, 1, 16, 0]);
        assert_eq!(Attributes::decode([&reach[..]]).next_hop, Some(Ipv6Addr::LOCALHOST.into()));
    }

    #[test]
    fn long_attributes_have_a_two_octet_length() {
        let many = vec![Community::BLACKHOLE; 100];
        let octets = communities(&many).unwrap();
        assert_eq!(octets[..4], [0xd0, 8, 1, 144]);
        assert_eq!(Attributes::decode([&octets[..]]).communities, many);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(attributes: Vec<Vec<u8>>) {
            let _ = Attributes::decode(attributes.iter().map(Vec::as_slice)).to_string();
        }
    }
}
