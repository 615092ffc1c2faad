//! What else is in the speaker's table, and what a router receives.

use std::time::Duration;

use crate::support::{
    adapter, all_ok, assert_is, blackhole, many, next, next_that, one_of_everything, own, owner, police,
    rule, settings, table,
};
use prefix_core::Announcer;
use prefix_core::announcer::{AfiSafi, Route, SessionState, SpeakerEvent};
use prefix_core::flowspec::Action;
use prefix_core::ownership::Ownership;
use prefix_gobgp::{Community, Gobgp};
use prefix_testkit::lab::wait::{PATIENCE, until};
use prefix_testkit::lab::{BgpNeighbor, Exabgp, Family, GobgpVersion, Gobgpd, RouterSeat, RouterUpdate};

crate::versions::with_both_versions! {
    a_router_receives_the_very_octets_of_each_rule
    a_changed_action_reaches_a_router_without_a_withdrawal_in_between
    no_two_rules_share_an_update_when_they_are_announced
    configured_communities_and_next_hops_reach_a_router
    paths_of_others_are_listed_and_never_touched
    another_pops_paths_are_neither_ours_nor_foreign
    rules_that_look_alike_are_kept_apart
    a_foreign_path_on_our_route_is_seen_as_drift
    a_foreign_rule_written_in_another_way_stands_beside_ours
    a_family_deleted_by_somebody_else_is_told_route_by_route
    a_path_from_a_session_stands_beside_ours
    what_prefixd_cannot_announce_is_passed_over
    unicast_routes_of_others_are_left_out
    rules_stay_when_their_announcer_dies
    peers_are_told_with_their_families
}

fn same_family(path: &Route) -> Family {
    match (path, path.family()) {
        (Route::FlowSpec(_), prefix_core::address::Family::Ipv4) => Family::Ipv4FlowSpec,
        (Route::FlowSpec(_), prefix_core::address::Family::Ipv6) => Family::Ipv6FlowSpec,
        (Route::Blackhole(_), prefix_core::address::Family::Ipv4) => Family::Ipv4Unicast,
        (Route::Blackhole(_), prefix_core::address::Family::Ipv6) => Family::Ipv6Unicast,
    }
}

async fn a_router_receives_the_very_octets_of_each_rule(version: GobgpVersion) {
    let seat = RouterSeat::claim(65_120).unwrap();
    let speaker = Gobgpd::version_of(version).neighbor(&seat).start().await.unwrap();
    let router = Exabgp::start(&seat, &speaker).await.unwrap();
    let gobgp = adapter(&speaker);
    let paths = one_of_everything();
    all_ok(&gobgp.announce(&paths).await);
    for path in &paths {
        let family = same_family(&path.route);
        let key = path.route.key();
        let octets = key.nlri().as_bytes();
        let octets = if family.is_flow_spec() { &octets[1..] } else { octets };
        let of_path = |update: &RouterUpdate| update.family == family && update.nlri == octets;
        let update = router.wait_for(&path.route.to_string(), of_path).await.unwrap();
        assert!(update.is_announcement());
        let received = update.attributes;
        let actions: Vec<_> =
            path.action.extended_communities().iter().map(|community| community.0).collect();
        assert_eq!(received.extended_communities, actions, "{}", path.route);
        let tags = owner("fra1").communities(path.tags).map(|c| [c.global, c.local_1, c.local_2]);
        assert_eq!(received.large_communities, tags);
        if family.is_flow_spec() {
            assert_eq!(received.communities, [0_u32; 0]);
            assert_eq!(received.next_hop, None);
        } else {
            assert_eq!(received.communities, [Community::BLACKHOLE.get(), Community::NO_EXPORT.get()]);
        }
    }
    let keys: Vec<_> = paths.iter().map(|path| path.route.key()).collect();
    all_ok(&gobgp.withdraw(&keys).await);
    router.wait_for_rib_size(0, PATIENCE).await.unwrap();
    assert_eq!(router.times_up().unwrap(), 1);
}

