//! Storage fails: nothing is promised that is not written, and rules leave on time all the same.

use std::time::Duration;

use prefix_core::event::EventStatus;
use prefix_core::mitigation::Status;
use prefix_engine::EngineError;
use prefix_testkit::fakes::store::Fault;

use crate::lab::{Lab, Words, alice, ban, detector, unban, with_key};

const UDP: &str = "dst 203.0.113.10/32 proto udp";

fn is_unavailable<T>(result: &Result<T, EngineError>) -> bool {
    matches!(result, Err(EngineError::StorageUnavailable(_)))
}

#[tokio::test(start_paused = true)]
async fn without_storage_nothing_is_accepted_and_nothing_is_announced() {
    let lab = Lab::usual().await;
    lab.store.set_down(true);
    let report = ban("203.0.113.10", "udp_flood");
    assert!(is_unavailable(&lab.engine.ingest(report.clone(), &detector()).await));
    assert!(is_unavailable(&lab.engine.ready().await));
    assert!(lab.engine.health().await.database.is_err());
    assert_eq!(lab.speaker.history().len(), 0);
    lab.store.set_down(false);
    assert_eq!(lab.hear(report).await.status, EventStatus::Accepted);
    assert!(lab.engine.ready().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn rules_leave_on_time_while_storage_is_down_and_their_rows_follow() {
    let lab = Lab::usual().await;
    let short = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let long = lab.mitigate(ban("203.0.113.11", "dns_amplification")).await;
    lab.seconds(60).await;
    lab.store.set_down(true);
    lab.seconds(61).await;
    assert_eq!(lab.rules(), ["dst 203.0.113.11/32 proto udp sport =53: discard"]);
    lab.seconds(200).await;
    assert_eq!(lab.rules().len(), 0);
    lab.store.set_down(false);
    lab.seconds(10).await;
    assert_eq!((lab.status(short).await, lab.status(long).await), (Status::Expired, Status::Expired));
    let expired: Vec<_> = lab.audited("expire").iter().filter_map(|entry| entry.target_id.clone()).collect();
    assert_eq!(expired.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn rules_leave_on_time_while_storage_hangs_under_load() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.mitigate(ban("203.0.113.11", "dns_amplification")).await;
    lab.store.pause();
    let asks: Vec<_> = (0..6_000)
        .map(|_| {
            let engine = lab.engine.clone();
            tokio::spawn(async move { engine.ingest(ban("203.0.113.12", "udp_flood"), &detector()).await })
        })
        .collect();
    lab.seconds(121).await;
    assert_eq!(lab.rules(), ["dst 203.0.113.11/32 proto udp sport =53: discard"]);
    lab.seconds(180).await;
    assert_eq!(lab.rules().len(), 0);
    lab.store.resume();
    lab.seconds(5).await;
    let mut accepted = 0;
    for ask in asks {
        assert!(ask.is_finished());
        accepted += usize::from(ask.await.unwrap().is_ok());
    }
    // only those of the hanging transaction: whoever was told "not stored" is not stored
    assert!((1..=256).contains(&accepted), "{accepted}");
    assert_eq!(lab.store.all_events().len(), 2 + accepted);
    lab.mitigate(ban("203.0.113.12", "udp_flood")).await;
    assert_eq!((lab.count(Status::Active), lab.rules().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_behind_a_hanging_transaction_is_told_in_time_and_not_stored_later() {
    let lab = Lab::usual().await;
    lab.store.pause();
    let hear = |victim: &str| {
        let (engine, report) = (lab.engine.clone(), ban(victim, "udp_flood"));
        tokio::spawn(async move { engine.ingest(report, &detector()).await })
    };
    let under_way = hear("203.0.113.10");
    lab.seconds(1).await;
    let waits = hear("203.0.113.11");
    lab.seconds(6).await;
    assert!(
        waits.is_finished() && !under_way.is_finished(),
        "detectors do not wait for longer than ten seconds"
    );
    let refused = waits.await.unwrap();
    assert!(matches!(refused, Err(EngineError::StorageUnavailable(_))), "{refused:?}");
    lab.store.resume();
    lab.seconds(2).await;
    assert!(under_way.await.unwrap().is_ok());
    let stored: Vec<String> =
        lab.store.all_events().iter().map(|event| event.report.victim_ip.to_string()).collect();
    assert_eq!(stored, ["203.0.113.10"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_of_storage_is_no_storm_at_the_speaker() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.store.set_down(true);
    lab.seconds(1_000).await;
    lab.speaker.forget_history();
    lab.seconds(60).await;
    let repeated = lab.speaker.history().len();
    // each failure to write it down is tried again after two seconds
    assert!(repeated <= 40, "{repeated} withdrawals of one rule in a minute");
    lab.store.set_down(false);
    lab.seconds(5).await;
    assert_eq!(lab.count(Status::Expired), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_expired_during_the_outage_can_be_raised_again_at_once() {
    let lab = Lab::usual().await;
    let old = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.store.set_down(true);
    lab.seconds(130).await;
    lab.store.set_down(false);
    let answer = lab.hear(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!(answer.status, EventStatus::Accepted);
    lab.seconds(10).await;
    assert_eq!(lab.rules().len(), 1);
    assert_eq!(
        (lab.status(old).await, lab.status(answer.mitigation_id.unwrap()).await),
        (Status::Expired, Status::Active)
    );
}

#[tokio::test(start_paused = true)]
async fn rules_are_renewed_on_the_wire_while_storage_is_down() {
    let lab = Lab::with("sources: {flow: {reports: edge, edge_hold_seconds: 3600}}").await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.store.set_down(true);
    for _ in 0..60 {
        lab.seconds(10).await;
        assert!(lab.not_after(UDP) > lab.now());
    }
    assert_eq!(lab.rules().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_speaker_that_restarts_while_storage_is_down_gets_its_rules_back() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.seconds(1).await;
    lab.store.set_down(true);
    lab.speaker.restart();
    lab.seconds(1).await;
    assert_eq!(lab.rules().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_found_again() {
    let lab = Lab::usual().await;
    lab.store.fail_next(1, Fault::AfterCommit);
    let report = ban("203.0.113.10", "udp_flood").episode("x");
    assert!(is_unavailable(&lab.engine.ingest(report.clone(), &detector()).await));
    // the detector sends it again, as it is told
    let again = lab.hear(report).await;
    assert_eq!(again.status, EventStatus::Extended);
    lab.seconds(2).await;
    assert_eq!(lab.store.all_mitigations().len(), 1);
    assert_eq!((lab.rules().len(), lab.status(again.mitigation_id.unwrap()).await), (1, Status::Active));
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_announced_even_if_nobody_asks_again() {
    let lab = Lab::usual().await;
    lab.store.fail_next(1, Fault::AfterCommit);
    assert!(is_unavailable(&lab.engine.ingest(ban("203.0.113.10", "udp_flood"), &detector()).await));
    lab.seconds(40).await;
    assert_eq!((lab.rules().len(), lab.count(Status::Active)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_could_not_be_written_is_written_later() {
    let lab = Lab::usual().await;
    let id = {
        let asked = lab.hear(ban("203.0.113.10", "udp_flood"));
        let outage = async {
            lab.speaker.set_delay(Duration::from_millis(100));
            lab.wait(Duration::from_millis(50)).await;
            lab.store.set_down(true);
        };
        let (answer, ()) = tokio::join!(asked, outage);
        answer.mitigation_id.unwrap()
    };
    lab.seconds(10).await;
    lab.store.set_down(false);
    assert_eq!(lab.status(id).await, Status::Pending);
    lab.seconds(4).await;
    assert_eq!(lab.status(id).await, Status::Active);
    assert_eq!(lab.history(UDP).len(), 1, "it was announced once");
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_could_not_be_written_is_written_later() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.disconnect("cable");
    lab.hear(unban("203.0.113.10")).await;
    lab.store.set_down(true);
    lab.speaker.connect();
    lab.seconds(5).await;
    assert_eq!(lab.rules().len(), 0);
    lab.store.set_down(false);
    lab.seconds(5).await;
    assert_eq!(lab.status(id).await, Status::Withdrawn);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_with_another_instance_is_decided_again() {
    let lab = Lab::usual().await;
    lab.store.fail_next(3, Fault::Conflict);
    let answer = lab.hear(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!(answer.status, EventStatus::Accepted);
    lab.settle().await;
    assert_eq!((lab.store.all_events().len(), lab.store.all_mitigations().len()), (1, 1));
    assert_eq!(lab.rules().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn events_under_load_are_committed_in_batches() {
    let lab = Lab::usual().await;
    let before = lab.store.calls().transacts;
    let reports = (0..200).map(|_| ban("203.0.113.10", "udp_flood"));
    futures::future::join_all(reports.map(|report| lab.hear(report))).await;
    let transacts = lab.store.calls().transacts - before;
    assert!(transacts <= 10, "200 events in {transacts} transactions");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_gets_the_first_answer() {
    let lab = Lab::usual().await;
    let caller = with_key(detector(), "k1", 1);
    let report = ban("203.0.113.10", "udp_flood");
    let first = lab.engine.ingest(report.clone(), &caller).await.unwrap();
    let again = lab.engine.ingest(report.clone(), &caller).await.unwrap();
    assert!(!first.replayed && again.replayed);
    let ids = |answer: &prefix_engine::EventOutcome| match answer {
        prefix_engine::EventOutcome::Accepted(ingested) => {
            (ingested.event_id, ingested.status, ingested.mitigation_id)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(ids(&first.value), ids(&again.value));
    assert_eq!(lab.store.all_events().len(), 1);
    // the same key of another principal is another request
    let other = with_key(alice(), "k1", 1);
    assert!(!lab.engine.ingest(report, &other).await.unwrap().replayed);
    assert_eq!(lab.store.all_events().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_used_for_another_body_is_refused() {
    let lab = Lab::usual().await;
    lab.engine.ingest(ban("203.0.113.10", "udp_flood"), &with_key(detector(), "k1", 1)).await.unwrap();
    let other = lab.engine.ingest(ban("203.0.113.11", "udp_flood"), &with_key(detector(), "k1", 2)).await;
    assert_eq!(other.unwrap_err(), EngineError::IdempotencyMismatch);
    assert_eq!(lab.store.all_events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_counts_for_a_day() {
    let lab = Lab::usual().await;
    let caller = with_key(detector(), "k1", 1);
    lab.engine.ingest(ban("203.0.113.10", "udp_flood"), &caller).await.unwrap();
    // nobody needs to live through each second of it
    lab.clock.advance(Duration::from_mins(1438));
    // a clock that is set is followed once it was stable
    lab.seconds(20).await;
    assert!(lab.engine.ingest(ban("203.0.113.10", "udp_flood"), &caller).await.unwrap().replayed);
    lab.seconds(200).await;
    assert!(!lab.engine.ingest(ban("203.0.113.10", "udp_flood"), &caller).await.unwrap().replayed);
}

#[tokio::test(start_paused = true)]
async fn equal_requests_at_once_are_one_request() {
    let lab = Lab::usual().await;
    let caller = with_key(detector(), "k1", 1);
    let asks = (0..10).map(|_| lab.engine.ingest(ban("203.0.113.10", "udp_flood"), &caller));
    let answers = futures::future::join_all(asks).await;
    let replayed = answers.iter().filter(|answer| answer.as_ref().unwrap().replayed).count();
    assert_eq!((replayed, lab.store.all_events().len()), (9, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_not_stored_may_be_repeated_with_its_key() {
    let lab = Lab::usual().await;
    let caller = with_key(detector(), "k1", 1);
    lab.store.fail_next(1, Fault::BeforeCommit);
    assert!(is_unavailable(&lab.engine.ingest(ban("203.0.113.10", "udp_flood"), &caller).await));
    assert!(!lab.engine.ingest(ban("203.0.113.10", "udp_flood"), &caller).await.unwrap().replayed);
    lab.store.fail_next(1, Fault::AfterCommit);
    let caller = with_key(detector(), "k2", 2);
    assert!(is_unavailable(&lab.engine.ingest(ban("203.0.113.10", "udp_flood"), &caller).await));
    assert!(lab.engine.ingest(ban("203.0.113.10", "udp_flood"), &caller).await.unwrap().replayed);
    assert_eq!(lab.store.all_events().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_manual_rule_can_be_repeated_with_its_key() {
    let lab = Lab::usual().await;
    let caller = with_key(alice(), "k1", 1);
    let request = || crate::lab::manual("203.0.113.10", prefix_core::flowspec::Action::Discard);
    let first = lab.engine.create(request(), &caller).await.unwrap();
    lab.seconds(30).await;
    let again = lab.engine.create(request(), &caller).await.unwrap();
    assert!(again.replayed);
    let (first, again) = (first.value.view.mitigation, again.value.view.mitigation);
    assert_eq!((first.mitigation_id, first.expires_at), (again.mitigation_id, again.expires_at));
    assert!(again.route.is_some());
    assert_eq!(lab.audited("extend").len(), 0, "nothing was renewed");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_time_mends_is_not_kept_for_repetitions() {
    let lab = Lab::with("quotas: {max_active_per_customer: 1}").await;
    lab.mitigate(ban("203.0.113.20", "udp_flood")).await;
    let caller = with_key(alice(), "k1", 1);
    let request = || crate::lab::manual("203.0.113.10", prefix_core::flowspec::Action::Discard);
    assert!(lab.engine.create(request(), &caller).await.is_err());
    lab.hear(unban("203.0.113.20")).await;
    assert!(!lab.engine.create(request(), &caller).await.unwrap().replayed);
}
