//! What people, the configuration and time do to a carpet.

use prefix_core::event::EventStatus;
use prefix_core::guardrail::Guardrail;
use prefix_core::mitigation::{EndReason, Status};
use serde_json::json;

use super::world::{World, host};

#[test]
fn an_operators_withdraw_rests_the_prefix_and_every_host_in_it_for_that_vector() {
    let mut world = World::with_carpet();
    let carpet = world.carpet().unwrap().mitigation_id;
    world.withdraws(carpet);
    assert_eq!(world.row(carpet).end_reason, Some(EndReason::Operator));
    world.settle_withdrawals();
    world.later(5);
    for last in 1..=5 {
        let answer = world.bans("fnm", &host(last));
        assert_eq!((answer.status, answer.guardrail), (EventStatus::Queued, Some(Guardrail::QuietPeriod)));
    }
    world.tick();
    assert!(world.carpet().is_none(), "neither hosts nor the prefix");
    assert_eq!(world.reports("fnm", &host(1), "syn_flood").status, EventStatus::Accepted);
    world.later(116);
    world.admit();
    assert_eq!(world.living_hosts(), 6, "the quiet period is over");
    world.settle();
    assert!(world.carpet().is_some());
}

#[test]
fn a_host_that_an_operator_let_go_keeps_the_carpet_away() {
    let mut world = World::new(json!({}));
    for last in 1..=5 {
        world.bans("fnm", &host(last));
    }
    let one = world.living_host_rows()[0].mitigation_id;
    world.withdraws(one);
    world.later(1);
    assert_eq!(world.bans("fnm", &host(1)).status, EventStatus::Queued);
    world.tick();
    assert!(world.carpet().is_none());
    let refused = world.rows().iter().find(|row| row.status == Status::Rejected).unwrap();
    assert_eq!(refused.guardrail, Some(Guardrail::QuietPeriod));
}

#[test]
fn a_safelist_entry_inside_ends_the_carpet_and_the_other_hosts_get_their_rules() {
    let mut world = World::with_carpet();
    let carpet = world.carpet().unwrap().mitigation_id;
    world.safelists(&format!("{}/32", host(4)));
    assert_eq!(world.row(carpet).end_reason, Some(EndReason::Safelist));
    let hosts: Vec<_> = world.living_host_rows().iter().map(|row| row.victim_ip.to_string()).collect();
    assert_eq!(hosts, [1, 2, 3].map(host), "none for the one that is safe");
}

#[test]
fn a_policy_that_forbids_the_carpet_gives_back_to_hosts() {
    let mut world = World::with_carpet();
    let carpet = world.carpet().unwrap().mitigation_id;
    world.no_entries();
    world.revalidates();
    world.tick();
    assert!(world.row(carpet).lives(), "an entry that is gone ends nothing");
    world.lab.parts.guardrails.dst_prefix_minlen = 32;
    world.revalidates();
    assert_eq!(world.row(carpet).end_reason, Some(EndReason::Revalidation));
    assert_eq!(world.living_hosts(), 4);
}

#[test]
fn a_prefix_that_another_customer_got_a_part_of_is_no_carpet_any_more() {
    let mut world = World::with_carpet();
    let carpet = world.carpet().unwrap().mitigation_id;
    world.customers(json!([
        { "customer_id": "acme", "prefixes": ["203.0.113.0/24"] },
        { "customer_id": "other", "prefixes": ["203.0.113.128/25"] },
    ]));
    world.revalidates();
    assert_eq!(world.row(carpet).end_reason, Some(EndReason::Revalidation));
}

#[test]
fn a_panic_takes_the_carpet_and_raises_nothing() {
    let mut world = World::with_carpet();
    let carpet = world.carpet().unwrap().mitigation_id;
    world.panics();
    assert_eq!(world.row(carpet).end_reason, Some(EndReason::Panic));
    assert_eq!(world.living_hosts(), 0);
    assert_eq!(world.bans("fnm", &host(1)).guardrail, Some(Guardrail::Frozen));
}

#[test]
fn a_carpet_ends_at_its_absolute_lifetime_and_rests() {
    let mut world = World::new(json!({}));
    world.lab.parts.guardrails.max_lifetime_seconds = 900;
    for last in 1..=4 {
        world.bans("fnm", &host(last));
    }
    world.settle();
    let carpet = world.carpet().unwrap().mitigation_id;
    for _ in 0..14 {
        world.later(60);
        for last in 1..=4 {
            world.bans("fnm", &host(last));
        }
        world.tick();
    }
    world.later(60);
    assert!(world.row(carpet).expires_at <= world.now());
    world.expire(carpet);
    assert_eq!(world.row(carpet).end_reason, Some(EndReason::MaxLifetime));
    world.settle_withdrawals();
    let answer = world.bans("fnm", &host(1));
    assert_eq!(answer.guardrail, Some(Guardrail::MaxLifetime), "the hosts rest with it");
}

#[test]
fn what_lives_is_found_again_from_the_rows_alone() {
    // another instance, or this one after a restart, has only what is stored: `World::run` reads it back each time
    let mut world = World::new(json!({}));
    for last in 1..=4 {
        world.bans("fnm", &host(last));
    }
    world.confirm_all();
    world.tick();
    let pending = world.carpet().unwrap().mitigation_id;
    world.later(3);
    world.confirm_all();
    world.tick();
    assert_eq!(world.carpet().unwrap().mitigation_id, pending, "no second carpet");
    assert_eq!(world.living_hosts(), 0);
}

#[test]
fn a_carpet_that_fails_before_it_is_confirmed_leaves_every_host_rule() {
    let mut world = World::new(json!({}));
    for last in 1..=4 {
        world.bans("fnm", &host(last));
    }
    world.confirm_all();
    world.tick();
    let carpet = world.carpet().unwrap().mitigation_id;
    world.withdraws(carpet);
    assert_eq!(world.living_hosts(), 4);
    world.settle_withdrawals();
    world.later(121);
    for last in 1..=4 {
        world.bans("fnm", &host(last));
    }
    world.settle();
    assert!(world.carpet().is_some(), "the next one may stand");
    assert_eq!(world.counted(), 1);
}