async fn a_changed_action_reaches_a_router_without_a_withdrawal_in_between(version: GobgpVersion) {
    let seat = RouterSeat::claim(65_120).unwrap();
    let speaker = Gobgpd::version_of(version).neighbor(&seat).start().await.unwrap();
    let router = Exabgp::start(&seat, &speaker).await.unwrap();
    let gobgp = adapter(&speaker);
    let text = "dst 203.0.113.10/32 proto udp";
    all_ok(&gobgp.announce(&[own(text, police(), 1)]).await);
    router.wait_for("police", |u| u.traffic_rate_bytes_per_second() == Some(1_250_000.0)).await.unwrap();
    all_ok(&gobgp.announce(&[own(text, Action::Discard, 1)]).await);
    router.wait_for("discard", |u| u.traffic_rate_bytes_per_second() == Some(0.0)).await.unwrap();
    let history = router.history_for("203.0.113.10/32").unwrap();
    assert_eq!(history.len(), 2);
    assert!(history.iter().all(RouterUpdate::is_announcement));
}

async fn no_two_rules_share_an_update_when_they_are_announced(version: GobgpVersion) {
    let seat = RouterSeat::claim(65_120).unwrap();
    let speaker = Gobgpd::version_of(version).neighbor(&seat).start().await.unwrap();
    let router = Exabgp::start(&seat, &speaker).await.unwrap();
    all_ok(&adapter(&speaker).announce(&many(500)).await);
    router.wait_for_rib_size(500, PATIENCE).await.unwrap();
    let mut messages: Vec<_> = router.updates().unwrap().iter().map(|update| update.message).collect();
    messages.dedup();
    assert_eq!(messages.len(), 500);
}

async fn configured_communities_and_next_hops_reach_a_router(version: GobgpVersion) {
    let seat = RouterSeat::claim(65_120).unwrap();
    let speaker = Gobgpd::version_of(version).neighbor(&seat).start().await.unwrap();
    let router = Exabgp::start(&seat, &speaker).await.unwrap();
    let mut settings = settings(&speaker);
    settings.communities = vec!["65010:77".parse().unwrap(), "4200000000:1:77".parse().unwrap()];
    settings.rtbh_communities = vec![Community::BLACKHOLE.into()];
    settings.next_hop_v4 = "192.0.2.66".parse().unwrap();
    settings.next_hop_v6 = "100::66".parse().unwrap();
    let gobgp = Gobgp::new(settings.clone());
    let paths = [
        own("dst 203.0.113.10/32", Action::Discard, 1),
        blackhole("203.0.113.11/32", 2),
        blackhole("2001:db8::11/128", 3),
    ];
    all_ok(&gobgp.announce(&paths).await);
    router.wait_for_rib_size(3, PATIENCE).await.unwrap();
    let attributes = |family: Family| {
        router.rib().unwrap().into_iter().find(|update| update.family == family).unwrap().attributes
    };
    let own_community = 0xfdf2_004d;
    assert_eq!(attributes(Family::Ipv4FlowSpec).communities, [own_community]);
    let expected = [own_community, Community::BLACKHOLE.get()];
    assert_eq!(attributes(Family::Ipv4Unicast).communities, expected);
    assert_eq!(attributes(Family::Ipv6Unicast).communities, expected);
    for family in [Family::Ipv4FlowSpec, Family::Ipv4Unicast, Family::Ipv6Unicast] {
        let large = attributes(family).large_communities;
        assert!(large.len() == 4 && large.contains(&[4_200_000_000, 1, 77]), "{large:?}");
    }
    assert_eq!(attributes(Family::Ipv4Unicast).next_hop, Some(settings.next_hop_v4.into()));
    assert_eq!(attributes(Family::Ipv6Unicast).next_hop, Some(settings.next_hop_v6.into()));
}

const FOREIGN: &str =
    "match destination 203.0.113.99/32 protocol udp destination-port ==53 ==80 then discard";

