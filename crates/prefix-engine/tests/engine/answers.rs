//! An event is answered as soon as its rule is written as intended and in the speaker's table. That the speaker has it is
//! written with the next transaction.

use std::sync::Arc;
use std::time::Duration;

use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use prefix_core::page::PageRequest;
use prefix_core::ports::MitigationQuery;
use prefix_engine::EventOutcome;
use prefix_testkit::fakes::store::Fault;
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore, ScriptedClock};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::lab::{Config, Lab, Reach, alice, ban, beginning, detector, instance, manual, police, unban};

const VICTIM: &str = "203.0.113.10";

/// Reports an attack and stops the speaker and then storage behind the commit: the answer of the speaker is all that comes
/// from now on.
async fn committed_and_no_more(lab: &Lab) -> JoinHandle<Option<Status>> {
    lab.speaker.set_delay(Duration::from_millis(100));
    let engine = lab.engine.clone();
    let asked = tokio::spawn(async move {
        let answer = engine.ingest(ban(VICTIM, "udp_flood"), &detector()).await.unwrap().value;
        match answer {
            EventOutcome::Accepted(ingested) => ingested.mitigation_status,
            other => panic!("{other:?}"),
        }
    });
    lab.wait(Duration::from_millis(50)).await;
    assert_eq!((lab.count(Status::Pending), asked.is_finished()), (1, false));
    lab.store.pause();
    asked
}

fn only(lab: &Lab) -> MitigationId {
    lab.store.all_mitigations()[0].mitigation_id
}

async fn listed(lab: &Lab, status: &[Status]) -> Vec<Status> {
    let query = MitigationQuery { status: status.to_vec(), ..MitigationQuery::default() };
    let page = lab.engine.mitigations(&query).await.unwrap();
    page.items.into_iter().map(|view| view.mitigation.status).collect()
}

#[tokio::test(start_paused = true)]
async fn an_event_is_answered_before_the_confirmation_is_written_and_every_read_agrees() {
    let lab = Lab::usual().await;
    let asked = committed_and_no_more(&lab).await;
    lab.wait(Duration::from_millis(60)).await;
    assert!(asked.is_finished(), "the confirmation cannot be written, and nobody waits for it");
    assert_eq!(asked.await.unwrap(), Some(Status::Active));
    let id = only(&lab);
    assert_eq!(lab.status(id).await, Status::Pending, "so it is written");

    let shown = lab.engine.mitigation(id).await.unwrap();
    assert_eq!((shown.mitigation.status, shown.mitigation.speaker.announced), (Status::Active, true));
    assert_eq!(listed(&lab, &[]).await, [Status::Active]);
    assert_eq!(listed(&lab, &[Status::Active]).await, [Status::Active]);
    assert_eq!(listed(&lab, &[Status::Active, Status::Expired]).await, [Status::Active]);
    assert_eq!(listed(&lab, &[Status::Pending]).await, []);
    let health = lab.engine.health().await;
    assert_eq!((health.active, health.pending), (1, 0));

    lab.store.resume();
    lab.settle().await;
    assert_eq!(lab.status(id).await, Status::Active);
    assert_eq!(listed(&lab, &[Status::Active]).await, [Status::Active]);
    lab.seconds(60).await;
    assert_eq!(lab.audited("confirm").len(), 1, "once per step");
}

