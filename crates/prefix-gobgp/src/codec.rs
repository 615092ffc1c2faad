//! Encodes own paths as changes of the speaker's table, and decodes the speaker's paths into those of the port.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use prefix_core::announcer::{AnnounceError, OwnPath, RibPath, Route};
use prefix_core::flowspec::{Action, RouteKey, RouteKind};
use prefix_core::ownership::{LargeCommunity, Owner, Ownership};
use prefix_core::rtbh::{RtbhTargets, TargetSet};

use crate::attributes::{self, Attributes};
use crate::path::{Change, RibEntry};
use crate::{AnyCommunity, Community, Settings};

/// Encodes and decodes paths. The attributes that all own paths share are encoded once.
#[derive(Debug)]
pub(crate) struct Codec {
    owner: Owner,
    origin: Bytes,
    flowspec_next_hop: Bytes,
    next_hop_v4: Bytes,
    next_hop_v6: Ipv6Addr,
    flowspec_communities: Option<Bytes>,
    blackhole_communities: Option<Bytes>,
    flowspec_large: Vec<LargeCommunity>,
    /// The communities of black holes, to recognise one whose communities were changed.
    blackhole: (Vec<Community>, Vec<LargeCommunity>),
    targets: RtbhTargets<AnyCommunity>,
}

impl Codec {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (standard, large) = AnyCommunity::split(settings.communities.iter().copied());
        let of_blackholes = settings.rtbh_communities.iter().chain(&settings.communities).copied();
        let blackhole = AnyCommunity::split(of_blackholes);
        Self {
            owner: settings.owner,
            origin: attributes::origin(),
            flowspec_next_hop: attributes::next_hop(Ipv4Addr::UNSPECIFIED),
            next_hop_v4: attributes::next_hop(settings.next_hop_v4),
            next_hop_v6: settings.next_hop_v6,
            flowspec_communities: attributes::communities(&standard),
            blackhole_communities: attributes::communities(&blackhole.0),
            flowspec_large: large,
            blackhole,
            targets: settings.rtbh_targets.clone(),
        }
    }

    /// The change that announces an own path.
    pub(crate) fn announcement(&self, path: &OwnPath) -> Result<Change, AnnounceError> {
        let is_rtbh = path.action.is_rtbh();
        if is_rtbh != matches!(path.route, Route::Blackhole(_)) {
            let text = format!("{} cannot carry the action {}", path.route, path.action.action_type());
            return Err(AnnounceError::Refused(text));
        }
        if let Some(targets) = path.action.targets() {
            return self.to_targets(path, targets);
        }
        let mut change = self.bare(&path.route.key());
        change.attributes.push(self.origin.clone());
        if is_rtbh {
            change.attributes.extend(self.blackhole_communities.clone());
        } else {
            change.attributes.extend(self.flowspec_communities.clone());
            change.attributes.push(attributes::extended_communities(&path.action.extended_communities()));
        }
        let further = if is_rtbh { &self.blackhole.1 } else { &self.flowspec_large };
        let tags = self.owner.communities(path.tags);
        let large: Vec<LargeCommunity> = tags.iter().chain(further).copied().collect();
        change.attributes.push(attributes::large_communities(&large));
        Ok(change)
    }

    /// A black hole with the communities and the next hop of its targets.
    fn to_targets(&self, path: &OwnPath, targets: TargetSet) -> Result<Change, AnnounceError> {
        let united = self.targets.unite(targets.names()).map_err(AnnounceError::Refused)?;
        let key = path.route.key();
        let mut change = Change { attributes: Vec::with_capacity(5), ..self.bare(&key) };
        change.attributes.push(match key.kind() {
            RouteKind::UnicastV6 => attributes::mp_reach(key.kind(), united.next_hop_v6, &change.nlri),
            _ => attributes::next_hop(united.next_hop_v4),
        });
        change.attributes.push(self.origin.clone());
        let (standard, further) = AnyCommunity::split(united.communities);
        change.attributes.extend(attributes::communities(&standard));
        let tags = self.owner.communities(path.tags);
        let large: Vec<LargeCommunity> = tags.into_iter().chain(further).collect();
        change.attributes.push(attributes::large_communities(&large));
        Ok(change)
    }

    /// The change that withdraws the API path of a route.
    pub(crate) fn withdrawal(&self, key: &RouteKey) -> Change {
        Change { is_withdraw: true, ..self.bare(key) }
    }

    /// A change with a next hop only. The API requires one in every path, withdrawn and `FlowSpec` ones included,
    /// though `FlowSpec` has none on the wire (RFC 8955 §4).
    fn bare(&self, key: &RouteKey) -> Change {
        let (kind, nlri) = (key.kind(), Bytes::copy_from_slice(key.nlri().as_bytes()));
        let next_hop = match kind {
            RouteKind::FlowSpecV4 | RouteKind::FlowSpecV6 => self.flowspec_next_hop.clone(),
            RouteKind::UnicastV4 => self.next_hop_v4.clone(),
            RouteKind::UnicastV6 => attributes::mp_reach(kind, self.next_hop_v6, &nlri),
        };
        let mut attributes = Vec::with_capacity(5);
        attributes.push(next_hop);
        Change { kind, nlri, attributes, is_withdraw: false }
    }

    /// The path as the port reports it.
    pub(crate) fn report(&self, entry: RibEntry) -> RibPath {
        let RibEntry { key, attributes, local, is_withdraw: _ } = entry;
        let action = self.action(key.kind(), &attributes);
        let ownership = self.owner.read(&attributes.large);
        // the text is for the audit of a foreign path; for own ones, which are read often, it would cost time
        let text = if ownership.is_own() { String::new() } else { attributes.to_string() };
        RibPath { key, action, ownership, local, attributes: text }
    }

    /// Whether a path carries the owner community of this or another pop.
    pub(crate) fn is_tagged(&self, attributes: &Attributes) -> bool {
        self.owner.read(&attributes.large) != Ownership::Foreign
    }

    /// The targets of a black hole whose communities and next hop are just those of targets.
    fn targets_of(&self, attributes: &Attributes) -> Option<TargetSet> {
        let large = attributes.large.iter().filter(|community| !self.owner.is_mark(community));
        let standard = attributes.communities.iter().copied().map(AnyCommunity::from);
        let communities = standard.chain(large.copied().map(AnyCommunity::Large)).collect();
        self.targets.reached_by(&communities, attributes.next_hop?)
    }

    /// The action; `None` for a black hole that lacks one of its communities, because upstream would not recognise it.
    fn action(&self, kind: RouteKind, attributes: &Attributes) -> Option<Action> {
        if kind.is_flowspec() {
            return Action::from_extended_communities(&attributes.extended).ok();
        }
        if let Some(targets) = self.targets_of(attributes) {
            return Some(Action::RtbhTo(targets));
        }
        let (standard, large) = &self.blackhole;
        let is_complete = standard.iter().all(|community| attributes.communities.contains(community))
            && large.iter().all(|community| attributes.large.contains(community));
        is_complete.then_some(Action::Rtbh)
    }
}

