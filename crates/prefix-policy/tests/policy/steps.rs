//! Escalation and the way back (configuration.md §4.4).

use chrono::TimeDelta;
use prefix_core::confidence::Confidence;
use prefix_core::flowspec::Action;
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use prefix_policy::{StepPlan, StepVerdict};
use serde_json::{Value, json};

use crate::world::{HOST, RESOLVER, Saying, World, report};

fn three_steps() -> Value {
    json!([
        { "action": "police", "rate_bps": 50_000_000, "ttl_seconds": 60 },
        { "action": "police", "rate_bps": 1_000_000, "ttl_seconds": 60,
          "require_persistence_seconds": 60, "require_confidence_at_least": 0.6 },
        { "action": "discard", "ttl_seconds": 300,
          "require_persistence_seconds": 120, "require_confidence_at_least": 0.8 },
    ])
}

fn attacked(confidence: f64) -> (World, MitigationId) {
    let mut world = World::with_steps(three_steps());
    let id = world.raise(&report("udp_flood", HOST).on(&[80]).sure(confidence));
    (world, id)
}

/// The source reports again.
fn again(world: &mut World, id: MitigationId, confidence: f64) {
    let (now, policy) = (world.now, world.policy());
    let confidence = Confidence::new(confidence).unwrap();
    let row = world.edit(id);
    let until = row.ttl.after(now);
    row.leases[0].renew(None, confidence, now, until);
    row.follow_leases();
    row.progress.refused_step = None;
    row.progress.below_since = policy.below_since(row, confidence, now);
}

/// Reports every 30 s for so long.
fn goes_on(world: &mut World, id: MitigationId, confidence: f64, seconds: i64) {
    for _ in 0..seconds / 30 {
        world.later(30);
        again(world, id, confidence);
    }
}

/// The step is confirmed at once.
fn take(world: &mut World, id: MitigationId, plan: StepPlan) {
    let now = world.now;
    let row = world.edit(id);
    row.progress.step = plan.step;
    row.progress.step_confirmed_at = Some(now);
    row.progress.below_since = None;
    row.progress.escalated_since = (plan.step > 0).then(|| row.progress.escalated_since.unwrap_or(now));
    row.status = if plan.step > 0 { Status::Escalated } else { Status::Active };
    row.matching = plan.matching;
    row.route = Some(plan.route);
    row.action = plan.action;
    row.ttl = plan.ttl;
}

fn escalates(world: &mut World, id: MitigationId) -> u16 {
    match world.next_step(world.find(id)) {
        StepVerdict::Escalate(plan) => {
            let step = plan.step;
            take(world, id, *plan);
            step
        }
        other => panic!("no escalation: {other:#?}"),
    }
}

fn stays(world: &World, id: MitigationId) -> bool {
    world.next_step(world.find(id)) == StepVerdict::Stay
}

#[test]
fn an_attack_that_goes_on_climbs_step_by_step() {
    let (mut world, id) = attacked(0.9);
    goes_on(&mut world, id, 0.9, 30);
    assert!(stays(&world, id), "30 of 60 seconds");
    goes_on(&mut world, id, 0.9, 30);
    assert_eq!(escalates(&mut world, id), 1);
    goes_on(&mut world, id, 0.9, 90);
    assert!(stays(&world, id), "90 of 120 seconds");
    goes_on(&mut world, id, 0.9, 30);
    assert_eq!(escalates(&mut world, id), 2);
    let row = world.find(id);
    assert_eq!(row.action, Action::Discard);
    assert_eq!(row.route.as_ref().unwrap().to_string(), "dst 203.0.113.99/32 proto udp dport =80");
    assert_eq!(row.ttl.seconds(), 300);
    goes_on(&mut world, id, 0.9, 300);
    assert!(stays(&world, id), "there is no step above the last");
}

#[test]
fn the_way_up_says_its_numbers() {
    let (mut world, id) = attacked(0.9);
    goes_on(&mut world, id, 0.9, 60);
    let StepVerdict::Escalate(plan) = world.next_step(world.find(id)) else { panic!() };
    assert_eq!(
        plan.reason,
        "the attack goes on for 60 s since the step was confirmed, 60 s are required, and confidence is 0.9, 0.6 is \
         required: step 1, police 1000000 bit/s"
    );
}

