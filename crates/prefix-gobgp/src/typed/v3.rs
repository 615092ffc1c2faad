//! Version 3 wraps typed messages in `google.protobuf.Any`.

use prefix_core::announcer::AfiSafi;
use prefix_core::flowspec::{ExtendedCommunity, RouteKey, RouteKind};
use prefix_core::ownership::LargeCommunity;
use prost::Message;
use prost_types::Any;

use super::Components;
use crate::Community;
use crate::attributes::Attributes;
use crate::client::afi_safi;
use crate::proto::v3;

/// The name of the wrapped message, without package.
fn name(any: &Any) -> &str {
    any.type_url.rsplit_once("apipb.").map_or("", |(_, name)| name)
}

fn unwrap<M: Message + Default>(any: &Any) -> Option<M> {
    M::decode(any.value.as_slice()).ok()
}

/// The key of a typed NLRI; `None` for what prefixd cannot announce.
pub(crate) fn key(kind: RouteKind, nlri: Option<&Any>) -> Option<RouteKey> {
    let nlri = nlri?;
    match name(nlri) {
        "IPAddressPrefix" => {
            let prefix: v3::IpAddressPrefix = unwrap(nlri)?;
            super::unicast_key(kind, prefix.prefix_len, &prefix.prefix)
        }
        "FlowSpecNLRI" => {
            let flowspec: v3::FlowSpecNlri = unwrap(nlri)?;
            let mut components = Components::default();
            for rule in &flowspec.rules {
                add(rule, &mut components)?;
            }
            components.key(kind)
        }
        _ => None,
    }
}

