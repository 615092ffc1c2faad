//! From an address to its place in the document, in both families.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use prefix_core::address::{Family, Prefix, VictimIp};
use prefix_trie::joint::JointPrefixMap;

use super::check::span;
use super::spans::{Range, SpansV4, SpansV6};

/// Where an asset stands in the document; ordered like the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AssetPosition {
    pub(super) customer: u32,
    pub(super) service: u32,
    pub(super) asset: u32,
}

/// An asset's addresses as numbers, both ends included, and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct AssetRange {
    pub(super) family: Family,
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) place: AssetPosition,
}

/// What was found: a customer, and the service and asset where one names the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressMatch {
    pub(super) customer: u32,
    pub(super) asset: Option<(u32, u32)>,
}

/// Owners of spans with this bit are positions in `places`, those without are customers.
const ASSET: u32 = 1 << 31;

/// Which customer and which asset an address belongs to, for IPv4 and IPv6.
#[derive(Clone, Debug, Default)]
pub(super) struct AddressIndex {
    v4: SpansV4,
    v6: SpansV6,
    places: Box<[AssetPosition]>,
}

impl AddressIndex {
    /// From the prefixes of the customers and the assets, sorted by address.
    pub(super) fn new(prefixes: &JointPrefixMap<IpNetwork, u32>, assets: &[AssetRange]) -> Self {
        let (mut nested_v4, mut nested_v6) = (Vec::new(), Vec::new());
        // A walk of the trie is ascending, and a prefix comes before what lies in it.
        for (network, owner) in prefixes {
            let Ok(prefix) = Prefix::try_from(network) else { continue };
            let (first, last) = span(&prefix);
            match prefix.family() {
                Family::Ipv4 => {
                    nested_v4.push(Range { first: narrow(first), last: narrow(last), owner: *owner });
                }
                Family::Ipv6 => nested_v6.push(Range { first, last, owner: *owner }),
            }
        }
        let (mut above_v4, mut above_v6) = (Vec::new(), Vec::new());
        for (position, asset) in (0_u32..).zip(assets) {
            let (first, last, owner) = (asset.first, asset.last, ASSET | position);
            match asset.family {
                Family::Ipv4 => above_v4.push(Range { first: narrow(first), last: narrow(last), owner }),
                Family::Ipv6 => above_v6.push(Range { first, last, owner }),
            }
        }
        Self {
            v4: SpansV4::new(&nested_v4, &above_v4),
            v6: SpansV6::new(&nested_v6, &above_v6),
            places: assets.iter().map(|asset| asset.place).collect(),
        }
    }

    /// What is known of an address.
    pub(super) fn find(&self, victim: VictimIp) -> Option<AddressMatch> {
        let owner = match victim.ip() {
            IpAddr::V4(ip) => self.v4.find(ip.into()),
            IpAddr::V6(ip) => self.v6.find(ip.into()),
        }?;
        if owner & ASSET == 0 {
            return Some(AddressMatch { customer: owner, asset: None });
        }
        let place = self.places.get((owner & !ASSET) as usize)?;
        Some(AddressMatch { customer: place.customer, asset: Some((place.service, place.asset)) })
    }
}

fn narrow(address: u128) -> u32 {
    u32::try_from(address).unwrap_or(u32::MAX)
}