#[test]
fn a_doubtful_attack_stays() {
    let (mut world, id) = attacked(0.5);
    goes_on(&mut world, id, 0.5, 120);
    assert!(stays(&world, id));
    again(&mut world, id, 0.6);
    assert_eq!(escalates(&mut world, id), 1);
}

#[test]
fn silence_never_escalates() {
    let (mut world, id) = attacked(0.9);
    let far = world.now + TimeDelta::seconds(3_600);
    world.edit(id).leases[0].claims[0].expires_at = far;
    world.later(600);
    assert!(stays(&world, id), "no lease was renewed since the step was confirmed");
    world.edit(id).leases[0].edge = true;
    assert_eq!(escalates(&mut world, id), 1, "an edge source counts as still reporting");
}

#[test]
fn a_lapsed_lease_counts_neither_as_report_nor_as_confidence() {
    let (mut world, id) = attacked(0.9);
    goes_on(&mut world, id, 0.9, 30);
    world.later(61);
    assert!(stays(&world, id));
}

#[test]
fn what_is_not_confirmed_does_not_escalate() {
    let (mut world, id) = attacked(0.9);
    goes_on(&mut world, id, 0.9, 120);
    let confirmed = world.edit(id).progress.step_confirmed_at.take();
    assert!(stays(&world, id));
    world.edit(id).progress.step_confirmed_at = confirmed;
    world.edit(id).progress.from_step = Some(0);
    assert!(stays(&world, id));
}

#[test]
fn escalation_can_be_switched_off() {
    let (mut world, id) = attacked(0.9);
    goes_on(&mut world, id, 0.9, 120);
    world.parts.escalation.enabled = false;
    assert!(stays(&world, id));
}

#[test]
fn manual_rules_companions_and_rules_without_playbook_stay() {
    for spoil in [
        (|world: &mut World, id| world.edit(id).progress.manual = true) as fn(&mut World, MitigationId),
        |world, id| world.edit(id).parent_id = Some(MitigationId::generate()),
        |world, id| world.edit(id).playbook = Some("gone".parse().unwrap()),
        |world, id| world.edit(id).status = Status::Withdrawing,
    ] {
        let (mut world, id) = attacked(0.9);
        goes_on(&mut world, id, 0.9, 120);
        spoil(&mut world, id);
        assert!(stays(&world, id));
    }
}

#[test]
fn a_step_without_terms_has_those_of_the_configuration() {
    let mut world = World::with_steps(json!([
        { "action": "police", "rate_bps": 50_000_000, "ttl_seconds": 60 },
        { "action": "discard", "ttl_seconds": 60 },
    ]));
    let id = world.raise(&report("udp_flood", HOST).sure(0.7));
    goes_on(&mut world, id, 0.7, 90);
    assert!(stays(&world, id), "90 of 120 seconds");
    goes_on(&mut world, id, 0.69, 30);
    assert!(stays(&world, id), "0.69 of 0.7");
    again(&mut world, id, 0.7);
    assert_eq!(escalates(&mut world, id), 1);
}

#[test]
fn the_profile_scales_persistence_and_confidence() {
    for (profile, seconds, confidence) in [("strict", 30, 0.54), ("normal", 60, 0.6), ("relaxed", 120, 0.66)]
    {
        let mut world = World::with_steps(three_steps());
        world.inventory(json!({ "customers": [
            { "customer_id": "acme", "prefixes": ["203.0.113.0/24"], "policy_profile": profile }
        ]}));
        let id = world.raise(&report("udp_flood", HOST).sure(1.0));
        goes_on(&mut world, id, 1.0, seconds - 30);
        assert!(stays(&world, id), "{profile}: too early");
        world.later(30);
        again(&mut world, id, confidence - 0.01);
        assert!(stays(&world, id), "{profile}: too doubtful");
        again(&mut world, id, confidence + 0.001);
        assert_eq!(escalates(&mut world, id), 1, "{profile}");
    }
}

