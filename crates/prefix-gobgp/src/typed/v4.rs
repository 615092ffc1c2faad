//! Version 4 wraps typed messages in oneofs.

use prefix_core::announcer::AfiSafi;
use prefix_core::flowspec::{ExtendedCommunity, RouteKey, RouteKind};
use prefix_core::ownership::LargeCommunity;

use super::Components;
use crate::Community;
use crate::attributes::Attributes;
use crate::client::afi_safi;
use crate::proto::v4::{
    Attribute, Capability, Nlri, attribute::Attr, capability::Cap, extended_community::Extcom,
    flow_spec_rule, nlri,
};

/// The key of a typed NLRI; `None` for what prefixd cannot announce.
pub(crate) fn key(kind: RouteKind, nlri: Option<&Nlri>) -> Option<RouteKey> {
    match nlri?.nlri.as_ref()? {
        nlri::Nlri::Prefix(prefix) => super::unicast_key(kind, prefix.prefix_len, &prefix.prefix),
        nlri::Nlri::FlowSpec(flowspec) => {
            let mut components = Components::default();
            for rule in &flowspec.rules {
                match rule.rule.as_ref()? {
                    flow_spec_rule::Rule::IpPrefix(p) => {
                        components.prefix(p.r#type, p.prefix_len, &p.prefix, p.offset)?;
                    }
                    flow_spec_rule::Rule::Component(c) => {
                        components.list(c.r#type, c.items.iter().map(|item| (item.op, item.value)))?;
                    }
                }
            }
            components.key(kind)
        }
    }
}

/// Typed attributes.
pub(crate) fn attributes(attributes: &[Attribute]) -> Attributes {
    let mut read = Attributes::default();
    for attribute in attributes.iter().filter_map(|attribute| attribute.attr.as_ref()) {
        match attribute {
            Attr::Origin(origin) => read.origin = u8::try_from(origin.origin).ok(),
            Attr::NextHop(hop) => read.next_hop = hop.next_hop.parse().ok(),
            Attr::MpReach(reach) => read.next_hop = reach.next_hops.first().and_then(|hop| hop.parse().ok()),
            Attr::Communities(list) => {
                read.communities = list.communities.iter().copied().map(Community::from).collect();
            }
            Attr::LargeCommunities(list) => {
                read.large = list
                    .communities
                    .iter()
                    .map(|c| LargeCommunity {
                        global: c.global_admin,
                        local_1: c.local_data1,
                        local_2: c.local_data2,
                    })
                    .collect();
            }
            Attr::ExtendedCommunities(list) => {
                read.extended =
                    list.communities.iter().filter_map(|c| extended(c.extcom.as_ref()?)).collect();
            }
            Attr::Unknown(unknown) => read.others.extend(u8::try_from(unknown.r#type)),
        }
    }
    read
}

fn extended(community: &Extcom) -> Option<ExtendedCommunity> {
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

/// The families among the capabilities of one side of a session.
pub(crate) fn families(capabilities: &[Capability]) -> Vec<AfiSafi> {
    capabilities
        .iter()
        .filter_map(|capability| match &capability.cap {
            Some(Cap::MultiProtocol(multi_protocol)) => multi_protocol.family.as_ref(),
            None => None,
        })
        .filter_map(|family| afi_safi(family.afi, family.safi))
        .collect()
}