async fn paths_of_others_are_listed_and_never_touched(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    speaker.add(Family::Ipv4FlowSpec, FOREIGN).await.unwrap();
    speaker.add(Family::Ipv6FlowSpec, "match destination 2001:db8::99/128 then discard").await.unwrap();
    let gobgp = adapter(&speaker);
    let path = own("dst 203.0.113.10/32", Action::Discard, 1);
    all_ok(&gobgp.announce(std::slice::from_ref(&path)).await);

    let listed = table(&gobgp).await;
    assert_eq!(listed.len(), 3);
    assert_is(&listed[0], &path);
    let foreign = rule("dst 203.0.113.99/32 proto udp dport =53|=80");
    assert_eq!(listed[1].key, Route::FlowSpec(Box::new(foreign)).key());
    assert_eq!(
        (listed[1].ownership, listed[1].action, listed[1].local),
        (Ownership::Foreign, Some(Action::Discard), true)
    );
    assert!(listed[1].attributes.contains("extended communities 0x8006"), "{}", listed[1].attributes);
    assert_eq!(listed[2].ownership, Ownership::Foreign);

    all_ok(&gobgp.withdraw(&[path.route.key()]).await);
    assert_eq!(table(&gobgp).await, listed[1..]);
    assert_eq!(speaker.rules(Family::Ipv4FlowSpec).await.unwrap().len(), 1);
    assert_eq!(speaker.rules(Family::Ipv6FlowSpec).await.unwrap().len(), 1);
}

async fn another_pops_paths_are_neither_ours_nor_foreign(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    let mut other = settings(&speaker);
    other.owner = owner("ams1");
    let paths = [own("dst 203.0.113.10/32", Action::Discard, 1), blackhole("203.0.113.11/32", 2)];
    all_ok(&Gobgp::new(other).announce(&paths).await);
    let listed = table(&adapter(&speaker)).await;
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|path| matches!(path.ownership, Ownership::OtherPop { .. })), "{listed:?}");
}

/// The speaker knows a rule by its text, in which different octets could look alike.
async fn rules_that_look_alike_are_kept_apart(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    let gobgp = adapter(&speaker);
    let matches = [
        "",
        "proto =6",
        "proto =17",
        "proto =6|=17",
        "proto >=6&<=17",
        "port =53",
        "dport =53",
        "sport =53",
        "dport <53",
        "dport >53",
        "dport <=53",
        "dport >=53",
        "dport <53|>53",
        "dport >=53&<=80",
        "dport =53|=80",
        "dport >=53|<=80",
        "dport >53&<80",
        "dport <53|>53&<80|>80",
        "dport <53|>53&<=80",
        "proto tcp flags syn",
        "proto tcp flags ack",
        "proto tcp flags syn&ack",
        "proto tcp flags syn|ack",
        "proto tcp flags !syn",
        "proto tcp flags !ack",
        "proto tcp flags syn&!ack",
        "proto tcp flags !syn&ack",
        "proto tcp flags !syn&!ack",
        "proto tcp flags !syn|ack",
        "proto tcp flags syn|!ack",
        "proto tcp flags fin",
        "proto tcp flags rst",
        "proto tcp flags psh",
        "proto tcp flags urg",
        "proto tcp flags ece",
        "proto tcp flags cwr",
        "frag is_fragment",
        "frag !is_fragment",
        "frag first_fragment",
        "frag last_fragment",
        "frag first_fragment|last_fragment",
        "frag is_fragment|first_fragment",
        "frag dont_fragment",
        "proto icmp icmp-type =8",
        "proto icmp icmp-code =8",
        "proto icmp icmp-type =8 icmp-code =0",
        "len =46",
        "dscp =46",
        "len >46",
        "src 198.51.100.0/24",
        "src 198.51.100.0/25",
    ];
    let all: Vec<_> = matches
        .iter()
        .flat_map(|text| {
            let is_v4_only = text.contains("src") || text.contains("dont");
            let v6 = (!is_v4_only).then(|| format!("dst 2001:db8::10/128 {text}"));
            [Some(format!("dst 203.0.113.10/32 {text}")), v6].into_iter().flatten()
        })
        .zip(1..)
        .map(|(text, number)| own(&text, Action::Discard, number))
        .collect();
    all_ok(&gobgp.announce(&all).await);
    let keys: Vec<_> = all.iter().map(|path| path.route.key()).collect();
    let found = gobgp.find(&keys).await.unwrap();
    let lost: Vec<_> = all
        .iter()
        .zip(&found)
        .filter(|(_, found)| found.is_none())
        .map(|(path, _)| path.route.to_string())
        .collect();
    assert_eq!(lost, Vec::<String>::new());
}