fn add(rule: &Any, components: &mut Components) -> Option<()> {
    match name(rule) {
        "FlowSpecIPPrefix" => {
            let p: v3::FlowSpecIpPrefix = unwrap(rule)?;
            components.prefix(p.r#type, p.prefix_len, &p.prefix, p.offset)
        }
        "FlowSpecComponent" => {
            let c: v3::FlowSpecComponent = unwrap(rule)?;
            components.list(c.r#type, c.items.iter().map(|item| (item.op, item.value)))
        }
        _ => None,
    }
}

/// Typed attributes.
pub(crate) fn attributes(attributes: &[Any]) -> Attributes {
    let mut read = Attributes::default();
    for attribute in attributes {
        // What cannot be read is as absent as what prefixd does not know.
        let _ = attribute_into(attribute, &mut read);
    }
    read
}

fn attribute_into(attribute: &Any, read: &mut Attributes) -> Option<()> {
    match name(attribute) {
        "OriginAttribute" => {
            read.origin = u8::try_from(unwrap::<v3::OriginAttribute>(attribute)?.origin).ok();
        }
        "NextHopAttribute" => {
            read.next_hop = unwrap::<v3::NextHopAttribute>(attribute)?.next_hop.parse().ok();
        }
        "MpReachNLRIAttribute" => {
            let reach: v3::MpReachNlriAttribute = unwrap(attribute)?;
            read.next_hop = reach.next_hops.first().and_then(|hop| hop.parse().ok());
        }
        "CommunitiesAttribute" => {
            let list: v3::CommunitiesAttribute = unwrap(attribute)?;
            read.communities = list.communities.into_iter().map(Community::from).collect();
        }
        "LargeCommunitiesAttribute" => {
            let list: v3::LargeCommunitiesAttribute = unwrap(attribute)?;
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
        "ExtendedCommunitiesAttribute" => {
            let list: v3::ExtendedCommunitiesAttribute = unwrap(attribute)?;
            read.extended = list.communities.iter().filter_map(extended).collect();
        }
        "UnknownAttribute" => {
            read.others.extend(u8::try_from(unwrap::<v3::UnknownAttribute>(attribute)?.r#type));
        }
        _ => return None,
    }
    Some(())
}

fn extended(community: &Any) -> Option<ExtendedCommunity> {
    match name(community) {
        "UnknownExtended" => {
            let c: v3::UnknownExtended = unwrap(community)?;
            super::unknown(c.r#type, &c.value)
        }
        "TrafficRateExtended" => {
            let c: v3::TrafficRateExtended = unwrap(community)?;
            super::traffic_rate(c.asn, c.rate)
        }
        "TrafficActionExtended" => {
            let c: v3::TrafficActionExtended = unwrap(community)?;
            super::traffic_action(c.terminal, c.sample)
        }
        "RedirectTwoOctetAsSpecificExtended" => {
            let c: v3::RedirectTwoOctetAsSpecificExtended = unwrap(community)?;
            super::redirect_as2(c.asn, c.local_admin)
        }
        "RedirectIPv4AddressSpecificExtended" => {
            let c: v3::RedirectIPv4AddressSpecificExtended = unwrap(community)?;
            super::redirect_ipv4(&c.address, c.local_admin)
        }
        "RedirectFourOctetAsSpecificExtended" => {
            let c: v3::RedirectFourOctetAsSpecificExtended = unwrap(community)?;
            super::redirect_as4(c.asn, c.local_admin)
        }
        "TrafficRemarkExtended" => {
            super::traffic_remark(unwrap::<v3::TrafficRemarkExtended>(community)?.dscp)
        }
        _ => None,
    }
}

/// The families among the capabilities of one side of a session.
pub(crate) fn families(capabilities: &[Any]) -> Vec<AfiSafi> {
    capabilities
        .iter()
        .filter(|capability| name(capability) == "MultiProtocolCapability")
        .filter_map(|capability| unwrap::<v3::MultiProtocolCapability>(capability)?.family)
        .filter_map(|family| afi_safi(family.afi, family.safi))
        .collect()
}

#[cfg(test)]
mod tests {
    use prefix_core::flowspec::Rule;

    use super::*;

    fn wrap(name: &str, message: &impl Message) -> Any {
        Any { type_url: format!("type.googleapis.com/apipb.{name}"), value: message.encode_to_vec() }
    }

    fn rule() -> v3::FlowSpecNlri {
        let destination =
            v3::FlowSpecIpPrefix { r#type: 1, prefix_len: 32, prefix: "203.0.113.10".into(), offset: 0 };
        let items = vec![v3::FlowSpecComponentItem { op: 0x81, value: 17 }];
        let protocol = v3::FlowSpecComponent { r#type: 3, items };
        v3::FlowSpecNlri {
            rules: vec![wrap("FlowSpecIPPrefix", &destination), wrap("FlowSpecComponent", &protocol)],
        }
    }

    #[test]
    fn a_wrapped_rule_is_unwrapped() {
        let expected: Rule = "dst 203.0.113.10/32 proto udp".parse().unwrap();
        let wrapped = wrap("FlowSpecNLRI", &rule());
        assert_eq!(key(RouteKind::FlowSpecV4, Some(&wrapped)), Some(RouteKey::for_rule(&expected)));
    }

    #[test]
    fn what_is_wrapped_wrongly_is_no_rule() {
        let mut with_mac = rule();
        with_mac.rules.push(wrap("FlowSpecMAC", &v3::OriginAttribute { origin: 0 }));
        let broken = Any { type_url: "type.googleapis.com/apipb.FlowSpecNLRI".into(), value: vec![0xff] };
        for any in
            [wrap("FlowSpecNLRI", &with_mac), wrap("EVPNIPPrefixRoute", &rule()), broken, Any::default()]
        {
            assert_eq!(key(RouteKind::FlowSpecV4, Some(&any)), None, "{any:?}");
        }
        assert_eq!(key(RouteKind::FlowSpecV4, None), None);
    }

    #[test]
    fn attributes_that_are_unknown_or_broken_are_passed_over() {
        let broken = Any { type_url: "x/apipb.OriginAttribute".into(), value: vec![0xff] };
        let as_path = wrap("AsPathAttribute", &v3::OriginAttribute { origin: 1 });
        let large = v3::LargeCommunitiesAttribute {
            communities: vec![v3::LargeCommunity { global_admin: 1, local_data1: 2, local_data2: 3 }],
        };
        let read = attributes(&[broken, as_path, wrap("LargeCommunitiesAttribute", &large)]);
        let expected = LargeCommunity { global: 1, local_1: 2, local_2: 3 };
        assert_eq!(read, Attributes { large: vec![expected], ..Attributes::default() });
    }
}
