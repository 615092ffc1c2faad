//! Several sources on one attack: what they amount to, when it is enough, and what holds it up then.

mod documented;
mod laws;
mod stage;

use prefix_core::decision::{self, StageResult};
use prefix_core::event::Reach;
use prefix_core::name::SourceName;
use prefix_core::signal::{ConfidenceMode, CorroborationScope, GroupStatus};
use prefix_policy::PolicyParts;
use prefix_policy::correlation::ScopeProblem;
use prefix_policy::settings::{Dimension, SourceMode, SourcePolicy, Sources};
use serde_json::json;

use self::stage::Stage;
use crate::lab::{HOST, Lab, RESOLVER, Saying, discard, report};

/// Two sources must agree, 0.6 sure together.
fn two_of(change: impl FnOnce(&mut PolicyParts)) -> Stage {
    Stage::with(Lab::with_steps(discard()), |parts| {
        parts.correlation.min_sources = 2;
        parts.correlation.confidence_threshold = 0.6;
        change(parts);
    })
}

fn sources(entries: &[(&str, SourcePolicy)]) -> Sources {
    Sources::new(
        entries.iter().map(|(name, entry)| (name.parse::<SourceName>().unwrap(), entry.clone())).collect(),
    )
}

fn corroborating(dimensions: &[Dimension]) -> SourcePolicy {
    SourcePolicy {
        mode: SourceMode::Corroborating,
        match_dimensions: dimensions.to_vec(),
        ..SourcePolicy::default()
    }
}

fn of_customer(vector: Option<&str>) -> CorroborationScope {
    CorroborationScope {
        vector: vector.map(|name| name.parse().unwrap()),
        customer_id: Some("acme".parse().unwrap()),
        ..CorroborationScope::default()
    }
}

#[test]
fn one_source_is_held_and_the_second_triggers_with_leases_of_both() {
    let mut stage = two_of(|_| {});
    assert_eq!(stage.says(&report("udp_flood", HOST).from("a").sure(0.6)), "held");
    assert_eq!(stage.living().len(), 0);
    stage.later(200);
    assert_eq!(stage.says(&report("udp_flood", HOST).from("b").sure(0.5)), "accepted");
    let row = stage.living()[0];
    let holders: Vec<&str> = row.leases.iter().map(|lease| lease.source.as_str()).collect();
    assert_eq!(holders, ["a", "b"]);
    assert_eq!(row.leases[0].expires_at(), row.leases[1].expires_at(), "both are counted from now");
    let correlation = row.correlation.as_ref().unwrap();
    assert!((correlation.derived_confidence.value() - 0.8).abs() < 1e-12);
    assert_eq!((correlation.source_count, correlation.corroboration_met), (2, true));
    let last = row.decision.trace.last().unwrap();
    assert_eq!(
        (last.stage, last.result),
        (decision::Stage::Announce, StageResult::Skip),
        "the stage is one of mode dry-run"
    );
    let group = stage.group();
    assert_eq!(group.status, GroupStatus::Resolved);
    assert_eq!(group.mitigation_id, Some(row.mitigation_id));
}

#[test]
fn the_same_source_twice_is_one_and_so_is_one_identity_with_two_names() {
    let mut stage = two_of(|_| {});
    stage.says(&report("udp_flood", HOST).from("a").sure(0.9));
    assert_eq!(stage.says(&report("udp_flood", HOST).from("a").sure(0.9)), "held");
    let mut stage = two_of(|_| {});
    stage.says_as(&report("udp_flood", HOST).from("a").sure(0.9), Some("token"));
    stage.says_as(&report("udp_flood", HOST).from("b").sure(0.9), Some("token"));
    assert_eq!(stage.group().source_count, 1);
    assert_eq!(stage.living().len(), 0);
}

#[test]
fn a_mean_can_fall_with_a_doubtful_second_source() {
    let mut stage = two_of(|parts| parts.correlation.confidence_mode = ConfidenceMode::WeightedMean);
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6));
    assert_eq!(stage.says(&report("udp_flood", HOST).from("b").sure(0.5)), "held");
    assert!((stage.group().derived_confidence.value() - 0.55).abs() < 1e-12);
}

#[test]
fn weights_count_and_sources_without_entry_have_the_default_weight() {
    let heavy = SourcePolicy { weight: 2.0, ..SourcePolicy::default() };
    let mut stage = two_of(|parts| {
        parts.correlation.sources = sources(&[("heavy", heavy)]);
        parts.correlation.default_weight = 0.5;
    });
    stage.says(&report("udp_flood", HOST).from("heavy").sure(0.2));
    stage.says(&report("udp_flood", HOST).from("light").sure(0.2));
    // 1 - (1 - 0.4) (1 - 0.1)
    assert!((stage.group().derived_confidence.value() - 0.46).abs() < 1e-12);
}