#[cfg(test)]
mod tests {
    use prefix_core::flowspec::Rule;
    use prefix_core::ownership::{MitigationTag, NotAfter, Tags};
    use prefix_core::rtbh::{RtbhTarget, United};

    use super::*;

    fn settings() -> Settings {
        let owner = Owner::new(65_010, 8955, &"fra1".parse().unwrap());
        Settings::new("127.0.0.1:50051".parse().unwrap(), owner)
    }

    fn tags() -> Tags {
        Tags { not_after: NotAfter(1_800_000_000), mitigation: MitigationTag(7) }
    }

    fn flowspec(destination: &str, action: Action) -> OwnPath {
        let rule = Rule::to(destination.parse().unwrap()).build().unwrap();
        OwnPath { route: Route::FlowSpec(Box::new(rule)), action, tags: tags() }
    }

    fn read_back(codec: &Codec, change: &Change) -> RibPath {
        codec.report(RibEntry {
            key: RouteKey::decode(change.kind, &change.nlri).unwrap(),
            attributes: Attributes::decode(change.attributes.iter().map(|a| &a[..])),
            local: true,
            is_withdraw: change.is_withdraw,
        })
    }

    #[test]
    fn an_own_path_is_read_back_as_it_was_sent() {
        let codec = Codec::new(&settings());
        let blackhole = |prefix: &str| OwnPath {
            route: Route::Blackhole(prefix.parse().unwrap()),
            action: Action::Rtbh,
            tags: tags(),
        };
        for path in [
            flowspec("203.0.113.10/32", Action::Discard),
            flowspec("2001:db8::1/128", Action::police(None, Some(1000.try_into().unwrap())).unwrap()),
            blackhole("203.0.113.10/32"),
            blackhole("2001:db8::1/128"),
        ] {
            let read = read_back(&codec, &codec.announcement(&path).unwrap());
            assert_eq!(read.key, path.route.key());
            assert_eq!(read.action, Some(path.action));
            let own =
                Ownership::Own { not_after: Some(tags().not_after), mitigation: Some(tags().mitigation) };
            assert_eq!(read.ownership, own);
        }
    }

    #[test]
    fn a_rule_and_a_black_hole_never_swap_actions() {
        let codec = Codec::new(&settings());
        let wrong = flowspec("203.0.113.10/32", Action::Rtbh);
        assert!(matches!(codec.announcement(&wrong), Err(AnnounceError::Refused(_))));
        let wrong = OwnPath {
            route: Route::Blackhole("203.0.113.10/32".parse().unwrap()),
            action: Action::Discard,
            tags: tags(),
        };
        assert!(matches!(codec.announcement(&wrong), Err(AnnounceError::Refused(_))));
    }

