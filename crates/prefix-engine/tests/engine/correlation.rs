//! Several sources through the whole engine: what is held survives, what completes it acts at once, and time takes its
//! part by itself.

use std::sync::Arc;

use prefix_core::alert::AlertType;
use prefix_core::event::EventStatus;
use prefix_core::mitigation::Status;
use prefix_core::name::CustomerId;
use prefix_core::ports::GroupQuery;
use prefix_core::ports::SignalReads;
use prefix_core::signal::{CorroborationScope, GroupStatus, SignalGroup};
use prefix_engine::{CorroborationReport, CorroborationTaken, EngineError};
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore, ScriptedClock};

use crate::lab::{Config, Lab, Words, alice, ban, beginning, detector, instance, unban, with_key};

const TWO: &str = "
correlation: {min_sources: 2, confidence_threshold: 0.6}
sources:
  helper: {mode: corroborating, match_dimensions: [customer_id]}
";

const VICTIM: &str = "203.0.113.10";

async fn groups(lab: &Lab) -> Vec<SignalGroup> {
    lab.store.groups(&GroupQuery::default()).await.unwrap().items
}

async fn group(lab: &Lab) -> SignalGroup {
    let mut found = groups(lab).await;
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn helper(customer: &str) -> CorroborationReport {
    let customer: CustomerId = customer.parse().unwrap();
    CorroborationReport {
        source: "helper".parse().unwrap(),
        scope: CorroborationScope { customer_id: Some(customer), ..CorroborationScope::default() },
        confidence: Some(prefix_core::confidence::Confidence::new(0.5).unwrap()),
        raw_details: Some(r#"{"netflow": "odd"}"#.into()),
    }
}

async fn corroborate(lab: &Lab, sent: CorroborationReport) -> CorroborationTaken {
    lab.engine.corroborate(sent, &detector()).await.unwrap().value
}

#[tokio::test(start_paused = true)]
async fn what_is_held_survives_a_restart_and_the_second_source_triggers() {
    let lab = Lab::with(TWO).await;
    let held = lab.hear(ban(VICTIM, "udp_flood").sure(0.6)).await;
    assert_eq!((held.status, held.mitigation_id), (EventStatus::Held, None));
    assert_eq!(held.signal_group_id, Some(group(&lab).await.group_id));
    let lab = lab.start_again().await;
    lab.seconds(5).await;
    let second = lab.hear(ban(VICTIM, "udp_flood").from("second").sure(0.5)).await;
    assert_eq!(second.status, EventStatus::Accepted);
    assert_eq!(second.signal_group_id, held.signal_group_id);
    assert_eq!(lab.rules(), ["dst 203.0.113.10/32 proto udp: police 50000000 bit/s"]);
    let row = lab.row(second.mitigation_id.unwrap()).await;
    assert_eq!(row.leases.len(), 2);
    assert_eq!(row.triggering_event_id, Some(second.event_id));
    let lab = lab.start_again().await;
    let third = lab.hear(ban(VICTIM, "udp_flood").from("third").sure(0.1)).await;
    assert_eq!(third.status, EventStatus::Extended, "met is remembered");
    assert_eq!(group(&lab).await.signals.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_detector_that_dies_in_the_attack_leaves_the_rule_to_the_other() {
    let lab = Lab::with(TWO).await;
    lab.hear(ban(VICTIM, "udp_flood").sure(0.6)).await;
    let id = lab.mitigate(ban(VICTIM, "udp_flood").from("second").sure(0.6)).await;
    // `flow` died; the other one goes on
    for _ in 0..3 {
        lab.seconds(100).await;
        let again = lab.hear(ban(VICTIM, "udp_flood").from("second").sure(0.6)).await;
        assert_eq!(again.status, EventStatus::Extended);
    }
    let row = lab.row(id).await;
    assert_eq!((row.status, row.leases.len()), (Status::Active, 1));
    lab.seconds(121).await;
    assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Expired, 0));
}

#[tokio::test(start_paused = true)]
async fn one_of_two_lets_go_and_the_rule_stays_for_the_other() {
    let lab = Lab::with(TWO).await;
    lab.hear(ban(VICTIM, "udp_flood").sure(0.6)).await;
    let id = lab.mitigate(ban(VICTIM, "udp_flood").from("second").sure(0.6)).await;
    assert_eq!(lab.hear(unban(VICTIM)).await.status, EventStatus::Released);
    assert_eq!(lab.status(id).await, Status::Active);
    assert_eq!(lab.row(id).await.correlation.unwrap().source_count, 1);
    assert_eq!(lab.hear(unban(VICTIM).from("second")).await.status, EventStatus::Withdrawn);
    assert_eq!(lab.rules().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_late_corroborating_signal_puts_the_rule_on_the_wire_before_it_is_answered() {
    let lab = Lab::with(TWO).await;
    let held = lab.hear(ban(VICTIM, "udp_flood").sure(0.6)).await;
    lab.seconds(100).await;
    let elsewhere = corroborate(&lab, helper("beta")).await;
    assert_eq!((elsewhere.attached_group_ids.len(), lab.rules().len()), (0, 0));
    let taken = corroborate(&lab, helper("acme")).await;
    assert_eq!(taken.attached_group_ids, [held.signal_group_id.unwrap()]);
    assert_eq!(lab.rules(), ["dst 203.0.113.10/32 proto udp: police 50000000 bit/s"]);
    lab.engine.written().await;
    let row = lab.row(taken.mitigation_ids[0]).await;
    assert_eq!((row.status, row.triggering_event_id), (Status::Active, Some(held.event_id)));
    assert_eq!(lab.audited("corroborate").len(), 2);
    assert_eq!(lab.audited("announce").len(), 1);
    // it still waits for groups yet to come, and is listed as attached
    let next = lab.hear(ban("203.0.113.11", "udp_flood").sure(0.6)).await;
    assert_eq!(next.status, EventStatus::Accepted);
    let (waiting, listed) = lab.engine.waiting_corroborations(None, 10).await.unwrap();
    assert_eq!((waiting.total, listed.len()), (1, 1), "the one for beta");
    assert_eq!(listed[0].raw_details.as_deref(), Some(r#"{"netflow": "odd"}"#));
    let activity = lab.engine.corroborator_activity(beginning()).await.unwrap();
    assert_eq!(activity[0].count, 2);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_corroborating_request_is_one_signal() {
    let lab = Lab::with(TWO).await;
    let caller = with_key(detector(), "again", 1);
    let first = lab.engine.corroborate(helper("acme"), &caller).await.unwrap();
    let second = lab.engine.corroborate(helper("acme"), &caller).await.unwrap();
    assert!(second.replayed && !first.replayed);
    assert_eq!(first.value, second.value);
    assert_eq!(lab.engine.waiting_corroborations(None, 10).await.unwrap().0.total, 1);
}

#[tokio::test(start_paused = true)]
async fn a_corroborating_signal_that_nobody_declared_is_refused() {
    let lab = Lab::with(TWO).await;
    let wrong = CorroborationReport { source: "flow".parse().unwrap(), ..helper("acme") };
    let error = lab.engine.corroborate(wrong, &detector()).await.unwrap_err();
    assert!(matches!(error, EngineError::NotAllowed(_)), "{error}");
    let lab = Lab::usual().await;
    let error = lab.engine.corroborate(helper("acme"), &detector()).await.unwrap_err();
    assert!(error.to_string().contains("correlation.enabled"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn without_storage_a_corroborating_signal_is_not_taken() {
    let lab = Lab::with(TWO).await;
    lab.hear(ban(VICTIM, "udp_flood").sure(0.6)).await;
    lab.store.set_down(true);
    let error = lab.engine.corroborate(helper("acme"), &detector()).await.unwrap_err();
    assert!(matches!(error, EngineError::StorageUnavailable(_)), "{error}");
    lab.store.set_down(false);
    assert_eq!(corroborate(&lab, helper("acme")).await.mitigation_ids.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_ends_without_quorum_is_closed_by_itself() {
    let lab = Lab::with(TWO).await;
    lab.hear(ban(VICTIM, "udp_flood").sure(0.9)).await;
    lab.seconds(299).await;
    assert_eq!(group(&lab).await.status, GroupStatus::Open);
    lab.seconds(3).await;
    assert_eq!(group(&lab).await.status, GroupStatus::Expired);
    assert_eq!(lab.hear(ban(VICTIM, "udp_flood").from("second").sure(0.9)).await.status, EventStatus::Held);
    assert_eq!(groups(&lab).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn confidence_decays_by_itself_and_met_is_kept() {
    let lab = Lab::with(
        "correlation: {min_sources: 2, confidence_threshold: 0.6, confidence_decay_half_life_seconds: 60}",
    )
    .await;
    lab.hear(ban(VICTIM, "dns_amplification").sure(0.8)).await;
    let id = lab.mitigate(ban(VICTIM, "dns_amplification").from("second").sure(0.8)).await;
    lab.seconds(61).await;
    let found = group(&lab).await;
    assert!(found.derived_confidence.value() < 0.97 && found.met, "{}", found.derived_confidence);
    let known = lab.row(id).await.correlation.unwrap();
    assert_eq!(known.derived_confidence, found.derived_confidence, "the mitigation knows it too");
    assert!(known.corroboration_met && lab.status(id).await == Status::Active);
}

#[tokio::test(start_paused = true)]
async fn a_mean_that_rises_because_a_doubt_grows_old_triggers_by_itself() {
    let lab = Lab::with(
        "correlation: {min_sources: 2, confidence_threshold: 0.75, confidence_mode: weighted_mean,
                       confidence_decay_half_life_seconds: 30, window_seconds: 300}",
    )
    .await;
    lab.hear(ban(VICTIM, "udp_flood").sure(0.2)).await;
    lab.seconds(100).await;
    // 0.2 weighs a tenth: the mean is 0.74
    assert_eq!(lab.hear(ban(VICTIM, "udp_flood").from("second").sure(0.8)).await.status, EventStatus::Held);
    lab.seconds(100).await;
    // both grow old alike, so the mean stays; only a fresh report moves it
    assert_eq!(lab.rules().len(), 0);
    assert_eq!(
        lab.hear(ban(VICTIM, "udp_flood").from("second").sure(0.8)).await.status,
        EventStatus::Accepted
    );
}

#[tokio::test(start_paused = true)]
async fn fifty_sources_at_once_make_one_group_and_one_mitigation() {
    let lab = Lab::with(TWO).await;
    let reports = (0..50).map(|number| {
        let source = format!("s{number}");
        let engine = lab.engine.clone();
        async move { engine.ingest(ban(VICTIM, "udp_flood").from(&source).sure(0.7), &detector()).await }
    });
    let answers = futures::future::join_all(reports).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(group(&lab).await.source_count, 50);
    assert_eq!(lab.store.all_mitigations().len(), 1);
    assert_eq!(lab.store.all_mitigations()[0].leases.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn sources_that_report_to_two_instances_are_weighed_together() {
    let (store, speaker) = (Arc::new(MemoryStore::new()), Arc::new(MemoryAnnouncer::new()));
    let clock = Arc::new(ScriptedClock::following_tokio(beginning()));
    store.set_shared(true);
    let start = |number| {
        let config = Config::read(TWO);
        Lab::try_start(store.clone(), speaker.clone(), clock.clone(), config, None, instance(number))
    };
    let (one, two) = (start(1).await.unwrap(), start(2).await.unwrap());
    assert_eq!(one.hear(ban(VICTIM, "udp_flood").sure(0.6)).await.status, EventStatus::Held);
    let second = two.hear(ban(VICTIM, "udp_flood").from("second").sure(0.6)).await;
    assert_eq!(second.status, EventStatus::Accepted);
    one.seconds(1).await;
    assert_eq!(one.rules().len(), 1);
    one.hear(ban("203.0.113.11", "udp_flood").sure(0.6)).await;
    let taken = corroborate(&two, helper("acme")).await;
    assert_eq!(taken.mitigation_ids.len(), 1, "a corroborating signal finds the group of the other instance");
}

#[tokio::test(start_paused = true)]
async fn an_operator_needs_no_quorum_and_what_he_withdrew_asks_for_a_new_one() {
    let lab = Lab::with(TWO).await;
    lab.hear(ban(VICTIM, "udp_flood").sure(0.6)).await;
    let id = lab.mitigate(ban(VICTIM, "udp_flood").from("second").sure(0.6)).await;
    lab.engine.withdraw(id, "a test of ours", &alice()).await.unwrap();
    lab.seconds(121).await;
    assert_eq!(lab.hear(ban(VICTIM, "udp_flood").sure(0.6)).await.status, EventStatus::Held);
}

#[tokio::test(start_paused = true)]
async fn a_detector_that_fell_silent_is_reported_once_and_is_back_with_its_next_word() {
    let lab = Lab::with("sources: {flow: {silent_after_seconds: 60}}").await;
    lab.hear(ban(VICTIM, "udp_flood")).await;
    lab.seconds(58).await;
    let silent = |lab: &Lab| {
        let alerts = lab.engine.newest_alerts();
        alerts.into_iter().filter(|alert| alert.event_type == AlertType::DetectorSilent).count()
    };
    assert_eq!(silent(&lab), 0);
    lab.seconds(60).await;
    assert_eq!(silent(&lab), 1);
    let problems = lab.engine.health().await.problems;
    assert!(
        problems.iter().any(|text| text.contains("detector flow has been silent since 2026-")),
        "{problems:?}"
    );
    assert!(!lab.engine.health().await.degraded);
    lab.hear(unban(VICTIM)).await;
    lab.seconds(2).await;
    assert_eq!(lab.engine.health().await.problems, Vec::<String>::new());
    let lab = lab.start_again().await;
    lab.seconds(30).await;
    assert_eq!(silent(&lab), 0, "a restart is no silence");
}

#[tokio::test(start_paused = true)]
async fn a_refused_quorum_is_tried_again_with_the_next_report() {
    let lab = Lab::with(&format!("{TWO}\nsafelist: [203.0.113.10/32]")).await;
    lab.hear(ban(VICTIM, "udp_flood").sure(0.6)).await;
    let refused = lab.hear_refused(ban(VICTIM, "udp_flood").from("second").sure(0.6)).await;
    let found = group(&lab).await;
    assert_eq!(refused.signal_group_id, Some(found.group_id));
    let correlation = lab.row(refused.mitigation_id).await.correlation.unwrap();
    assert_eq!((correlation.signal_group_id, correlation.source_count), (found.group_id, 2));
    assert!(found.met && found.status == GroupStatus::Open);
    lab.seconds(302).await;
    assert_eq!(group(&lab).await.status, GroupStatus::Resolved, "met, though nothing could be done");
}

#[tokio::test(start_paused = true)]
async fn terms_that_become_easier_release_what_is_held_although_nobody_reports_again() {
    let lab = Lab::with(TWO).await;
    lab.hear(ban(VICTIM, "udp_flood").sure(0.6)).await;
    let easier = Config::read("correlation: {min_sources: 1, confidence_threshold: 0.6}").policy();
    lab.engine.reload(easier, false, &alice()).await.unwrap();
    lab.seconds(3).await;
    assert_eq!(lab.rules(), ["dst 203.0.113.10/32 proto udp: police 50000000 bit/s"]);
    assert_eq!(group(&lab).await.status, GroupStatus::Resolved);
}

#[tokio::test(start_paused = true)]
async fn groups_that_come_up_while_a_corroborating_signal_is_on_its_way_are_completed_too() {
    let lab =
        Lab::with(&format!("{TWO}\nquotas: {{max_active_per_customer: 100, max_new_per_minute: 100}}")).await;
    let reports = (1..40).map(|host| lab.hear(ban(&format!("203.0.113.{host}"), "udp_flood").sure(0.6)));
    let reports = futures::future::join_all(reports);
    let (reports, taken) = tokio::join!(reports, corroborate(&lab, helper("acme")));
    assert!(taken.attached_group_ids.len() <= reports.len());
    lab.seconds(1).await;
    assert_eq!(lab.count(Status::Active), 39, "by the signal, or because it waited for them");
}