#[test]
fn a_window_that_ends_without_quorum_expires_and_the_next_report_begins_anew() {
    let mut stage = two_of(|_| {});
    stage.says(&report("udp_flood", HOST).from("a").sure(0.9));
    stage.later(299);
    stage.tick();
    assert_eq!(stage.group().status, GroupStatus::Open);
    stage.later(1);
    // nobody has written the end down yet
    assert_eq!(stage.says(&report("udp_flood", HOST).from("b").sure(0.9)), "held");
    let statuses: Vec<GroupStatus> = stage.groups.values().map(|group| group.status).collect();
    assert_eq!(statuses, [GroupStatus::Expired, GroupStatus::Open]);
}

#[test]
fn a_met_group_stays_met_while_its_mitigation_lives_also_for_a_further_rule() {
    let mut stage = two_of(|_| {});
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6).on(&[53]));
    stage.says(&report("udp_flood", HOST).from("b").sure(0.6).on(&[53]));
    stage.later(60);
    assert_eq!(stage.says(&report("udp_flood", HOST).from("c").sure(0.1).on(&[123])), "accepted");
    let further = stage.living()[1];
    assert_eq!(further.leases.len(), 1, "only who reports it holds it");
    assert_eq!(stage.group().signals.len(), 3);
    assert_eq!(stage.group().mitigation_id, Some(stage.living()[0].mitigation_id));
}

#[test]
fn a_mitigation_that_ended_takes_its_quorum_with_it() {
    let mut stage = two_of(|_| {});
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6));
    stage.says(&report("udp_flood", HOST).from("b").sure(0.6));
    stage.later(121);
    stage.tick();
    assert_eq!(stage.living().len(), 0);
    assert_eq!(stage.says(&report("udp_flood", HOST).from("a").sure(0.6)), "held");
    assert_eq!(stage.groups.len(), 2);
}

#[test]
fn an_unban_takes_its_source_out_of_an_open_group() {
    let mut stage = two_of(|_| {});
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6).episode("1"));
    assert_eq!(stage.ends("a", HOST, Some("1")), "no_active_mitigation");
    assert_eq!(stage.group().status, GroupStatus::Expired, "nobody is left in it");
    assert_eq!(stage.says(&report("udp_flood", HOST).from("b").sure(0.6)), "held");
}

#[test]
fn a_source_with_two_episodes_stays_until_the_last_is_over() {
    let mut stage = two_of(|_| {});
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6).episode("1"));
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6).episode("2"));
    stage.ends("a", HOST, Some("1"));
    assert_eq!(stage.group().source_count, 1);
    assert_eq!(stage.says(&report("udp_flood", HOST).from("b").sure(0.6)), "accepted");
    let lease = stage.living()[0].leases.iter().find(|lease| lease.source.as_str() == "a").unwrap();
    assert_eq!(lease.claims.len(), 1);
}

#[test]
fn two_needed_and_one_lets_go_the_rule_stays_until_the_other_does() {
    let mut stage = two_of(|_| {});
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6));
    stage.says(&report("udp_flood", HOST).from("b").sure(0.6));
    assert_eq!(stage.ends("a", HOST, None), "released");
    assert!(stage.group().met, "met is kept");
    assert_eq!(stage.group().source_count, 1);
    assert_eq!(stage.ends("b", HOST, None), "withdrawn");
}

#[test]
fn escalation_counts_only_those_who_still_report() {
    let mut stage = two_of(|_| {});
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6));
    stage.says(&report("udp_flood", HOST).from("b").sure(0.5));
    let confidence = |stage: &Stage| stage.policy.confidence_of(stage.living()[0], stage.now).value();
    assert!((confidence(&stage) - 0.8).abs() < 1e-12);
    stage.later(100);
    stage.says(&report("udp_flood", HOST).from("b").sure(0.5));
    stage.later(30);
    // the lease of a has lapsed
    assert!((confidence(&stage) - 0.5).abs() < 1e-12);
}

