//! The messages of version 4, which wraps those of several types in a `oneof`.

use prefix_core::announcer::AfiSafi;
use prefix_core::flowspec::{ExtendedCommunity, RouteKey, RouteKind};
use prefix_core::ownership::LargeCommunity;

use super::Components;
use crate::Community;
use crate::attributes::Attributes;
use crate::client::afi_safi;
use crate::proto::v4 as proto;
use crate::proto::v4::attribute::Attr;
use crate::proto::v4::capability::Cap;
use crate::proto::v4::extended_community::Extcom;
use crate::proto::v4::flow_spec_rule::Rule;
use crate::proto::v4::nlri::Nlri;

/// The key of an NLRI; `None` for what prefixd cannot announce.
pub(crate) fn key(kind: RouteKind, nlri: Option<&proto::Nlri>) -> Option<RouteKey> {
    key_of(kind, nlri?.nlri.as_ref()?)
}

pub(super) fn key_of(kind: RouteKind, nlri: &Nlri) -> Option<RouteKey> {
    match nlri {
        Nlri::Prefix(prefix) => super::unicast_key(kind, prefix.prefix_len, &prefix.prefix),
        Nlri::FlowSpec(flowspec) => {
            let mut components = Components::default();
            for rule in &flowspec.rules {
                match rule.rule.as_ref()? {
                    Rule::IpPrefix(p) => components.prefix(p.r#type, p.prefix_len, &p.prefix, p.offset)?,
                    Rule::Component(c) => {
                        components.list(c.r#type, c.items.iter().map(|item| (item.op, item.value)))?;
                    }
                }
            }
            components.key(kind)
        }
    }
}

/// The attributes of a path.
pub(crate) fn attributes(attributes: &[proto::Attribute]) -> Attributes {
    attributes_of(attributes.iter().filter_map(|attribute| attribute.attr.clone()))
}

pub(super) fn attributes_of(attributes: impl Iterator<Item = Attr>) -> Attributes {
    let mut read = Attributes::default();
    for attribute in attributes {
        match attribute {
            Attr::Origin(origin) => read.origin = u8::try_from(origin.origin).ok(),
            Attr::NextHop(hop) => read.next_hop = hop.next_hop.parse().ok(),
            Attr::MpReach(reach) => read.next_hop = reach.next_hops.first().and_then(|hop| hop.parse().ok()),
            Attr::Communities(list) => {
                read.communities = list.communities.into_iter().map(Community::from).collect();
            }
            Attr::LargeCommunities(list) => {
                let large = |c: proto::LargeCommunity| LargeCommunity {
                    global: c.global_admin,
                    local_1: c.local_data1,
                    local_2: c.local_data2,
                };
                read.large = list.communities.into_iter().map(large).collect();
            }
            Attr::ExtendedCommunities(list) => {
                read.extended =
                    list.communities.into_iter().filter_map(|c| extended_community(c.extcom?)).collect();
            }
            Attr::Unknown(unknown) => read.others.extend(u8::try_from(unknown.r#type)),
        }
    }
    read
}

fn extended_community(community: Extcom) -> Option<ExtendedCommunity> {
    match community {
        Extcom::Unknown(c) => super::unknown(c.r#type, &c.value),
        Extcom::TrafficRate(c) => super::traffic_rate(c.asn, c.rate),
        Extcom::TrafficAction(c) => super::traffic_action(c.terminal, c.sample),
        Extcom::RedirectTwoOctetAsSpecific(c) => super::redirect_as2(c.asn, c.local_admin),
        Extcom::RedirectIpv4AddressSpecific(c) => super::redirect_ipv4(&c.address, c.local_admin),
        Extcom::RedirectFourOctetAsSpecific(c) => super::redirect_as4(c.asn, c.local_admin),
        Extcom::TrafficRemark(c) => super::traffic_remark(c.dscp),
    }
}

/// The families among the capabilities of one side of a session (RFC 4760 §8).
pub(crate) fn families(capabilities: &[proto::Capability]) -> Vec<AfiSafi> {
    let family = |capability: &proto::Capability| match capability.cap.as_ref()? {
        Cap::MultiProtocol(capability) => family_of(capability),
    };
    capabilities.iter().filter_map(family).collect()
}

pub(super) fn family_of(capability: &proto::MultiProtocolCapability) -> Option<AfiSafi> {
    let family = capability.family.as_ref()?;
    afi_safi(family.afi, family.safi)
}
