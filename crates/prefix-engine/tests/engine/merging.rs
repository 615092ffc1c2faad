//! Rules of one victim that wait for room wait as one, where one rule takes the same packets.

use prefix_core::event::EventStatus;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Status};

use crate::lab::{Lab, Words, ban, unban};

const FULL: &str = "
playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps:
      - {action: discard, ttl_seconds: 600}
  - name: others
    match: {vector: [syn_flood]}
    steps: [{action: police, rate_bps: 1000000, ttl_seconds: 600}]
  - name: reflections
    match: {vector: [dns_amplification, ntp_amplification, ssdp_amplification]}
    steps:
      - {action: discard, ttl_seconds: 600}
      - {action: police, rate_bps: 1000000, ttl_seconds: 600, require_persistence_seconds: 30, require_confidence_at_least: 0}
quotas: {max_active_per_customer: 1}
";

/// A customer whose only place is taken.
async fn full() -> (Lab, MitigationId) {
    let lab = Lab::with(FULL).await;
    let holder = lab.mitigate(ban("203.0.113.20", "udp_flood")).await;
    (lab, holder)
}

fn waiting(lab: &Lab) -> Vec<Mitigation> {
    let mut rows = lab.store.all_mitigations();
    rows.retain(|row| row.status == Status::Queued);
    rows
}

fn flow(row: &Mitigation) -> String {
    row.route.as_ref().unwrap().to_string()
}