#[test]
fn older_signals_weigh_less_and_a_single_one_does_not() {
    let mut stage = two_of(|parts| parts.correlation.confidence_decay_half_life_seconds = 100);
    stage.says(&report("udp_flood", HOST).from("a").sure(0.8));
    stage.later(100);
    stage.tick();
    assert!((stage.group().derived_confidence.value() - 0.8).abs() < 1e-12);
    // 1 - (1 - 0.4) (1 - 0.2)
    assert_eq!(stage.says(&report("udp_flood", HOST).from("b").sure(0.2)), "held");
    assert!((stage.group().derived_confidence.value() - 0.52).abs() < 1e-12);
    stage.later(100);
    stage.tick();
    assert!((stage.group().derived_confidence.value() - 0.28).abs() < 1e-12);
    assert_eq!(stage.group().source_count, 2, "who is there is there");
}

#[test]
fn terms_of_the_playbook_win() {
    let steps = discard();
    let lab = Lab::with_playbooks(json!({
        "playbooks": [
            { "name": "dns", "match": { "vector": "udp_flood", "customer_id": "acme" },
              "correlation": { "min_sources": 1, "confidence_threshold": 0.4 }, "steps": steps },
        ],
    }));
    let mut stage = Stage::with(lab, |parts| parts.correlation.min_sources = 3);
    assert_eq!(stage.says(&report("udp_flood", HOST).from("a").sure(0.4)), "accepted");
    assert_eq!(stage.group().playbook.as_ref().unwrap().as_str(), "dns");
}

#[test]
fn an_attack_that_no_playbook_is_for_is_held_first_and_then_answered() {
    let lab = Lab::with_playbooks(json!({
        "playbooks": [{ "name": "other", "match": { "vector": "syn_flood" }, "steps": discard() }],
    }));
    let mut stage = Stage::with(lab, |parts| parts.correlation.min_sources = 2);
    assert_eq!(stage.says(&report("udp_flood", HOST).from("a").sure(0.9)), "held");
    assert_eq!(stage.says(&report("udp_flood", HOST).from("b").sure(0.9)), "accepted_no_playbook");
    assert!(stage.group().met);
    assert_eq!(stage.group().status, GroupStatus::Open, "nothing was handed on");
}

#[test]
fn an_alert_counts_and_completes_but_never_triggers_alone() {
    let alert = |source: &str| {
        let mut report = report("udp_flood", HOST).from(source).sure(0.9);
        report.reach = Reach::Supporting;
        report
    };
    let mut stage = two_of(|_| {});
    assert_eq!(stage.says(&alert("a")), "held");
    assert_eq!(stage.says(&alert("b")), "held", "enough, but nobody who can trigger");
    assert!(!stage.group().met);
    assert_eq!(stage.says(&report("udp_flood", HOST).from("c").sure(0.1)), "accepted");
    let mut stage = two_of(|_| {});
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6));
    assert_eq!(stage.says(&alert("b")), "accepted", "it completes the quorum");
    let row = stage.living()[0];
    assert_eq!(row.triggering_event_id, Some(stage.events[0].event_id), "by the newest that can trigger");
    assert_eq!(row.leases.len(), 1, "an alert holds nothing");
    let mut off = Stage::new(Lab::with_steps(discard()).parts);
    assert_eq!(off.says(&alert("a")), "accepted_no_mitigation");
}

#[test]
fn an_outgoing_attack_is_stored_and_joins_nothing() {
    let mut stage = two_of(|_| {});
    let mut outgoing = report("udp_flood", HOST).from("a").sure(0.9);
    outgoing.reach = Reach::Outgoing;
    assert_eq!(stage.says(&outgoing), "accepted_no_mitigation");
    assert!(stage.groups.is_empty());
}

#[test]
fn a_corroborating_signal_completes_a_group_at_once_whichever_comes_first() {
    let helper = ("helper", corroborating(&[Dimension::CustomerId]));
    let mut late = two_of(|parts| parts.correlation.sources = sources(std::slice::from_ref(&helper)));
    assert_eq!(late.says(&report("udp_flood", HOST).from("a").sure(0.6)), "held");
    let done = late.corroborates("helper", of_customer(None), 0.5).unwrap();
    assert_eq!(done.attached_group_ids, [late.group().group_id]);
    assert_eq!(done.mitigation_ids, [late.living()[0].mitigation_id]);
    assert_eq!(late.living()[0].triggering_event_id, Some(late.events[0].event_id));
    assert_eq!(late.living()[0].leases.len(), 1, "who corroborates holds nothing");

    let mut early = two_of(|parts| parts.correlation.sources = sources(&[helper]));
    let done = early.corroborates("helper", of_customer(None), 0.5).unwrap();
    assert!(done.attached_group_ids.is_empty() && early.groups.is_empty(), "it never triggers");
    early.later(100);
    assert_eq!(early.says(&report("udp_flood", HOST).from("a").sure(0.6)), "accepted");
    let waiting = early.waiting.values().next().unwrap();
    assert_eq!(waiting.attached.len(), 1, "it is known where it went");
}

