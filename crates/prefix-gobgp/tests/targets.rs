//! Black holes that go to single upstreams and exchanges (`bgp.rtbh_targets`).

use crate::support::{all_ok, assert_is, blackhole, settings, table};
use prefix_core::Announcer;
use prefix_core::announcer::OwnPath;
use prefix_core::flowspec::Action;
use prefix_core::rtbh::{RtbhTarget, RtbhTargets, TargetSet, United};
use prefix_gobgp::{Community, Gobgp};
use prefix_testkit::lab::wait::{PATIENCE, until};
use prefix_testkit::lab::{Exabgp, Family, GobgpVersion, Gobgpd, RouterSeat};

crate::versions::with_both_versions! {
    a_black_hole_reaches_a_router_as_its_targets_say_and_changes_in_place
}

/// The route to `transit` leaves the AS, and the exchange has a next hop of its own.
async fn a_black_hole_reaches_a_router_as_its_targets_say_and_changes_in_place(version: GobgpVersion) {
    let seat = RouterSeat::claim(65_120).unwrap();
    let speaker = Gobgpd::version_of(version).neighbor(&seat).start().await.unwrap();
    let router = Exabgp::start(&seat, &speaker).await.unwrap();
    let mut settings = settings(&speaker);
    let target = |name: &str, community: &str, next_hop_v4| {
        let communities = [community.parse().unwrap()].into_iter().collect();
        (name.parse().unwrap(), RtbhTarget { communities, next_hop_v4, next_hop_v6: None })
    };
    let usual = United {
        communities: [Community::BLACKHOLE.into(), Community::NO_EXPORT.into()].into(),
        next_hop_v4: settings.next_hop_v4,
        next_hop_v6: settings.next_hop_v6,
    };
    let exchange = "192.0.2.66".parse().unwrap();
    let targets = [target("transit", "65001:666", None), target("exchange", "65535:666", Some(exchange))];
    settings.rtbh_targets = RtbhTargets::new(usual, targets);
    let gobgp = Gobgp::new(settings.clone());
    let to = |names: &[&str]| {
        let set = TargetSet::of(names.iter().map(|name| name.parse().unwrap()));
        OwnPath { action: set.map_or(Action::Rtbh, Action::RtbhTo), ..blackhole("203.0.113.11/32", 2) }
    };
    for (names, communities, next_hop) in [
        (&["transit"][..], vec![0xfde9_029a], settings.next_hop_v4),
        (&["transit", "exchange"], vec![0xfde9_029a, Community::BLACKHOLE.get()], exchange),
        (&[], vec![Community::BLACKHOLE.get(), Community::NO_EXPORT.get()], settings.next_hop_v4),
    ] {
        let path = to(names);
        all_ok(&gobgp.announce(std::slice::from_ref(&path)).await);
        until(format!("a black hole to {names:?}"), PATIENCE, async || {
            let rib = router.rib().unwrap();
            let seen = rib
                .iter()
                .find(|update| update.family == Family::Ipv4Unicast)
                .map(|update| &update.attributes);
            let is_it = seen.is_some_and(|seen| {
                seen.communities == communities && seen.next_hop == Some(next_hop.into())
            });
            if is_it { Ok(()) } else { Err(format!("{seen:?}")) }
        })
        .await
        .unwrap();
        assert_is(&table(&gobgp).await[0], &path);
    }
}
