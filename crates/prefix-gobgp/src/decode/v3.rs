//! Version 3 wraps messages of several types in `google.protobuf.Any`. What is inside has the names and fields of
//! version 4, and is decoded as that.

use prefix_core::announcer::AfiSafi;
use prefix_core::flowspec::{RouteKey, RouteKind};
use prost::Message;
use prost_types::Any;

use super::v4::{attributes_of, family_of, key_of};
use crate::attributes::Attributes;
use crate::proto::v3;
use crate::proto::v4::attribute::Attr;
use crate::proto::v4::extended_community::Extcom;
use crate::proto::v4::flow_spec_rule::Rule;
use crate::proto::v4::nlri::Nlri;
use crate::proto::v4::{self, ExtendedCommunity, FlowSpecRule};

/// The name of the wrapped message, without package.
fn name(any: &Any) -> &str {
    any.type_url.rsplit_once("apipb.").map_or("", |(_, name)| name)
}

fn unwrap<M: Message + Default>(any: &Any) -> Option<M> {
    M::decode(any.value.as_slice()).ok()
}

/// The key of an NLRI; `None` for what prefixd cannot announce.
pub(crate) fn key(kind: RouteKind, nlri: Option<&Any>) -> Option<RouteKey> {
    let nlri = nlri?;
    let nlri = match name(nlri) {
        "IPAddressPrefix" => Nlri::Prefix(unwrap(nlri)?),
        "FlowSpecNLRI" => {
            let rules = unwrap::<v3::FlowSpecNlri>(nlri)?.rules.iter().map(rule).collect::<Option<_>>()?;
            Nlri::FlowSpec(v4::FlowSpecNlri { rules })
        }
        _ => return None,
    };
    key_of(kind, &nlri)
}

fn rule(rule: &Any) -> Option<FlowSpecRule> {
    let rule = match name(rule) {
        "FlowSpecIPPrefix" => Rule::IpPrefix(unwrap(rule)?),
        "FlowSpecComponent" => Rule::Component(unwrap(rule)?),
        _ => return None,
    };
    Some(FlowSpecRule { rule: Some(rule) })
}

/// The attributes of a path. What cannot be decoded is left out, like an unknown one.
pub(crate) fn attributes(attributes: &[Any]) -> Attributes {
    attributes_of(attributes.iter().filter_map(attribute))
}

fn attribute(attribute: &Any) -> Option<Attr> {
    Some(match name(attribute) {
        "OriginAttribute" => Attr::Origin(unwrap(attribute)?),
        "NextHopAttribute" => Attr::NextHop(unwrap(attribute)?),
        "MpReachNLRIAttribute" => Attr::MpReach(unwrap(attribute)?),
        "CommunitiesAttribute" => Attr::Communities(unwrap(attribute)?),
        "LargeCommunitiesAttribute" => Attr::LargeCommunities(unwrap(attribute)?),
        "ExtendedCommunitiesAttribute" => {
            let list: v3::ExtendedCommunitiesAttribute = unwrap(attribute)?;
            let extended = |any| ExtendedCommunity { extcom: extended_community(any) };
            let communities = list.communities.iter().map(extended).collect();
            Attr::ExtendedCommunities(v4::ExtendedCommunitiesAttribute { communities })
        }
        "UnknownAttribute" => Attr::Unknown(unwrap(attribute)?),
        _ => return None,
    })
}

fn extended_community(community: &Any) -> Option<Extcom> {
    Some(match name(community) {
        "UnknownExtended" => Extcom::Unknown(unwrap(community)?),
        "TrafficRateExtended" => Extcom::TrafficRate(unwrap(community)?),
        "TrafficActionExtended" => Extcom::TrafficAction(unwrap(community)?),
        "RedirectTwoOctetAsSpecificExtended" => Extcom::RedirectTwoOctetAsSpecific(unwrap(community)?),
        "RedirectIPv4AddressSpecificExtended" => Extcom::RedirectIpv4AddressSpecific(unwrap(community)?),
        "RedirectFourOctetAsSpecificExtended" => Extcom::RedirectFourOctetAsSpecific(unwrap(community)?),
        "TrafficRemarkExtended" => Extcom::TrafficRemark(unwrap(community)?),
        _ => return None,
    })
}

/// The families among the capabilities of one side of a session (RFC 4760 §8).
pub(crate) fn families(capabilities: &[Any]) -> Vec<AfiSafi> {
    let multi_protocol = capabilities.iter().filter(|any| name(any) == "MultiProtocolCapability");
    multi_protocol.filter_map(|any| family_of(&unwrap(any)?)).collect()
}

#[cfg(test)]
mod tests {
    use prefix_core::flowspec::Rule;
    use prefix_core::ownership::LargeCommunity;

    use super::{Any, Attributes, Message, RouteKey, RouteKind, attributes, key, v3, v4};

    fn wrap(name: &str, message: &impl Message) -> Any {
        Any { type_url: format!("type.googleapis.com/apipb.{name}"), value: message.encode_to_vec() }
    }

    fn rule() -> v3::FlowSpecNlri {
        let destination =
            v4::FlowSpecIpPrefix { r#type: 1, prefix_len: 32, prefix: "203.0.113.10".into(), offset: 0 };
        let items = vec![v4::FlowSpecComponentItem { op: 0x81, value: 17 }];
        let protocol = v4::FlowSpecComponent { r#type: 3, items };
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
        with_mac.rules.push(wrap("FlowSpecMAC", &v4::OriginAttribute { origin: 0 }));
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
        let as_path = wrap("AsPathAttribute", &v4::OriginAttribute { origin: 1 });
        let large = v4::LargeCommunitiesAttribute {
            communities: vec![v4::LargeCommunity { global_admin: 1, local_data1: 2, local_data2: 3 }],
        };
        let read = attributes(&[broken, as_path, wrap("LargeCommunitiesAttribute", &large)]);
        let expected = LargeCommunity { global: 1, local_1: 2, local_2: 3 };
        assert_eq!(read, Attributes { large: vec![expected], ..Attributes::default() });
    }
}