#[test]
fn a_corroborating_signal_waits_for_one_window_and_serves_every_group_in_it() {
    let helper = ("helper", corroborating(&[Dimension::CustomerId]));
    let mut stage = two_of(|parts| parts.correlation.sources = sources(&[helper]));
    stage.corroborates("helper", of_customer(Some("udp_flood")), 0.5).unwrap();
    assert_eq!(stage.says(&report("tcp_flood", HOST).from("a").sure(0.6)), "held", "another vector");
    assert_eq!(stage.says(&report("udp_flood", HOST).from("a").sure(0.6)), "accepted");
    assert_eq!(stage.says(&report("udp_flood", RESOLVER).from("a").sure(0.6)), "accepted");
    stage.later(300);
    assert_eq!(
        stage.says(&report("udp_flood", "203.0.113.77").from("a").sure(0.6)),
        "held",
        "its time is over"
    );
}

#[test]
fn a_corroborating_signal_is_matched_by_declared_dimensions_only() {
    let helper = ("helper", corroborating(&[Dimension::ServiceId]));
    let mut stage = two_of(|parts| parts.correlation.sources = sources(&[helper]));
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6));
    let problem = stage.corroborates("helper", of_customer(None), 0.9).unwrap_err();
    assert!(matches!(problem, ScopeProblem::NoDimension { .. }), "{problem}");
    let dns = CorroborationScope { service_id: Some("dns".parse().unwrap()), ..of_customer(None) };
    let done = stage.corroborates("helper", dns.clone(), 0.9).unwrap();
    assert!(done.attached_group_ids.is_empty(), "the host is in no service, and the customer does not count");
    assert_eq!(stage.says(&report("udp_flood", RESOLVER).from("a").sure(0.6)), "accepted");
}

#[test]
fn a_pop_alone_is_about_everything_and_needs_a_vector() {
    let helper = ("helper", corroborating(&[Dimension::Pop]));
    let mut stage = two_of(|parts| parts.correlation.sources = sources(&[helper]));
    let pop = |vector: Option<&str>| CorroborationScope {
        pop: Some("fra1".parse().unwrap()),
        vector: vector.map(|name| name.parse().unwrap()),
        ..CorroborationScope::default()
    };
    assert_eq!(stage.corroborates("helper", pop(None), 0.9).unwrap_err(), ScopeProblem::PopAlone);
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6));
    assert_eq!(stage.corroborates("helper", pop(Some("udp_flood")), 0.9).unwrap().mitigation_ids.len(), 1);
}

#[test]
fn a_primary_source_does_not_corroborate_and_nobody_does_while_correlation_is_off() {
    let helper = ("helper", corroborating(&[Dimension::CustomerId]));
    let mut stage = two_of(|parts| parts.correlation.sources = sources(&[("flow", SourcePolicy::default())]));
    let problem = stage.corroborates("flow", of_customer(None), 0.9).unwrap_err();
    assert!(matches!(problem, ScopeProblem::NotCorroborating { .. }));
    let mut off = two_of(|parts| {
        parts.correlation.sources = sources(&[helper]);
        parts.correlation.enabled = false;
    });
    assert_eq!(off.corroborates("helper", of_customer(None), 0.9).unwrap_err(), ScopeProblem::Off);
}

#[test]
fn a_detector_with_an_id_for_every_report_does_not_grow_its_group_without_end() {
    let mut stage = two_of(|_| {});
    for number in 0..300 {
        let id = number.to_string();
        stage.says(&report("udp_flood", HOST).from("a").sure(0.9).episode(&id));
    }
    assert!(stage.group().signals.len() <= 256, "{}", stage.group().signals.len());
    assert_eq!(stage.says(&report("udp_flood", HOST).from("b").sure(0.1)), "accepted");
}

#[test]
fn a_held_decision_says_which_numbers_stand_against_which() {
    let mut stage = two_of(|_| {});
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6));
    let trace = &stage.events[0].decision.trace;
    let last = trace.last().unwrap().detail.as_str();
    let (_, said) = last.split_once(": ").unwrap();
    assert_eq!(
        said,
        "1 of 2 sources agree (a 0.6); noisy_or gives confidence 0.6, 0.6 is needed; the window ends in 300 s"
    );
}

