//! Ceilings are enforced inside the transaction: never exceeded by one, and what does not fit waits its turn.

use std::net::Ipv4Addr;

use futures::future::join_all;
use prefix_core::event::{EventStatus, Report};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use prefix_engine::Ingested;

use crate::lab::{Lab, Words, ban, unban};

const ROOM_FOR_50: &str = "
customers: [{customer_id: acme, prefixes: [\"10.0.0.0/8\"]}, {customer_id: beta, prefixes: [\"198.51.100.0/24\"]}]
quotas: {max_active_per_customer: 1000, max_active_per_pop: 50, max_new_per_minute: 1000, max_announcements_per_peer: 1000}
playbooks:
  - {name: floods, match: {vector: udp_flood}, steps: [{action: discard, ttl_seconds: 1800}]}
";

fn victim(number: u32) -> String {
    Ipv4Addr::from(0x0a00_0001 + number).to_string()
}

async fn all_at_once(lab: &Lab, reports: impl IntoIterator<Item = Report>) -> Vec<Ingested> {
    join_all(reports.into_iter().map(|report| lab.hear(report))).await
}

fn with_status(answers: &[Ingested], status: EventStatus) -> Vec<MitigationId> {
    answers.iter().filter(|a| a.status == status).filter_map(|a| a.mitigation_id).collect()
}

#[tokio::test(start_paused = true)]
async fn two_hundred_equal_events_at_once_make_one_mitigation() {
    let lab = Lab::usual().await;
    let answers = all_at_once(&lab, (0..200).map(|_| ban("203.0.113.10", "udp_flood"))).await;
    assert_eq!(with_status(&answers, EventStatus::Accepted).len(), 1);
    assert_eq!(with_status(&answers, EventStatus::Extended).len(), 199);
    assert_eq!(lab.store.all_mitigations().len(), 1);
    assert_eq!(lab.store.all_events().len(), 200);
    assert_eq!(lab.speaker.history().len(), 1);
    assert_eq!(lab.rules().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_hundred_different_events_at_once_never_exceed_a_quota_and_wait_in_order() {
    let lab = Lab::with(ROOM_FOR_50).await;
    let answers = all_at_once(&lab, (0..200).map(|n| ban(&victim(n), "udp_flood"))).await;
    let accepted = with_status(&answers, EventStatus::Accepted);
    let queued = with_status(&answers, EventStatus::Queued);
    assert_eq!((accepted.len(), queued.len()), (50, 150));
    assert!(
        answers.iter().all(|a| a.status != EventStatus::Queued || a.guardrail == Some(Guardrail::QuotaPop))
    );
    assert_eq!((lab.rules().len(), lab.count(Status::Active), lab.count(Status::Queued)), (50, 50, 150));

    // one ends: the oldest that waits comes in, and only that
    let ended = lab.row(accepted[7]).await.victim_ip.to_string();
    lab.hear(unban(&ended)).await;
    lab.seconds(2).await;
    assert_eq!((lab.rules().len(), lab.count(Status::Active), lab.count(Status::Queued)), (50, 50, 149));
    let mut in_order = queued.clone();
    in_order.sort();
    assert_eq!(lab.status(in_order[0]).await, Status::Active);

    // thirty more at once: thirty of the oldest
    let mut ends = Vec::new();
    for id in &accepted[20..50] {
        ends.push(unban(&lab.row(*id).await.victim_ip.to_string()));
    }
    all_at_once(&lab, ends).await;
    lab.seconds(2).await;
    assert_eq!((lab.rules().len(), lab.count(Status::Queued)), (50, 119));
    for id in &in_order[..31] {
        assert_eq!(lab.status(*id).await, Status::Active);
    }
    assert_eq!(lab.status(in_order[31]).await, Status::Queued);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_let_in_without_delay_when_room_is_made() {
    let lab = Lab::with("quotas: {max_active_per_customer: 1}").await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let waiting = lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    lab.hear(unban("203.0.113.10")).await;
    lab.wait(std::time::Duration::from_millis(100)).await;
    assert_eq!(lab.status(waiting).await, Status::Active);
}

#[tokio::test(start_paused = true)]
async fn the_quota_of_one_customer_does_not_hold_up_another() {
    let lab = Lab::with("quotas: {max_active_per_customer: 2}").await;
    for number in 10..14 {
        lab.hear(ban(&format!("203.0.113.{number}"), "udp_flood")).await;
    }
    assert_eq!(lab.count(Status::Queued), 2);
    assert_eq!(lab.hear(ban("198.51.100.1", "udp_flood")).await.status, EventStatus::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_cannot_be_withdrawn_yet_still_takes_up_room() {
    let lab = Lab::with("quotas: {max_active_per_customer: 1}").await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.disconnect("cable");
    lab.hear(unban("203.0.113.10")).await;
    assert_eq!(lab.hear(ban("203.0.113.11", "udp_flood")).await.status, EventStatus::Queued);
    lab.seconds(10).await;
    assert_eq!(lab.count(Status::Queued), 1);
    lab.speaker.connect();
    lab.seconds(1).await;
    assert_eq!(lab.rules(), ["dst 203.0.113.11/32 proto udp: police 50000000 bit/s"]);
}

#[tokio::test(start_paused = true)]
async fn new_rules_come_no_faster_than_allowed_in_any_minute() {
    let lab = Lab::with(
        "quotas: {max_active_per_customer: 100, max_new_per_minute: 10}
playbooks: [{name: floods, match: {vector: udp_flood}, steps: [{action: discard, ttl_seconds: 1800}]}]",
    )
    .await;
    let answers = all_at_once(&lab, (1..=25).map(|n| ban(&format!("203.0.113.{n}"), "udp_flood"))).await;
    assert_eq!(with_status(&answers, EventStatus::Accepted).len(), 10);
    let refusals: Vec<_> = answers.iter().filter_map(|answer| answer.guardrail).collect();
    assert_eq!(refusals, [Guardrail::NewRate; 15]);
    let mut admitted = Vec::new();
    for second in 1..=130 {
        lab.seconds(1).await;
        admitted.push(lab.rules().len());
        let minute_ago = if second > 60 { admitted[second - 61] } else { 0 };
        assert!(lab.rules().len() - minute_ago <= 10, "second {second}: {admitted:?}");
    }
    assert_eq!(lab.rules().len(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_report_of_something_that_waits_renews_its_place() {
    let lab = Lab::with("quotas: {max_active_per_customer: 1}").await;
    let holder = ban("203.0.113.10", "udp_flood");
    lab.mitigate(holder.clone()).await;
    let waiting = lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    for _ in 0..5 {
        lab.seconds(60).await;
        lab.hear(holder.clone()).await;
        let again = lab.hear(ban("203.0.113.11", "udp_flood")).await;
        assert_eq!((again.status, again.mitigation_id), (EventStatus::Extended, Some(waiting)));
        assert_eq!(again.mitigation_status, Some(Status::Queued));
        assert_eq!(again.guardrail, Some(Guardrail::QuotaCustomer));
    }
    let later = lab.mitigate(ban("203.0.113.12", "udp_flood")).await;
    lab.hear(unban("203.0.113.10")).await;
    lab.seconds(1).await;
    assert_eq!((lab.status(waiting).await, lab.status(later).await), (Status::Active, Status::Queued));
}

#[tokio::test(start_paused = true)]
async fn what_waits_can_be_unbanned() {
    let lab = Lab::with("quotas: {max_active_per_customer: 1}").await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let waiting = lab.mitigate(ban("203.0.113.11", "udp_flood").episode("x")).await;
    let answer = lab.hear(unban("203.0.113.11").episode("x")).await;
    assert_eq!((answer.status, answer.mitigation_id), (EventStatus::Withdrawn, Some(waiting)));
    assert_eq!(answer.mitigation_status, Some(Status::Withdrawn));
    assert_eq!(lab.history("dst 203.0.113.11/32 proto udp").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_rule_is_one_row_within_an_hour() {
    let lab = Lab::with("safelist: [203.0.113.0/28]").await;
    let first = lab.hear_refused(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!(first.refusal.guardrail, Guardrail::Safelisted);
    for _ in 0..5 {
        lab.seconds(600).await;
        let again = lab.hear_refused(ban("203.0.113.10", "udp_flood")).await;
        assert_eq!(again.mitigation_id, first.mitigation_id);
    }
    assert_eq!(lab.count(Status::Rejected), 1);
    let other = lab.hear_refused(ban("203.0.113.11", "udp_flood")).await;
    assert_ne!(other.mitigation_id, first.mitigation_id);
    lab.seconds(601).await;
    let later = lab.hear_refused(ban("203.0.113.10", "udp_flood")).await;
    assert_ne!(later.mitigation_id, first.mitigation_id);
    assert_eq!(lab.count(Status::Rejected), 3);
    assert_eq!(lab.store.all_events().len(), 8, "every event is stored");
    assert_eq!(lab.speaker.history().len(), 0);
}