#[tokio::test(start_paused = true)]
async fn ports_that_come_one_by_one_wait_as_one_rule() {
    let (lab, holder) = full().await;
    let first = lab.hear(ban("203.0.113.10", "udp_flood").ports(&[80]).episode("a")).await;
    let second = lab.hear(ban("203.0.113.10", "udp_flood").ports(&[443]).episode("b").from("probe")).await;
    assert_eq!((second.status, second.mitigation_id), (EventStatus::Queued, first.mitigation_id));
    assert!(second.guardrail.is_some() && second.retry_after_seconds.is_some());
    let rows = waiting(&lab);
    assert_eq!(rows.len(), 1);
    assert_eq!(flow(&rows[0]), "dst 203.0.113.10/32 proto udp dport =80|=443");
    assert_eq!((rows[0].leases.len(), rows[0].answers_one_attack()), (2, true));
    // the same report again is about what waits already
    let again = lab.hear(ban("203.0.113.10", "udp_flood").ports(&[443]).episode("c").from("probe")).await;
    assert_eq!((again.status, again.mitigation_id), (EventStatus::Extended, first.mitigation_id));
    lab.hear(unban("203.0.113.20")).await;
    lab.seconds(2).await;
    assert_eq!(lab.rules(), ["dst 203.0.113.10/32 proto udp dport =80|=443: discard"]);
    assert_ne!(holder, first.mitigation_id.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_attack_of_several_vectors_waits_as_one_rule_and_each_report_knows_it() {
    let (lab, _) = full().await;
    let vectors = ["dns_amplification", "ntp_amplification", "ssdp_amplification"];
    for vector in vectors {
        assert_eq!(lab.hear(ban("203.0.113.10", vector)).await.status, EventStatus::Queued);
    }
    lab.hear(unban("203.0.113.20")).await;
    lab.seconds(2).await;
    assert_eq!(lab.rules(), ["dst 203.0.113.10/32 proto udp sport =53|=123|=1900: discard"]);
    for _ in 0..5 {
        lab.seconds(10).await;
        for vector in vectors {
            assert_eq!(lab.hear(ban("203.0.113.10", vector)).await.status, EventStatus::Extended, "{vector}");
        }
    }
    let row = lab.store.all_mitigations().into_iter().find(Mitigation::lives).unwrap();
    assert_eq!(row.progress.step, 0, "what one of the attacks makes of a step is no rule for the others");
    // the end of one attack is not the end of all
    for (vector, status) in [
        ("ntp_amplification", EventStatus::Released),
        ("dns_amplification", EventStatus::Released),
        ("ssdp_amplification", EventStatus::Withdrawn),
    ] {
        assert_eq!(lab.hear(unban("203.0.113.10").of(vector)).await.status, status, "{vector}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_over_can_begin_again_and_an_unban_without_vector_ends_all() {
    let (lab, _) = full().await;
    lab.hear(ban("203.0.113.10", "dns_amplification")).await;
    lab.hear(ban("203.0.113.10", "ntp_amplification")).await;
    lab.hear(unban("203.0.113.10").of("dns_amplification")).await;
    let again = lab.hear(ban("203.0.113.10", "dns_amplification")).await;
    assert_eq!(again.mitigation_id, Some(waiting(&lab)[0].mitigation_id));
    assert_eq!(flow(&waiting(&lab)[0]), "dst 203.0.113.10/32 proto udp sport =53|=123");
    assert_eq!(lab.hear(unban("203.0.113.10")).await.status, EventStatus::Withdrawn);
    assert_eq!(waiting(&lab).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_differs_in_more_than_one_component_in_action_or_in_victim_stays_apart() {
    let (lab, _) = full().await;
    lab.hear(ban("203.0.113.10", "udp_flood").ports(&[80])).await;
    lab.hear(ban("203.0.113.10", "dns_amplification")).await;
    lab.hear(ban("203.0.113.10", "syn_flood").ports(&[80])).await;
    lab.hear(ban("203.0.113.11", "udp_flood").ports(&[443])).await;
    assert_eq!(waiting(&lab).len(), 4);
    // more ports than a rule may have make a rule of their own
    lab.hear(ban("203.0.113.10", "udp_flood").ports(&[1, 3, 5, 7, 9, 11, 13, 15])).await;
    assert_eq!(waiting(&lab).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_is_over_while_it_waits_is_never_let_in() {
    let (lab, _) = full().await;
    let first = lab.hear(ban("203.0.113.10", "dns_amplification").episode("a")).await;
    lab.hear(ban("203.0.113.10", "ntp_amplification").episode("b")).await;
    lab.hear(ban("203.0.113.10", "ssdp_amplification").episode("c").from("probe")).await;
    let over = lab.hear(unban("203.0.113.10").episode("a")).await;
    assert_eq!(over.status, EventStatus::Released);
    let rows = waiting(&lab);
    assert_eq!(flow(&rows[0]), "dst 203.0.113.10/32 proto udp sport =123|=1900");
    assert_eq!(Some(rows[0].mitigation_id), first.mitigation_id);
    assert!(!rows[0].is_about(&"dns_amplification".parse().unwrap()), "what it is about now");
    assert_eq!(rows[0].decision.rule.as_ref().unwrap().flow, flow(&rows[0]));
    // one attack is left, of another vector than the first
    lab.hear(unban("203.0.113.10").of("ssdp_amplification").from("probe")).await;
    let row = waiting(&lab).remove(0);
    assert_eq!(
        (flow(&row), row.progress.parts.len()),
        ("dst 203.0.113.10/32 proto udp sport =123".into(), 1)
    );
    assert_eq!(row.leases.len(), 1);
    lab.hear(unban("203.0.113.20")).await;
    lab.seconds(2).await;
    assert_eq!(lab.rules(), ["dst 203.0.113.10/32 proto udp sport =123: discard"]);
}

#[tokio::test(start_paused = true)]
async fn ports_whose_report_ends_leave_what_waits_and_those_that_others_report_stay() {
    let (lab, _) = full().await;
    lab.hear(ban("203.0.113.10", "udp_flood").ports(&[80]).episode("a")).await;
    lab.hear(ban("203.0.113.10", "udp_flood").ports(&[443]).episode("b")).await;
    // another detector sees one of them too
    lab.hear(ban("203.0.113.10", "udp_flood").ports(&[80]).episode("x").from("probe")).await;
    lab.hear(unban("203.0.113.10").episode("a")).await;
    assert_eq!(flow(&waiting(&lab)[0]), "dst 203.0.113.10/32 proto udp dport =80|=443");
    lab.hear(unban("203.0.113.10").episode("x").from("probe")).await;
    assert_eq!(flow(&waiting(&lab)[0]), "dst 203.0.113.10/32 proto udp dport =443");
}

#[tokio::test(start_paused = true)]
async fn a_report_that_lapses_while_it_waits_leaves_the_rule_before_it_is_let_in() {
    let (lab, _) = full().await;
    lab.hear(ban("203.0.113.10", "dns_amplification").episode("a")).await;
    lab.hear(ban("203.0.113.10", "ntp_amplification").episode("b")).await;
    for _ in 0..7 {
        lab.seconds(100).await;
        lab.hear(ban("203.0.113.10", "ntp_amplification").episode("b")).await;
        lab.hear(ban("203.0.113.20", "udp_flood")).await;
    }
    lab.hear(unban("203.0.113.20")).await;
    lab.seconds(2).await;
    assert_eq!(lab.rules(), ["dst 203.0.113.10/32 proto udp sport =123: discard"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_and_is_no_single_rule_waits_as_rules_of_their_own() {
    let (lab, _) = full().await;
    // eight ports, eight others, and all of them: the third makes the one rule possible
    let (odd, even) = ([1, 3, 5, 7, 9, 11, 13, 15], [101, 103, 105, 107, 109, 111, 113, 115]);
    lab.hear(ban("203.0.113.10", "udp_flood").episode("all")).await;
    assert_eq!(waiting(&lab).len(), 1);
    let more = [("odd", odd), ("even", even)];
    for (episode, ports) in more {
        // the rule that takes everything does its work already
        let heard = lab.hear(ban("203.0.113.10", "udp_flood").ports(&ports).episode(episode)).await;
        assert_eq!(heard.status, EventStatus::Extended);
    }
    lab.hear(unban("203.0.113.10").episode("all")).await;
    assert_eq!(flow(&waiting(&lab)[0]), "dst 203.0.113.10/32 proto udp", "one rule, which both renewed");

    let (lab, _) = full().await;
    lab.hear(ban("203.0.113.10", "udp_flood").ports(&odd).episode("odd")).await;
    lab.hear(ban("203.0.113.10", "udp_flood").episode("all")).await;
    assert_eq!(waiting(&lab).len(), 1);
    assert_eq!(flow(&waiting(&lab)[0]), "dst 203.0.113.10/32 proto udp");
    lab.hear(unban("203.0.113.10").episode("all")).await;
    assert_eq!(flow(&waiting(&lab)[0]), "dst 203.0.113.10/32 proto udp dport =1|=3|=5|=7|=9|=11|=13|=15");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_leaves_one_attack_takes_no_lease_from_its_companions() {
    let lab = Lab::with(&FULL.replace(
        "{action: discard, ttl_seconds: 600}\n      - {action: police",
        "{action: discard, ttl_seconds: 600, fragments: discard}\n      - {action: police",
    ))
    .await;
    lab.mitigate(ban("203.0.113.20", "udp_flood")).await;
    lab.hear(ban("203.0.113.10", "dns_amplification").episode("a")).await;
    lab.hear(ban("203.0.113.10", "ntp_amplification").episode("b")).await;
    assert_eq!(waiting(&lab).len(), 2, "the rule and its companion");
    for ended in ["a", "b"] {
        let leases: Vec<_> = waiting(&lab).iter().map(|row| row.leases.clone()).collect();
        assert!(leases.windows(2).all(|two| two[0] == two[1]), "{leases:?}");
        lab.hear(unban("203.0.113.10").episode(ended)).await;
    }
    assert_eq!(waiting(&lab).len(), 0);
}