#[test]
fn an_explanation_says_what_weight_and_age_made_of_a_confidence() {
    let mut stage = two_of(|parts| {
        parts.correlation.confidence_decay_half_life_seconds = 60;
        parts.correlation.sources =
            sources(&[("a", SourcePolicy { weight: 0.5, ..SourcePolicy::default() })]);
    });
    stage.says(&report("udp_flood", HOST).from("a").sure(0.8));
    stage.later(60);
    stage.says(&report("udp_flood", HOST).from("b").sure(0.3));
    let said = stage.events[1].decision.trace.last().unwrap().detail.clone();
    let expected = "2 of 2 sources agree (a 0.2 = confidence 0.8 x weight 0.5 x 0.5 for its age of 60 s, b 0.3); noisy_or, \
                    halved every 60 s gives confidence 0.44, 0.6 is needed; the window ends in 240 s";
    assert!(said.ends_with(expected), "{said}");
}

#[test]
fn a_doubter_that_lets_go_leaves_those_who_agree_and_they_trigger() {
    let mut stage = two_of(|parts| parts.correlation.confidence_mode = ConfidenceMode::WeightedMean);
    stage.says(&report("udp_flood", HOST).from("c").sure(0.1));
    stage.says(&report("udp_flood", HOST).from("a").sure(0.8));
    assert_eq!(stage.says(&report("udp_flood", HOST).from("b").sure(0.7)), "held");
    assert_eq!(stage.ends("c", HOST, None), "no_active_mitigation");
    assert_eq!(stage.living().len(), 1, "0.75 is enough without the doubt");
    let holders: Vec<&str> = stage.living()[0].leases.iter().map(|lease| lease.source.as_str()).collect();
    assert_eq!(holders, ["a", "b"]);
}

#[test]
fn the_terms_are_those_of_who_is_left() {
    let lab = Lab::with_playbooks(json!({
        "playbooks": [
            { "name": "trusted", "match": { "vector": "udp_flood", "source": "a" },
              "correlation": { "min_sources": 1, "confidence_threshold": 0.9 }, "steps": discard() },
            { "name": "others", "match": { "vector": "udp_flood" }, "steps": discard() },
        ],
    }));
    let mut stage = Stage::with(lab, |parts| parts.correlation.min_sources = 2);
    stage.says(&report("udp_flood", HOST).from("b").sure(0.8));
    stage.says(&report("udp_flood", HOST).from("a").sure(0.1));
    assert_eq!(stage.group().playbook.as_ref().unwrap().as_str(), "trusted");
    stage.ends("a", HOST, None);
    assert_eq!(stage.group().playbook.as_ref().unwrap().as_str(), "others");
    assert_eq!(stage.living().len(), 0, "b alone is not two");
}

#[test]
fn a_source_that_is_only_to_corroborate_from_now_on_triggers_nothing_that_it_said_before() {
    let helper = ("helper", corroborating(&[Dimension::CustomerId]));
    let mut stage = two_of(|parts| parts.correlation.sources = sources(std::slice::from_ref(&helper)));
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6));
    let mut parts = stage.policy.parts().clone();
    parts.correlation.sources = sources(&[helper, ("a", corroborating(&[Dimension::CustomerId]))]);
    stage.policy = std::sync::Arc::new(prefix_policy::Policy::new(parts));
    let done = stage.corroborates("helper", of_customer(None), 0.9).unwrap();
    assert_eq!((done.attached_group_ids.len(), done.mitigation_ids.len()), (1, 0));
    assert_eq!(stage.says(&report("udp_flood", HOST).from("a").sure(0.9)), "accepted_no_mitigation");
}

#[test]
fn a_pop_beside_a_wrong_customer_is_about_nothing_without_a_vector() {
    let helper = ("helper", corroborating(&[Dimension::Pop, Dimension::CustomerId]));
    let mut stage = two_of(|parts| parts.correlation.sources = sources(&[helper]));
    stage.says(&report("udp_flood", HOST).from("a").sure(0.6));
    let scope = CorroborationScope {
        pop: Some("fra1".parse().unwrap()),
        customer_id: Some("nobody".parse().unwrap()),
        ..CorroborationScope::default()
    };
    assert!(stage.corroborates("helper", scope.clone(), 0.9).unwrap().attached_group_ids.is_empty());
    let named = CorroborationScope { vector: Some("udp_flood".parse().unwrap()), ..scope };
    assert_eq!(stage.corroborates("helper", named, 0.9).unwrap().mitigation_ids.len(), 1);
}
