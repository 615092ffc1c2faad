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
    assert_eq!((rows[0].leases.len(), rows[0].progress.merged.len()), (2, 0));
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
    assert_eq!(waiting(&lab)[0].progress.over, []);
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