async fn a_foreign_path_on_our_route_is_seen_as_drift(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    let gobgp = adapter(&speaker);
    let path = own("dst 203.0.113.10/32 proto udp", police(), 1);
    all_ok(&gobgp.announce(std::slice::from_ref(&path)).await);
    let mut events = gobgp.watch();
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
    let foreign = "match destination 203.0.113.10/32 protocol udp then discard";
    speaker.add(Family::Ipv4FlowSpec, foreign).await.unwrap();

    let listed = table(&gobgp).await;
    assert_eq!(listed.len(), 1);
    let seen = (listed[0].key.clone(), listed[0].ownership, listed[0].action);
    assert_eq!(seen, (path.route.key(), Ownership::Foreign, Some(Action::Discard)));
    assert_eq!(gobgp.find(&[path.route.key()]).await.unwrap()[0].as_ref(), Some(&listed[0]));
    let event = next(&mut events).await;
    assert!(
        matches!(&event, SpeakerEvent::PathChanged { path: Some(path), .. } if path.ownership == Ownership::Foreign),
        "{event:?}"
    );

    all_ok(&gobgp.announce(std::slice::from_ref(&path)).await);
    assert_is(&table(&gobgp).await[0], &path);
}

async fn a_foreign_rule_written_in_another_way_stands_beside_ours(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    let gobgp = adapter(&speaker);
    let path = own("dst 203.0.113.10/32 dport =53|=80", police(), 1);
    all_ok(&gobgp.announce(std::slice::from_ref(&path)).await);
    let mut events = gobgp.watch();
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
    let foreign = "match destination 203.0.113.10/32 destination-port ==80 ==53 then discard";
    speaker.add(Family::Ipv4FlowSpec, foreign).await.unwrap();
    assert_eq!(speaker.rules(Family::Ipv4FlowSpec).await.unwrap().len(), 2);

    let (ours, others): (Vec<_>, Vec<_>) = table(&gobgp).await.into_iter().partition(|listed| listed.local);
    assert_is(&ours[0], &path);
    assert_eq!((ours.len(), others.len(), others[0].ownership), (1, 1, Ownership::Foreign));
    assert_is(gobgp.find(&[path.route.key()]).await.unwrap()[0].as_ref().unwrap(), &path);
    all_ok(&gobgp.withdraw(&[path.route.key()]).await);
    assert_eq!(table(&gobgp).await, others);
    // The watch told nothing of the foreign rule.
    assert_eq!(next(&mut events).await, SpeakerEvent::PathChanged { key: path.route.key(), path: None });
}

async fn a_family_deleted_by_somebody_else_is_told_route_by_route(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    let gobgp = adapter(&speaker);
    let paths = many(20);
    all_ok(&gobgp.announce(&paths).await);
    let mut events = gobgp.watch();
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
    speaker.cli(&["global", "rib", "del", "all", "-a", "ipv4-flowspec"]).await.unwrap();
    let mut gone = Vec::new();
    while gone.len() < paths.len() {
        match next(&mut events).await {
            SpeakerEvent::PathChanged { key, path: None } => gone.push(key),
            other => panic!("{other:?}"),
        }
    }
    gone.sort();
    assert_eq!(gone, paths.iter().map(|path| path.route.key()).collect::<Vec<_>>());
    assert_eq!(table(&gobgp).await, []);
}

async fn a_path_from_a_session_stands_beside_ours(version: GobgpVersion) {
    let seat = RouterSeat::claim(65_130).unwrap();
    let speaker = Gobgpd::version_of(version).neighbor(&seat).start().await.unwrap();
    let gobgp = adapter(&speaker);
    let path = own("dst 203.0.113.10/32 proto udp", police(), 1);
    let key = path.route.key();
    let mut neighbor = BgpNeighbor::start(&seat, &speaker).await.unwrap();
    neighbor.discards(&seat, key.nlri().as_bytes(), &[]).await.unwrap();
    let listed = until("the neighbor's path", PATIENCE, async || match table(&gobgp).await {
        listed if listed.len() == 1 => Ok(listed),
        other => Err(format!("{other:?}")),
    });
    let listed = listed.await.unwrap();
    assert_eq!((listed[0].local, listed[0].ownership), (false, Ownership::Foreign));

    all_ok(&gobgp.announce(std::slice::from_ref(&path)).await);
    let mut both = table(&gobgp).await;
    both.sort_by_key(|path| path.local);
    assert_eq!(both.iter().map(|path| path.local).collect::<Vec<_>>(), [false, true]);
    assert_is(&both[1], &path);
    assert_is(gobgp.find(std::slice::from_ref(&key)).await.unwrap()[0].as_ref().unwrap(), &path);

    all_ok(&gobgp.withdraw(&[key]).await);
    assert_eq!(table(&gobgp).await, listed);
}

