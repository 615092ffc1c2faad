//! Events whose victim is a whole prefix.

use prefix_core::event::{EventAction, EventStatus, Report};
use prefix_core::guardrail::Guardrail;
use prefix_core::mitigation::{EndReason, Status};
use serde_json::json;

use super::world::{Answer, World, host};

fn said(world: &World, prefix: &str) -> Report {
    let prefix: prefix_core::address::Prefix = prefix.parse().unwrap();
    let network = prefix.network().to_string();
    Report { victim_prefix: Some(prefix), ..world.said("fnm", &network, "udp_flood") }
}

fn bans(world: &mut World, prefix: &str) -> Answer {
    let report = said(world, prefix);
    world.takes(&report)
}

fn unbans(world: &mut World, prefix: &str) -> Answer {
    let report = Report { action: EventAction::Unban, ..said(world, prefix) };
    world.takes(&report)
}

#[test]
fn an_entry_makes_a_reported_prefix_a_rule() {
    let mut world = World::new(json!({}));
    assert_eq!(bans(&mut world, "203.0.113.0/24").status, EventStatus::Accepted);
    assert_eq!(
        world.bans("fnm", &host(9)).status,
        EventStatus::Accepted,
        "the speaker has not confirmed the carpet"
    );
    world.unbans("fnm", &host(9));
    world.confirm_all();
    let carpet = world.carpet().unwrap().clone();
    assert_eq!(carpet.route.as_ref().unwrap().to_string(), "dst 203.0.113.0/24 proto udp");
    assert_eq!(world.victims(), 0, "which hosts are meant is not known");
    world.later(60);
    let again = bans(&mut world, "203.0.113.0/24");
    assert_eq!((again.status, again.mitigation), (EventStatus::Extended, Some(carpet.mitigation_id)));
    let inside = bans(&mut world, "203.0.113.64/26");
    assert_eq!((inside.status, inside.mitigation), (EventStatus::Extended, Some(carpet.mitigation_id)));
    let host = world.bans("fnm", &host(7));
    assert_eq!((host.status, host.mitigation), (EventStatus::Extended, Some(carpet.mitigation_id)));
    assert_eq!(world.victims(), 1);
}

#[test]
fn a_longer_prefix_is_its_own_rule_and_no_wider() {
    let mut world = World::new(json!({}));
    bans(&mut world, "203.0.113.64/26");
    world.confirm_all();
    assert_eq!(world.carpet().unwrap().matching.dst_prefix.to_string(), "203.0.113.64/26");
    assert_eq!(world.bans("fnm", &host(65)).status, EventStatus::Extended);
    assert_eq!(world.bans("fnm", &host(1)).status, EventStatus::Accepted, "it lies outside");
}

#[test]
fn what_no_entry_covers_is_refused_as_prefix_length() {
    let mut world = World::new(json!({}));
    world.customers(json!([
        { "customer_id": "acme", "prefixes": ["203.0.112.0/23"] },
        { "customer_id": "other", "prefixes": ["203.0.112.0/25"] },
    ]));
    for prefix in ["203.0.112.0/23", "203.0.112.0/24", "203.0.112.64/26", "203.0.112.128/25"] {
        let answer = bans(&mut world, prefix);
        let expected = if prefix.ends_with("/25") || prefix.ends_with("/26") {
            None
        } else {
            Some(Guardrail::PrefixLength)
        };
        assert_eq!(answer.guardrail, expected, "{prefix}");
    }
    let other = Report { vector: Some("syn_flood".parse().unwrap()), ..said(&world, "203.0.113.0/24") };
    assert_eq!(world.takes(&other).guardrail, Some(Guardrail::PrefixLength));
    let refused = world.rows().iter().find(|row| row.status == Status::Rejected).unwrap();
    assert!(refused.route.is_some(), "the rejected row says what was asked for");
    assert_eq!(bans(&mut world, "198.51.100.0/24").status, EventStatus::AcceptedNoMitigation);
}

#[test]
fn an_entry_of_another_customer_covers_nothing() {
    let mut world = World::new(json!({ "match": { "vector": "udp_flood", "customer_id": "other" } }));
    assert_eq!(bans(&mut world, "203.0.113.0/24").guardrail, Some(Guardrail::PrefixLength));
    for last in 1..=6 {
        world.bans("fnm", &host(last));
    }
    world.settle();
    assert!(world.carpet().is_none());
}

#[test]
fn an_unban_of_the_prefix_ends_its_claim_only() {
    let mut world = World::new(json!({}));
    bans(&mut world, "203.0.113.0/24");
    world.confirm_all();
    let carpet = world.carpet().unwrap().mitigation_id;
    world.bans("fnm", &host(7));
    assert_eq!(unbans(&mut world, "203.0.113.0/24").status, EventStatus::Released);
    assert_eq!(world.victims(), 1);
    assert_eq!(world.unbans("fnm", &host(7)).status, EventStatus::Withdrawn);
    assert_eq!(world.row(carpet).end_reason, Some(EndReason::DetectorUnban));
    assert_eq!(unbans(&mut world, "203.0.113.0/25").status, EventStatus::NotFound);
}

#[test]
fn a_prefix_that_is_reported_as_a_whole_gives_nothing_back() {
    let mut world = World::new(json!({}));
    bans(&mut world, "203.0.113.0/24");
    world.confirm_all();
    for _ in 0..15 {
        world.later(60);
        bans(&mut world, "203.0.113.0/24");
        world.bans("fnm", &host(7));
        world.tick();
    }
    assert_eq!(world.living_hosts(), 0);
    assert!(world.carpet().is_some());
}

#[test]
fn a_prefix_waits_for_room_and_its_reports_renew_it() {
    let mut world = World::new(json!({}));
    world.lab.parts.quotas.max_active_per_customer = 0;
    let first = bans(&mut world, "203.0.113.0/24");
    assert_eq!((first.status, first.guardrail), (EventStatus::Queued, Some(Guardrail::QuotaCustomer)));
    world.later(60);
    let again = bans(&mut world, "203.0.113.0/24");
    assert_eq!((again.status, again.mitigation), (EventStatus::Extended, first.mitigation));
    assert_eq!(world.bans("fnm", &host(7)).status, EventStatus::Queued, "what waits protects nobody");
    world.lab.parts.quotas.max_active_per_customer = 1;
    world.admit();
    assert!(world.carpet().is_some());
}

#[test]
fn host_rules_inside_a_reported_prefix_leave_for_it() {
    let mut world = World::new(json!({}));
    world.bans("fnm", &host(7));
    world.confirm_all();
    bans(&mut world, "203.0.113.0/24");
    world.tick();
    assert_eq!(world.living_hosts(), 1, "not before it is confirmed");
    world.confirm_all();
    world.tick();
    assert_eq!(world.living_hosts(), 0);
    assert_eq!(world.victims(), 1);
}

#[test]
fn an_ipv6_prefix_is_one_too() {
    let mut world = World::new(json!({}));
    assert_eq!(bans(&mut world, "2001:db8:10:ff00::/56").status, EventStatus::Accepted);
    world.confirm_all();
    assert_eq!(world.bans("fnm", "2001:db8:10:ff12::1").status, EventStatus::Extended);
    for number in 1..=4 {
        world.bans("fnm", &format!("2001:db8:10:{number:x}::1"));
    }
    world.settle();
    let carpets = world.rows().iter().filter(|row| row.carpet.is_some() && row.lives());
    let prefixes: Vec<_> = carpets.map(|row| row.matching.dst_prefix.to_string()).collect();
    assert_eq!(prefixes, ["2001:db8:10:ff00::/56", "2001:db8:10::/56"]);
}