#[tokio::test(start_paused = true)]
async fn a_page_holds_what_was_answered_at_its_place_and_no_more_than_its_limit() {
    let lab = Lab::usual().await;
    let mut older = Vec::new();
    for host in 11..14 {
        older.push(lab.mitigate(ban(&format!("203.0.113.{host}"), "udp_flood")).await);
        lab.seconds(1).await;
    }
    let asked = committed_and_no_more(&lab).await;
    lab.wait(Duration::from_millis(60)).await;
    assert_eq!(asked.await.unwrap(), Some(Status::Active));
    let mut query = MitigationQuery { status: vec![Status::Active], ..MitigationQuery::default() };
    query.page = PageRequest { limit: 2, ..PageRequest::default() };
    let first = lab.engine.mitigations(&query).await.unwrap();
    query.page.cursor = first.next_cursor;
    let second = lab.engine.mitigations(&query).await.unwrap();
    let ids = first.items.iter().chain(&second.items).map(|view| view.mitigation.mitigation_id);
    let ids: Vec<MitigationId> = ids.collect();
    assert_eq!((ids.len(), first.items.len()), (4, 2));
    assert_eq!(ids[1..], [older[2], older[1], older[0]]);
    assert!(
        first.items.iter().all(|view| !view.mitigation.decision.trace.is_empty()),
        "with its explanation"
    );
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_goes_with_the_next_transaction_or_has_its_own_soon() {
    let lab = Lab::usual().await;
    let began = Instant::now();
    lab.engine.ingest(ban(VICTIM, "udp_flood"), &detector()).await.unwrap();
    assert_eq!((lab.count(Status::Pending), began.elapsed()), (1, Duration::ZERO));
    let before = lab.store.calls().commits;
    lab.engine.ingest(ban("203.0.113.11", "udp_flood"), &detector()).await.unwrap();
    assert_eq!((lab.count(Status::Active), lab.store.calls().commits - before), (1, 1), "both in one");
    lab.wait(Duration::from_millis(26)).await;
    assert_eq!((lab.count(Status::Active), lab.store.calls().commits - before), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_active_of_a_rule_whose_end_is_decided() {
    let lab = Lab::usual().await;
    let asked = committed_and_no_more(&lab).await;
    let (engine, id) = (lab.engine.clone(), only(&lab));
    // decided, and its commit has no answer: nobody knows what is stored
    lab.store.fail_next(1, Fault::AfterCommit);
    lab.store.resume();
    assert!(engine.withdraw(id, "enough", &alice()).await.is_err());
    lab.store.set_down(true);
    lab.wait(Duration::from_millis(60)).await;
    assert!(!asked.is_finished(), "the speaker has it, and its end may be written");
    lab.store.set_down(false);
    lab.seconds(5).await;
    assert_ne!(asked.await.unwrap(), Some(Status::Active));
    assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Withdrawn, 0));
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_is_under_way_keeps_nobody_waiting() {
    let lab = Lab::usual().await;
    let asked = committed_and_no_more(&lab).await;
    lab.store.resume();
    let again = lab.engine.ingest(ban(VICTIM, "udp_flood"), &detector()).await.unwrap().value;
    assert!(
        matches!(again, EventOutcome::Accepted(ref ingested) if ingested.mitigation_id == Some(only(&lab)))
    );
    assert_eq!(asked.await.unwrap(), Some(Status::Active));
    // what was written later does not take back what was answered
    assert_eq!(lab.engine.mitigation(only(&lab)).await.unwrap().mitigation.status, Status::Active);
    assert_eq!(lab.hear(unban(VICTIM)).await.mitigation_status, Some(Status::Withdrawn));
}

#[tokio::test(start_paused = true)]
async fn an_operator_gets_the_row_as_it_will_be_written() {
    let lab = Lab::usual().await;
    let made = lab.engine.create(manual(VICTIM, police(1_000_000)), &alice()).await.unwrap().value.view;
    assert_eq!((made.mitigation.status, lab.count(Status::Pending)), (Status::Active, 1));
    assert!(!made.mitigation.decision.trace.is_empty());
    lab.wait(Duration::from_millis(26)).await;
    let written = lab.engine.mitigation(made.mitigation.mitigation_id).await.unwrap();
    assert_eq!(written.mitigation.decision, made.mitigation.decision);
    assert_eq!(lab.count(Status::Active), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_before_a_death_is_written_by_the_next_start() {
    let lab = Lab::usual().await;
    let asked = committed_and_no_more(&lab).await;
    lab.wait(Duration::from_millis(60)).await;
    assert_eq!(asked.await.unwrap(), Some(Status::Active));
    lab.kill();
    lab.store.resume();
    lab.speaker.set_delay(Duration::ZERO);
    let id = only(&lab);
    let lab = lab.start_again().await;
    lab.seconds(1).await;
    assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Active, 1));
    assert_eq!(lab.audited("confirm").len(), 1);
    let announced = lab.speaker.history().iter().filter(|call| !call.change.is_withdraw()).count();
    assert_eq!(announced, 1, "its path was found, and not sent again");
}

#[tokio::test(start_paused = true)]
async fn who_is_not_sure_to_lead_answers_only_what_is_written() {
    let clock = Arc::new(ScriptedClock::following_tokio(beginning()));
    let store = Arc::new(MemoryStore::new());
    store.set_shared(true);
    store.set_clock(clock.clone());
    let start = |number| {
        let (store, speaker, clock) = (store.clone(), Arc::new(MemoryAnnouncer::new()), clock.clone());
        Lab::try_start(store, speaker, clock, Config::read(""), None, instance(number))
    };
    let lab = start(1).await.unwrap();
    let asked = committed_and_no_more(&lab).await;
    // the call is under way until long after its lease is over
    lab.speaker.stall();
    lab.set_reach(Reach::Speaker);
    lab.seconds(4).await;
    lab.speaker.wake();
    lab.settle().await;
    let health = lab.engine.health().await;
    assert_eq!((health.active, health.pending, lab.rules().len()), (0, 1, 1));
    assert_ne!(asked.await.unwrap(), Some(Status::Active));
}
