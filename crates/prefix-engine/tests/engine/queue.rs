//! The breaker: what exceeds the rate of new rules or a quota waits, oldest first, where everybody sees it.

use std::net::Ipv4Addr;

use futures::future::join_all;
use prefix_core::alert::AlertType;
use prefix_core::event::{EventStatus, Report};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use prefix_engine::Ingested;

use crate::lab::{Lab, alice, ban};

/// Customer acme has 10.0.0.0/8, beta 198.51.100.0/24; reports hold for half an hour.
fn config(quotas: &str) -> String {
    format!(
        "
customers: [{{customer_id: acme, prefixes: [\"10.0.0.0/8\"]}}, {{customer_id: beta, prefixes: [\"198.51.100.0/24\"]}}]
playbooks: [{{name: floods, match: {{vector: [udp_flood]}}, steps: [{{action: discard, ttl_seconds: 1800}}]}}]
quotas: {{{quotas}}}
"
    )
}

const RATE: &str = "max_active_per_customer: 1000, max_active_per_pop: 1000, max_announcements_per_peer: 1000, \
                    max_active_global: 1000, max_new_per_minute: 30";

fn acme(number: u32) -> Report {
    ban(&Ipv4Addr::from(0x0a00_0001 + number).to_string(), "udp_flood")
}

fn beta(number: u32) -> Report {
    ban(&Ipv4Addr::from(0xc633_6401 + number).to_string(), "udp_flood")
}

async fn all_at_once(lab: &Lab, reports: impl Iterator<Item = Report>) -> Vec<Ingested> {
    join_all(reports.map(|report| lab.hear(report))).await
}

fn ids(lab: &Lab, status: Status) -> Vec<MitigationId> {
    let mut rows = lab.store.all_mitigations();
    rows.retain(|row| row.status == status);
    rows.into_iter().map(|row| row.mitigation_id).collect()
}

#[tokio::test(start_paused = true)]
async fn of_five_hundred_new_rules_at_once_thirty_a_minute_come_in_and_the_oldest_first() {
    let lab = Lab::with(&config(RATE)).await;
    let answers = all_at_once(&lab, (0..500).map(acme)).await;
    let queued = answers.iter().filter(|answer| answer.status == EventStatus::Queued);
    assert_eq!(queued.clone().count(), 470);
    assert!(queued.clone().all(|answer| answer.guardrail == Some(Guardrail::NewRate)));
    assert!(queued.clone().all(|answer| answer.retry_after_seconds.is_some()));
    assert_eq!(lab.rules().len(), 30);
    assert_eq!(lab.engine.health().await.queued, 470);
    let told = lab.engine.newest_alerts();
    assert_eq!(told.iter().filter(|alert| alert.event_type == AlertType::MitigationQueued).count(), 1);

    let mut in_order = ids(&lab, Status::Queued);
    in_order.sort();
    for minute in 1..=5 {
        lab.seconds(63).await;
        assert_eq!(lab.rules().len(), 30 * (minute + 1), "minute {minute}");
        for id in &in_order[..30 * minute] {
            assert_eq!(lab.status(*id).await, Status::Active);
        }
        assert_eq!(lab.status(in_order[30 * minute]).await, Status::Queued);
    }
}

#[tokio::test(start_paused = true)]
async fn withdrawals_are_never_counted_and_never_wait() {
    let lab = Lab::with(&config(RATE)).await;
    all_at_once(&lab, (0..100).map(acme)).await;
    let active = ids(&lab, Status::Active);
    let before = lab.now();
    let items = lab.engine.withdraw_many(active, "enough", &alice()).await.unwrap();
    assert!(items.iter().all(|item| item.result == Ok(Status::Withdrawn)));
    assert!((lab.now() - before).num_seconds() < 1);
    assert_eq!(lab.rules(), [] as [String; 0]);
    // they made room in the quotas, and none in the rate
    lab.seconds(30).await;
    assert_eq!(lab.rules(), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn thousands_that_wait_for_the_pop_cost_a_transaction_a_second() {
    let lab = Lab::with(&config(RATE)).await;
    all_at_once(&lab, (0..3_000).map(acme)).await;
    assert_eq!(lab.count(Status::Queued), 2_970);
    lab.seconds(2).await;
    let (before, written) = (lab.store.calls().transacts, revisions(&lab));
    lab.seconds(10).await;
    let spent = lab.store.calls().transacts - before;
    assert!((8..=15).contains(&spent), "{spent} transactions in ten seconds");
    assert_eq!(revisions(&lab), written, "nothing is rewritten");
}

fn revisions(lab: &Lab) -> u64 {
    lab.store.with_mitigations(|rows| rows.values().map(|row| row.revision.unsigned_abs()).sum())
}

#[tokio::test(start_paused = true)]
async fn thousands_that_wait_for_their_own_customer_hold_up_nobody_else() {
    let quotas = "max_active_per_customer: 20, max_active_per_pop: 30, max_announcements_per_peer: 1000, \
                  max_active_global: 1000, max_new_per_minute: 100000";
    let lab = Lab::with(&config(quotas)).await;
    all_at_once(&lab, (0..2_000).map(acme)).await;
    let others = all_at_once(&lab, (0..11).map(beta)).await;
    assert_eq!(others.iter().filter(|answer| answer.status == EventStatus::Accepted).count(), 10);
    let waiting = others[10].mitigation_id.unwrap();
    assert_eq!(
        (others[10].guardrail, lab.status(waiting).await),
        (Some(Guardrail::QuotaPop), Status::Queued)
    );
    // room for beta alone, behind nearly two thousand of acme
    lab.withdraw(others[0].mitigation_id.unwrap()).await;
    lab.seconds(2).await;
    assert_eq!(lab.status(waiting).await, Status::Active);
    lab.seconds(2).await;
    let before = lab.store.calls().transacts;
    lab.seconds(10).await;
    let spent = lab.store.calls().transacts - before;
    assert!(spent <= 20, "{spent} transactions in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn what_waits_out_a_quiet_period_comes_in_when_it_is_over_and_holds_up_nobody() {
    let lab = Lab::with(&config("max_active_per_customer: 100")).await;
    let id = lab.mitigate(acme(1)).await;
    lab.withdraw(id).await;
    let quiet = lab.hear(acme(1)).await;
    assert_eq!((quiet.status, quiet.guardrail), (EventStatus::Queued, Some(Guardrail::QuietPeriod)));
    assert_eq!(lab.hear(acme(2)).await.status, EventStatus::Accepted);
    lab.seconds(3).await;
    let before = lab.store.calls().transacts;
    lab.seconds(60).await;
    assert!(lab.store.calls().transacts - before <= 5, "it is not asked again and again");
    lab.seconds(59).await;
    assert_eq!(lab.status(quiet.mitigation_id.unwrap()).await, Status::Active);
}