#[test]
fn a_refused_step_waits_for_the_next_report() {
    let (mut world, id) = attacked(0.9);
    goes_on(&mut world, id, 0.9, 60);
    world.safe("203.0.113.99/32");
    let StepVerdict::Refused { step, refusal } = world.next_step(world.find(id)) else { panic!() };
    assert_eq!((step, refusal.guardrail), (1, Guardrail::Safelisted));
    world.edit(id).progress.refused_step = Some(1);
    assert!(stays(&world, id));
    again(&mut world, id, 0.9);
    assert!(matches!(world.next_step(world.find(id)), StepVerdict::Refused { .. }));
}

#[test]
fn the_longest_time_up_ends_with_the_former_step_while_the_attack_lasts() {
    let (mut world, id) = attacked(0.9);
    goes_on(&mut world, id, 0.9, 60);
    escalates(&mut world, id);
    goes_on(&mut world, id, 0.7, 1_770);
    assert!(stays(&world, id));
    goes_on(&mut world, id, 0.7, 30);
    let StepVerdict::StepDown(plan) = world.next_step(world.find(id)) else { panic!() };
    assert_eq!(plan.step, 0);
    take(&mut world, id, *plan);
    assert_eq!(world.find(id).progress.escalated_since, None);
    goes_on(&mut world, id, 0.9, 30);
    assert!(stays(&world, id), "persistence starts anew");
    goes_on(&mut world, id, 0.9, 30);
    assert_eq!(escalates(&mut world, id), 1);
}

#[test]
fn doubt_leads_back_only_where_it_is_switched_on_and_lasts() {
    let (mut world, id) = attacked(0.9);
    goes_on(&mut world, id, 0.9, 60);
    escalates(&mut world, id);
    goes_on(&mut world, id, 0.5, 120);
    assert!(stays(&world, id), "step_down is off");
    world.parts.escalation.step_down = true;
    let StepVerdict::StepDown(plan) = world.next_step(world.find(id)) else { panic!() };
    assert_eq!(plan.step, 0);
    again(&mut world, id, 0.7);
    assert!(stays(&world, id), "one sure report starts the count anew");
    goes_on(&mut world, id, 0.5, 60);
    assert!(stays(&world, id), "30 s below: the first doubtful report began the count");
    goes_on(&mut world, id, 0.5, 30);
    assert!(matches!(world.next_step(world.find(id)), StepVerdict::StepDown(_)));
}

#[test]
fn a_later_step_starts_from_what_was_reported_and_may_change_the_match() {
    let mut world = World::with_steps(json!([
        { "action": "rtbh", "ttl_seconds": 60 },
        { "action": "discard", "ttl_seconds": 60, "require_persistence_seconds": 30,
          "require_confidence_at_least": 0.1, "fragments": "discard" },
    ]));
    let id = world.raise(&report("generic", RESOLVER).over("udp").on(&[53, 80]).sure(0.9));
    assert_eq!(world.find(id).route.as_ref().unwrap().to_string(), "blackhole 203.0.113.10/32");
    goes_on(&mut world, id, 0.9, 30);
    let StepVerdict::Escalate(plan) = world.next_step(world.find(id)) else { panic!() };
    assert_eq!(plan.route.to_string(), "dst 203.0.113.10/32 proto udp dport =80");
    let [companion] = &plan.companions[..] else { panic!("{plan:#?}") };
    assert_eq!(
        companion.route.as_ref().unwrap().to_string(),
        "dst 203.0.113.10/32 proto udp frag is_fragment"
    );
}

#[test]
fn a_step_that_makes_no_rule_is_not_taken() {
    let mut world = World::with_steps(json!([
        { "action": "police", "rate_bps": 50_000_000, "ttl_seconds": 60 },
        { "action": "discard", "ttl_seconds": 60, "on_allowed_ports": "skip",
          "require_persistence_seconds": 0, "require_confidence_at_least": 0.0 },
    ]));
    let id = world.raise(&report("udp_flood", RESOLVER).on(&[53]).sure(0.9));
    goes_on(&mut world, id, 0.9, 60);
    assert!(stays(&world, id));
}
