//! Carpet bombing: many hosts of one prefix attacked alike, over rows in memory, from the first report to the last.

mod changes;
mod prefixes;
mod rule;
mod world;

use prefix_core::event::EventStatus;
use prefix_core::guardrail::Guardrail;
use prefix_core::mitigation::{EndReason, Status};
use serde_json::json;

use world::{World, host};

/// Enough hosts for the entry of the tests, confirmed, and the carpet with them.
fn bombed(world: &mut World, hosts: u8) {
    for last in 1..=hosts {
        world.bans("fnm", &host(last));
    }
    world.confirm_all();
}

#[test]
fn enough_victims_get_one_rule_and_theirs_leave_only_once_it_is_confirmed() {
    let mut world = World::new(json!({}));
    bombed(&mut world, 3);
    world.tick();
    assert!(world.carpet().is_none(), "three are not enough");
    bombed(&mut world, 4);
    world.tick();
    let carpet = world.carpet().unwrap();
    assert_eq!(carpet.status, Status::Pending);
    assert_eq!(carpet.route.as_ref().unwrap().to_string(), "dst 203.0.113.0/24 proto udp");
    assert_eq!(carpet.victim_ip.to_string(), "203.0.113.0");
    assert_eq!(world.living_hosts(), 4, "nothing leaves before the speaker has the carpet");
    world.tick();
    assert_eq!(world.living_hosts(), 4);
    world.confirm_all();
    world.tick();
    assert_eq!(world.living_hosts(), 0);
    let carpet = world.carpet().unwrap();
    assert_eq!(carpet.status, Status::Active);
    for row in world.hosts() {
        assert_eq!((row.status, row.end_reason), (Status::Withdrawing, Some(EndReason::Superseded)));
        assert_eq!(row.superseded_by, Some(carpet.mitigation_id));
    }
    assert_eq!(carpet.carpet.as_ref().unwrap().hosts(world.now()).count(), 4);
    assert_eq!(carpet.leases.len(), 1, "one lease per source is shown");
    world.settle_withdrawals();
    assert!(world.hosts().all(|row| row.status == Status::Withdrawn));
}

#[test]
fn queued_hosts_count_and_the_carpet_takes_the_place_of_one_host_in_full_quotas() {
    let mut world = World::new(json!({}));
    world.lab.parts.quotas.max_active_per_customer = 2;
    bombed(&mut world, 4);
    assert_eq!(world.living_hosts(), 2);
    assert_eq!(world.hosts().filter(|row| row.status == Status::Queued).count(), 2);
    world.tick();
    assert!(world.carpet().is_some(), "a full quota does not keep the carpet away");
    assert_eq!(world.counted(), 2, "what counts never exceeds the quota");
    world.confirm_all();
    world.tick();
    assert_eq!(world.living_hosts(), 0);
    assert!(world.counted() <= 2);
    world.settle_withdrawals();
    assert_eq!(world.counted(), 1, "a carpet counts as one rule");
    assert!(world.hosts().all(|row| row.status.is_final()));
}

#[test]
fn stronger_host_rules_stay_until_they_end_and_both_are_held() {
    let mut world = World::new(json!({}));
    bombed(&mut world, 3);
    world.playbook_steps(json!([{ "action": "discard", "ttl_seconds": 120 }]));
    world.bans("fnm", &host(4));
    world.confirm_all();
    world.tick();
    world.confirm_all();
    world.tick();
    assert_eq!(world.living_hosts(), 1, "the host that is discarded keeps its rule");
    let strong = world.living_host_rows()[0];
    assert_eq!(strong.victim_ip.to_string(), host(4));
    let strong = strong.mitigation_id;
    for _ in 0..5 {
        world.later(60);
        let answer = world.bans("fnm", &host(4));
        assert_eq!((answer.status, answer.mitigation), (EventStatus::Extended, Some(strong)));
        world.tick();
    }
    assert!(world.row(strong).lives());
    let carpet = world.carpet().unwrap();
    assert!(carpet.carpet.as_ref().unwrap().hosts(world.now()).any(|ip| ip.to_string() == host(4)));
    world.unbans("fnm", &host(4));
    assert!(!world.row(strong).lives());
}

#[test]
fn reports_and_unbans_of_hosts_inside_act_on_the_carpet() {
    let mut world = World::with_carpet();
    let carpet = world.carpet().unwrap().mitigation_id;
    let answer = world.bans("fnm", &host(1));
    assert_eq!((answer.status, answer.mitigation), (EventStatus::Extended, Some(carpet)));
    let answer = world.bans("fnm", &host(77));
    assert_eq!(
        (answer.status, answer.mitigation),
        (EventStatus::Extended, Some(carpet)),
        "a new victim joins"
    );
    assert_eq!(world.victims(), 5);
    let other = world.reports("fnm", &host(77), "syn_flood");
    assert_eq!(other.status, EventStatus::Accepted, "another vector is another attack");
    world.bans("radar", &host(1));
    assert_eq!(world.unbans("fnm", &host(1)).status, EventStatus::Released);
    assert_eq!(world.victims(), 5, "another source still reports the host");
    assert_ne!(world.unbans("fnm", &host(1)).status, EventStatus::Released, "its claim is gone");
    world.unbans("radar", &host(1));
    assert_eq!(world.victims(), 4);
    for last in [2, 3, 4] {
        assert_eq!(world.unbans("fnm", &host(last)).status, EventStatus::Released);
    }
    let last = world.unbans("fnm", &host(77));
    assert_eq!((last.status, last.mitigation), (EventStatus::Withdrawn, Some(carpet)));
    assert_eq!(world.row(carpet).end_reason, Some(EndReason::DetectorUnban));
}