async fn what_prefixd_cannot_announce_is_passed_over(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    speaker.add(Family::Ipv4FlowSpec, "match source 203.0.113.99/32 then discard").await.unwrap();
    speaker.add(Family::Ipv4FlowSpec, FOREIGN).await.unwrap();
    assert_eq!(table(&adapter(&speaker)).await.len(), 1);
}

async fn unicast_routes_of_others_are_left_out(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    speaker.add(Family::Ipv4Unicast, "203.0.113.0/24 nexthop 192.0.2.1").await.unwrap();
    speaker.add(Family::Ipv4Unicast, "203.0.113.12/32 nexthop 192.0.2.1").await.unwrap();
    speaker.add(Family::Ipv6Unicast, "2001:db8::/32 nexthop 2001:db8::1").await.unwrap();
    let gobgp = adapter(&speaker);
    assert_eq!(table(&gobgp).await, []);
    let path = blackhole("203.0.113.11/32", 1);
    all_ok(&gobgp.announce(std::slice::from_ref(&path)).await);
    assert_eq!(table(&gobgp).await.len(), 1);
    // A covering route is not the route that was asked for.
    let absent = blackhole("203.0.113.13/32", 1).route.key();
    assert_eq!(gobgp.find(&[absent]).await.unwrap(), [None]);
    let foreign = gobgp.find(&[blackhole("203.0.113.12/32", 1).route.key()]).await.unwrap();
    assert_eq!(
        foreign[0].as_ref().map(|path| (path.ownership, path.action)),
        Some((Ownership::Foreign, None))
    );
    all_ok(&gobgp.withdraw(&[path.route.key()]).await);
    assert_eq!(speaker.rules(Family::Ipv4Unicast).await.unwrap().len(), 2);
}

async fn rules_stay_when_their_announcer_dies(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    let path = own("dst 203.0.113.10/32", Action::Discard, 1);
    {
        let gobgp = adapter(&speaker);
        all_ok(&gobgp.announce(std::slice::from_ref(&path)).await);
    }
    assert_is(&table(&adapter(&speaker)).await[0], &path);
}

async fn peers_are_told_with_their_families(version: GobgpVersion) {
    let seat = RouterSeat::claim(65_120).unwrap();
    let speaker = Gobgpd::version_of(version).neighbor(&seat).start().await.unwrap();
    let gobgp = adapter(&speaker);
    let mut events = gobgp.watch();
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
    let SpeakerEvent::PeerChanged(before) = next(&mut events).await else { panic!("no peer") };
    assert_eq!((before.address, before.asn), (seat.address().ip().into(), 65_120));
    assert_ne!(before.state, SessionState::Established);
    assert_eq!((before.uptime, before.families.len()), (None, 4));

    let neighbor = BgpNeighbor::start(&seat, &speaker).await.unwrap();
    let is_up = |event: &SpeakerEvent| matches!(event, SpeakerEvent::PeerChanged(peer) if peer.state == SessionState::Established);
    let SpeakerEvent::PeerChanged(told) = next_that(&mut events, is_up).await else { panic!("no peer") };
    assert_eq!(told.families, [AfiSafi::Ipv4Flowspec]);
    let peers = gobgp.peers().await.unwrap();
    assert_eq!(peers.len(), 1);
    assert_eq!((peers[0].state, &peers[0].families), (SessionState::Established, &told.families));
    assert!(peers[0].uptime.is_some_and(|uptime| uptime < Duration::from_mins(1)), "{peers:?}");

    drop(neighbor);
    let is_down = |event: &SpeakerEvent| matches!(event, SpeakerEvent::PeerChanged(peer) if peer.state != SessionState::Established);
    next_that(&mut events, is_down).await;
}