    #[test]
    fn configured_communities_stand_on_every_path_once() {
        let mut settings = settings();
        settings.communities =
            ["65010:1", "4200000000:1:2", "NO_EXPORT"].map(|text| text.parse().unwrap()).to_vec();
        let codec = Codec::new(&settings);
        let communities = |path: &OwnPath| {
            let change = codec.announcement(path).unwrap();
            let read = read_back(&codec, &change);
            assert!(matches!(read.ownership, Ownership::Own { .. }) && read.action == Some(path.action));
            let attributes = Attributes::decode(change.attributes.iter().map(|a| &a[..]));
            let large: Vec<String> = attributes.large.iter().map(ToString::to_string).collect();
            assert_eq!((large.len(), large[3].as_str()), (4, "4200000000:1:2"), "behind the three tags");
            attributes.communities
        };
        let rule = flowspec("203.0.113.10/32", Action::Discard);
        let own = "65010:1".parse().unwrap();
        assert_eq!(communities(&rule), [own, Community::NO_EXPORT]);
        let blackhole = OwnPath {
            route: Route::Blackhole("203.0.113.10/32".parse().unwrap()),
            action: Action::Rtbh,
            tags: tags(),
        };
        assert_eq!(communities(&blackhole), [own, Community::BLACKHOLE, Community::NO_EXPORT]);
    }

    /// One upstream by its own community, an exchange by a next hop of its own; every own path carries 65010:1.
    fn with_targets() -> Codec {
        let target = |name: &str, communities: &[&str], hop: Option<[u8; 4]>| {
            let communities =
                communities.iter().chain(&["65010:1"]).map(|text| text.parse().unwrap()).collect();
            let next_hop_v6 = hop.map(|_| "2001:db8::66".parse().unwrap());
            (
                name.parse().unwrap(),
                RtbhTarget { communities, next_hop_v4: hop.map(Ipv4Addr::from), next_hop_v6 },
            )
        };
        let usual = United {
            communities: ["65535:666", "NO_EXPORT", "65010:1"].map(|text| text.parse().unwrap()).into(),
            next_hop_v4: Ipv4Addr::new(192, 0, 2, 1),
            next_hop_v6: settings().next_hop_v6,
        };
        let mut settings = settings();
        settings.communities = vec!["65010:1".parse().unwrap()];
        settings.rtbh_targets = RtbhTargets::new(
            usual,
            [
                target("transit", &["65001:666", "4200000000:1:2"], None),
                target("exchange", &["65535:666"], Some([192, 0, 2, 66])),
            ],
        );
        Codec::new(&settings)
    }

    fn to(prefix: &str, targets: &[&str]) -> OwnPath {
        let set = TargetSet::of(targets.iter().map(|name| name.parse().unwrap()));
        let action = set.map_or(Action::Rtbh, Action::RtbhTo);
        OwnPath { route: Route::Blackhole(prefix.parse().unwrap()), action, tags: tags() }
    }

    #[test]
    fn a_black_hole_has_the_communities_and_the_next_hop_of_its_targets_and_nothing_else() {
        let codec = with_targets();
        for (prefix, targets, communities, further, hop) in [
            ("203.0.113.10/32", &["transit"][..], "65001:666 65010:1", 1, "192.0.2.1"),
            ("203.0.113.10/32", &["exchange"], "65010:1 65535:666", 0, "192.0.2.66"),
            ("203.0.113.10/32", &["exchange", "transit"], "65001:666 65010:1 65535:666", 1, "192.0.2.66"),
            ("203.0.113.10/32", &[], "65010:1 65535:666 65535:65281", 0, "192.0.2.1"),
            ("2001:db8::1/128", &["transit"], "65001:666 65010:1", 1, "100::1"),
            ("2001:db8::1/128", &["exchange"], "65010:1 65535:666", 0, "2001:db8::66"),
        ] {
            let path = to(prefix, targets);
            let change = codec.announcement(&path).unwrap();
            let attributes = Attributes::decode(change.attributes.iter().map(|a| &a[..]));
            let mut carried: Vec<u32> = attributes.communities.iter().map(|c| c.get()).collect();
            carried.sort_unstable();
            let carried: Vec<String> =
                carried.iter().map(|c| format!("{}:{}", c >> 16, c & 0xffff)).collect();
            assert_eq!(carried.join(" "), communities, "{targets:?}");
            assert_eq!(attributes.large.len(), 3 + further, "{targets:?}");
            assert_eq!(attributes.next_hop, Some(hop.parse().unwrap()), "{targets:?}");
            assert_eq!(read_back(&codec, &change).action, Some(path.action), "{prefix} {targets:?}");
        }
    }

    #[test]
    fn a_target_that_is_not_configured_is_refused_and_one_that_lost_a_community_is_no_action() {
        let codec = with_targets();
        let refused = codec.announcement(&to("203.0.113.10/32", &["gone"]));
        assert!(matches!(&refused, Err(AnnounceError::Refused(why)) if why.contains("gone")), "{refused:?}");
        let mut change = codec.announcement(&to("203.0.113.10/32", &["transit"])).unwrap();
        change.attributes.retain(|attribute| attribute[1] != 8);
        assert_eq!(read_back(&codec, &change).action, None);
    }

    #[test]
    fn a_black_hole_that_lost_a_community_has_no_action() {
        let codec = Codec::new(&settings());
        let stripped = Attributes { communities: vec![Community::BLACKHOLE], ..Attributes::default() };
        assert_eq!(codec.action(RouteKind::UnicastV4, &stripped), None);
    }
}