#[test]
fn claims_are_per_source_event_and_victim() {
    let mut world = World::with_carpet();
    world.bans_as("fnm", &host(9), "a");
    world.bans_as("fnm", &host(9), "b");
    world.bans_as("fnm", &host(8), "a");
    assert_eq!(world.victims(), 6);
    world.unbans_as("fnm", &host(9), "a");
    assert_eq!(world.victims(), 6, "episode b of the host goes on");
    world.unbans_as("fnm", &host(9), "b");
    assert_eq!(world.victims(), 5, "episode a of the other host goes on");
}

#[test]
fn lapsed_victims_leave_and_the_carpet_ends_with_its_last_lease() {
    let mut world = World::with_carpet();
    let carpet = world.carpet().unwrap().mitigation_id;
    world.later(100);
    world.bans("fnm", &host(1));
    world.later(100);
    assert_eq!(world.victims(), 1);
    assert!(world.row(carpet).expires_at > world.now());
    world.later(100);
    assert!(world.row(carpet).expires_at <= world.now());
    world.expire(carpet);
    assert_eq!(world.row(carpet).end_reason, Some(EndReason::Ttl));
}

#[test]
fn few_victims_get_their_rules_back_but_not_before_ten_minutes() {
    let mut world = World::with_carpet();
    let carpet = world.carpet().unwrap().mitigation_id;
    let mut passed = 0;
    while passed < 590 {
        world.later(59);
        passed += 59;
        world.bans("fnm", &host(1));
        world.tick();
        assert!(world.row(carpet).lives() && world.living_hosts() == 0, "{passed} s");
    }
    world.later(20);
    // the rate of new rules is used up, and does not count here
    world.lab.parts.quotas.max_new_per_minute = 0;
    world.tick();
    assert_eq!(world.living_hosts(), 1);
    assert!(world.row(carpet).lives(), "the carpet stays until the speaker has the rules of its hosts");
    world.tick();
    assert!(world.row(carpet).lives());
    world.confirm_all();
    world.tick();
    let ended = world.row(carpet);
    assert_eq!((ended.status, ended.end_reason), (Status::Withdrawing, Some(EndReason::Superseded)));
    let back = world.living_host_rows()[0].clone();
    assert_eq!(back.victim_ip.to_string(), host(1));
    assert_eq!(back.status, Status::Active);
    assert_eq!(back.leases[0].source.as_str(), "fnm");
    assert_eq!(world.admitted_last(), 0, "what goes back is nothing new");
    world.later(30);
    assert_eq!(world.bans("fnm", &host(1)).mitigation, Some(back.mitigation_id));
}

#[test]
fn half_of_the_victims_is_enough_to_stay() {
    let mut world = World::with_carpet();
    for _ in 0..15 {
        world.later(60);
        world.bans("fnm", &host(1));
        world.bans("fnm", &host(2));
        world.tick();
    }
    assert!(world.carpet().is_some());
    assert_eq!(world.living_hosts(), 0);
}

#[test]
fn giving_back_is_all_or_nothing() {
    let mut world = World::new(json!({ "min_victims": 6 }));
    bombed(&mut world, 6);
    world.tick();
    world.confirm_all();
    world.tick();
    world.settle_withdrawals();
    let carpet = world.carpet().unwrap().mitigation_id;
    world.lab.parts.quotas.max_active_per_customer = 1;
    for _ in 0..12 {
        world.later(60);
        world.bans("fnm", &host(1));
        world.bans("fnm", &host(2));
        world.tick();
    }
    assert!(world.row(carpet).lives() && world.living_hosts() == 0, "there is room for one of two only");
    world.lab.parts.quotas.max_active_per_customer = 2;
    world.tick();
    assert_eq!(world.living_hosts(), 2);
    assert_eq!(world.counted(), 2, "the carpet gave its place");
}

#[test]
fn a_refused_carpet_leaves_the_host_rules_and_is_audited_once() {
    let mut world = World::new(json!({}));
    world.lab.safe("203.0.113.200/32");
    bombed(&mut world, 4);
    for _ in 0..5 {
        world.tick();
        world.later(1);
    }
    assert_eq!(world.living_hosts(), 4);
    let rejected: Vec<_> = world.rows().iter().filter(|row| row.status == Status::Rejected).collect();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].guardrail, Some(Guardrail::Safelisted));
    assert_eq!(world.audited("reject"), 1);
}

#[test]
fn manual_rules_are_no_victims_and_never_leave() {
    let mut world = World::new(json!({}));
    bombed(&mut world, 3);
    let manual = world.creates(&host(4));
    world.tick();
    assert!(world.carpet().is_none(), "an operator's rule is no report");
    bombed(&mut world, 5);
    world.tick();
    world.confirm_all();
    world.tick();
    assert!(world.carpet().is_some());
    assert!(world.row(manual).lives());
}

#[test]
fn in_dry_run_the_carpet_takes_over_at_once() {
    let mut world = World::new(json!({}));
    world.dry_run = true;
    bombed(&mut world, 4);
    world.tick();
    let carpet = world.carpet().unwrap();
    assert!(carpet.dry_run && carpet.status == Status::Active);
    assert_eq!(world.living_hosts(), 0);
    assert!(world.hosts().all(|row| row.end_reason == Some(EndReason::Superseded) && row.status.is_final()));
}

#[test]
fn an_idle_area_is_not_due() {
    let mut world = World::with_carpet();
    assert!(world.due().is_empty(), "{:?}", world.due());
    world.later(10);
    world.bans("fnm", &host(1));
    assert!(world.due().is_empty());
}
