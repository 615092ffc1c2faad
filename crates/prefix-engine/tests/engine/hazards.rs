//! What goes wrong when two things happen at once, or when what is relied on fails half-way.

use std::sync::Arc;
use std::time::Duration;

use prefix_core::announcer::RibPath;
use prefix_core::flowspec::Action;
use prefix_core::mitigation::Status;
use prefix_core::ownership::Ownership;
use prefix_engine::Caller;
use prefix_testkit::fakes::announcer::AnnounceFault;
use prefix_testkit::fakes::store::Fault;
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore, ScriptedClock};

use crate::lab::{Config, Lab, Words, alice, at, ban, detector, manual, route, unban};

const UDP: &str = "dst 203.0.113.10/32 proto udp";

fn of_others(flow: &str, ownership: Ownership) -> RibPath {
    RibPath {
        key: route(flow),
        action: Some(Action::Discard),
        ownership,
        local: true,
        attributes: "community 65000:1".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_clears_the_speaker_takes_away_nothing_of_others() {
    let lab = Lab::with("preserve_announcements: false").await;
    let others = Ownership::OtherPop { owner: 1 };
    lab.speaker.put(of_others(UDP, others));
    lab.settle().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    lab.engine.shutdown().await;
    assert_eq!(lab.rules().len(), 0, "our own rule left");
    assert_eq!(lab.speaker.local(&route(UDP)).unwrap().ownership, others);
    assert!(!lab.was_withdrawn(UDP));
}

#[tokio::test(start_paused = true)]
async fn a_stop_takes_away_nothing_that_somebody_put_in_place_of_a_rule() {
    let lab = Lab::with("preserve_announcements: false").await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    // it cannot be replaced while the speaker refuses
    lab.speaker.fail_announces(1_000, AnnounceFault::Refused);
    lab.speaker.put(of_others(UDP, Ownership::Foreign));
    lab.seconds(1).await;
    lab.engine.shutdown().await;
    assert_eq!(lab.speaker.local(&route(UDP)).unwrap().ownership, Ownership::Foreign);
}

#[tokio::test(start_paused = true)]
async fn a_stop_clears_the_speaker_even_while_storage_hangs() {
    let lab = Lab::with("preserve_announcements: false").await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.store.pause();
    let engine = lab.engine.clone();
    tokio::spawn(async move { engine.ingest(ban("203.0.113.11", "udp_flood"), &detector()).await });
    lab.settle().await;
    let stopped = tokio::time::timeout(Duration::from_mins(1), lab.engine.shutdown()).await;
    assert_eq!(lab.rules().len(), 0, "nobody would end it while the daemon is away");
    assert!(stopped.is_ok(), "the stop waits for storage no longer than a supervisor waits for it");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_storage_keeps_refusing_does_not_fail_its_neighbors() {
    let lab = Lab::usual().await;
    // as often as the store tries a unit of work
    lab.store.fail_next(5, Fault::Conflict);
    let asks = (0..20).map(|host| {
        let engine = lab.engine.clone();
        async move { engine.ingest(ban(&format!("203.0.113.{host}"), "udp_flood"), &detector()).await.is_ok() }
    });
    assert_eq!(futures::future::join_all(asks).await, [true; 20]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_at_a_deadline_changes_nothing() {
    let lab = Lab::with("quotas: {max_active_per_customer: 1}").await;
    let living = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let queued = lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    lab.seconds(119).await;
    // the deadline passes while storage hangs; then the clock is corrected
    lab.store.pause();
    lab.seconds(2).await;
    lab.clock.set(at(110));
    lab.store.resume();
    lab.seconds(5).await;
    lab.seconds(20).await;
    assert_eq!((lab.status(living).await, lab.status(queued).await), (Status::Expired, Status::Expired));
    assert_eq!(lab.rules().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_was_let_in_during_a_reload_is_checked_against_the_new_policy() {
    let lab = Lab::usual().await;
    lab.store.pause();
    let engine = lab.engine.clone();
    tokio::spawn(async move { engine.ingest(ban("203.0.113.10", "udp_flood"), &detector()).await });
    lab.settle().await;
    let engine = lab.engine.clone();
    let policy = Config::read("guardrails: {protected_prefixes: [203.0.113.0/28]}").policy();
    let reload = tokio::spawn(async move { engine.reload(policy, false, &Caller::system()).await });
    lab.settle().await;
    lab.store.resume();
    let report = reload.await.unwrap().unwrap();
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [""; 0]);
    assert_eq!(
        report.withdrawn.len(),
        lab.store.all_mitigations().iter().filter(|row| row.status == Status::Withdrawn).count()
    );
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_cannot_be_carried_out_changes_nothing() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.store.fail_next(1, Fault::BeforeCommit);
    let policy = Config::read("guardrails: {protected_prefixes: [203.0.113.0/28]}").policy();
    assert!(lab.engine.reload(policy, false, &Caller::system()).await.is_err());
    let in_force = lab.engine.policy();
    assert!(in_force.parts().guardrails.protected_prefixes.is_empty(), "what runs is what is carried out");
    assert_eq!(lab.rules().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_the_speaker_has_not_taken_yet_is_no_drift() {
    let lab = Lab::with(
        "
playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 120}
      - {action: discard, ttl_seconds: 120, require_persistence_seconds: 60, require_confidence_at_least: 0.5}
",
    )
    .await;
    lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    lab.seconds(50).await;
    lab.hear(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    lab.speaker.fail_announces(30, AnnounceFault::Refused);
    lab.seconds(50).await;
    assert_eq!(lab.audited("escalate").len(), 1);
    assert_eq!(lab.audited("reconcile").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_step_takes_over_a_rule_that_is_being_withdrawn() {
    let lab = Lab::with(
        "
guardrails: {allow_rtbh: true}
playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 120}
      - {action: rtbh, ttl_seconds: 120, require_persistence_seconds: 60, require_confidence_at_least: 0.5}
",
    )
    .await;
    lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    let mut request = manual("203.0.113.10", Action::Rtbh);
    request.matching.protocol = None;
    let by_hand = lab.create(request).await.mitigation_id;
    lab.seconds(50).await;
    lab.speaker.fail_withdraws(10, AnnounceFault::Unreachable);
    lab.withdraw(by_hand).await;
    lab.hear(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    lab.seconds(15).await;
    assert_eq!(lab.audited("escalate").len(), 1);
    lab.seconds(60).await;
    assert_eq!(lab.status(by_hand).await, Status::Withdrawn);
}

#[tokio::test(start_paused = true)]
async fn the_companion_of_a_later_step_keeps_to_the_quota() {
    let lab = Lab::with(
        "
quotas: {max_announcements_per_peer: 1}
playbooks:
  - name: reflections
    match: {vector: dns_amplification}
    steps:
      - {action: police, rate_bps: 20000000, ttl_seconds: 120}
      - {action: discard, ttl_seconds: 120, require_persistence_seconds: 60, require_confidence_at_least: 0.5, fragments: discard}
",
    )
    .await;
    lab.mitigate(ban("203.0.113.10", "dns_amplification").sure(0.9)).await;
    lab.seconds(50).await;
    lab.hear(ban("203.0.113.10", "dns_amplification").sure(0.9)).await;
    lab.seconds(20).await;
    assert_eq!(lab.audited("escalate").len(), 1);
    assert_eq!(lab.rules().len(), 1);
    assert_eq!(lab.count(Status::Queued), 1);
}

#[tokio::test(start_paused = true)]
async fn storage_that_only_reads_is_not_asked_more_and_more() {
    let lab = Lab::with("quotas: {max_active_per_customer: 100, max_new_per_minute: 100}").await;
    for host in 0..50 {
        lab.mitigate(ban(&format!("203.0.113.{host}"), "udp_flood")).await;
    }
    lab.seconds(110).await;
    lab.store.fail_next(1_000_000, Fault::BeforeCommit);
    lab.seconds(60).await;
    assert_eq!(lab.rules().len(), 0);
    let (before, asked) = (lab.store.calls().transacts, lab.speaker.history().len());
    lab.seconds(60).await;
    let (after, asked_now) = (lab.store.calls().transacts, lab.speaker.history().len());
    assert!(after - before < 1_200, "{} units of work in a minute", after - before);
    assert!(asked_now - asked < 2_500, "{} changes in a minute", asked_now - asked);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_ends_before_it_was_announced_takes_nothing_of_others_away() {
    let lab = Lab::usual().await;
    lab.speaker.put(of_others(UDP, Ownership::Foreign));
    lab.settle().await;
    let both = vec![Ok(ban("203.0.113.10", "udp_flood")), Ok(unban("203.0.113.10"))];
    lab.engine.ingest_batch(both, &detector()).await.unwrap();
    lab.seconds(1).await;
    assert_eq!(lab.count(Status::Withdrawn), 1);
    assert_eq!(lab.speaker.local(&route(UDP)).unwrap().ownership, Ownership::Foreign);
    assert!(!lab.was_withdrawn(UDP));
}

#[tokio::test(start_paused = true)]
async fn a_route_that_another_pop_took_while_the_speaker_was_away_is_left_to_it() {
    let others = Ownership::OtherPop { owner: 1 };
    for reads_that_fail in 0..4 {
        let speaker = Arc::new(MemoryAnnouncer::new());
        speaker.disconnect("cable");
        speaker.put(of_others(UDP, others));
        let clock = Arc::new(ScriptedClock::following_tokio(at(0)));
        let store = Arc::new(MemoryStore::new());
        let lab = Lab::around(store, speaker, clock, Config::read("")).await;
        lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
        lab.speaker.fail_reads(reads_that_fail);
        lab.speaker.connect();
        lab.seconds(10).await;
        assert_eq!(
            lab.speaker.local(&route(UDP)).unwrap().ownership,
            others,
            "{reads_that_fail} reads failed"
        );
        assert_eq!(lab.count(Status::Pending), 1);
        lab.speaker.remove(&route(UDP));
        lab.seconds(1).await;
        assert_eq!((lab.count(Status::Active), lab.rules().len()), (1, 1), "it was free again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_of_somebody_else_that_is_replaced_is_told() {
    let speaker = Arc::new(MemoryAnnouncer::new());
    speaker.disconnect("cable");
    speaker.put(of_others(UDP, Ownership::Foreign));
    let clock = Arc::new(ScriptedClock::following_tokio(at(0)));
    let lab = Lab::around(Arc::new(MemoryStore::new()), speaker, clock, Config::read("")).await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.connect();
    lab.seconds(1).await;
    assert_eq!(lab.rules().len(), 1);
    let told = lab.audited("reconcile");
    assert!(told.iter().any(|entry| entry.details["found"].to_string().contains("65000:1")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn storage_that_only_reads_is_a_problem_that_health_names_until_a_change_is_written() {
    let lab = Lab::usual().await;
    lab.store.fail_next(1, Fault::BeforeCommit);
    let report = ban("203.0.113.1", "udp_flood");
    assert!(lab.engine.ingest(report.clone(), &detector()).await.is_err());
    let health = lab.engine.health().await;
    assert!(health.degraded && health.database.is_err(), "{:?}", health.problems);
    assert!(health.problems.iter().any(|problem| problem.starts_with("storage: ")), "{:?}", health.problems);

    lab.mitigate(report).await;
    let health = lab.engine.health().await;
    assert!(!health.degraded && health.database.is_ok(), "{:?}", health.problems);
}

const BLACK_HOLE_LATER: &str = "
guardrails: {allow_rtbh: true}
sources: {flow: {reports: edge}}
playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 120}
      - {action: rtbh, ttl_seconds: 120, require_persistence_seconds: 60, require_confidence_at_least: 0.5}
";

#[tokio::test(start_paused = true)]
async fn a_former_rule_leaves_at_its_not_after_time_even_if_its_successor_cannot_be_announced() {
    let lab = Lab::with(BLACK_HOLE_LATER).await;
    let hole = "blackhole 203.0.113.10/32";
    lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    lab.speaker.put(of_others(hole, Ownership::OtherPop { owner: 1 }));
    lab.seconds(50).await;
    lab.hear(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    lab.seconds(20).await;
    assert_eq!(lab.audited("escalate").len(), 1);
    assert_eq!(lab.rules().len(), 1, "the former rule stays until its successor is there");
    let not_after = lab.not_after(UDP);
    let left = (not_after - lab.now()).to_std().unwrap();
    lab.wait(left + Duration::from_secs(2)).await;
    assert_eq!(lab.rules().len(), 0, "nobody renews it, so nobody may keep it");
    assert_eq!(lab.count(Status::Active) + lab.count(Status::Escalated), 1);
    lab.speaker.remove(&route(hole));
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [format!("{hole}: rtbh")]);
}

#[tokio::test(start_paused = true)]
async fn a_path_that_somebody_put_in_place_of_a_former_rule_stays() {
    let lab = Lab::with(BLACK_HOLE_LATER).await;
    lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    lab.seconds(50).await;
    lab.hear(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    lab.speaker.fail_announces(1_000, AnnounceFault::Unreachable);
    lab.seconds(20).await;
    lab.speaker.put(of_others(UDP, Ownership::Foreign));
    lab.speaker.disconnect("cable");
    lab.seconds(5).await;
    lab.speaker.heal();
    lab.speaker.connect();
    lab.seconds(10).await;
    assert_eq!(lab.rules(), ["blackhole 203.0.113.10/32: rtbh"]);
    assert_eq!(lab.speaker.local(&route(UDP)).unwrap().ownership, Ownership::Foreign);
    assert!(!lab.was_withdrawn(UDP));
}

#[tokio::test(start_paused = true)]
async fn what_was_to_be_announced_before_a_freeze_is_not_announced_after_it() {
    let lab = Lab::usual().await;
    lab.speaker.stall();
    lab.speaker.disconnect("cable");
    let engine = lab.engine.clone();
    tokio::spawn(async move { engine.ingest(ban("203.0.113.10", "udp_flood"), &detector()).await });
    lab.seconds(2).await;
    lab.speaker.connect();
    // the route is being looked at now, which takes its time
    lab.seconds(2).await;
    lab.engine.freeze_direct(prefix_core::panic::PanicScope {
        panic_id: prefix_core::id::PanicId::generate(),
        reason: "outage".into(),
        pop: None,
        customer_id: None,
        started_at: lab.now(),
        started_by: "root".into(),
        origin: prefix_core::panic::PanicOrigin::Direct,
        thawed: None,
    });
    lab.seconds(1).await;
    let before = lab.history(UDP).len();
    lab.speaker.wake();
    lab.seconds(5).await;
    assert_eq!(lab.rules().len(), 0);
    assert!(lab.history(UDP)[before..].iter().all(|call| call.change.is_withdraw()));
}

#[tokio::test(start_paused = true)]
async fn a_path_that_somebody_put_during_a_stop_stays() {
    let lab = Lab::with("preserve_announcements: false").await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    // the stop waits for storage before it turns to the speaker
    lab.store.pause();
    let engine = lab.engine.clone();
    tokio::spawn(async move { engine.ingest(ban("203.0.113.12", "udp_flood"), &detector()).await });
    lab.settle().await;
    let engine = lab.engine.clone();
    let stop = tokio::spawn(async move { engine.shutdown().await });
    lab.seconds(12).await;
    let others = Ownership::OtherPop { owner: 1 };
    lab.speaker.put(of_others(UDP, others));
    tokio::time::timeout(Duration::from_mins(1), stop).await.unwrap().unwrap();
    assert_eq!(lab.speaker.local(&route(UDP)).unwrap().ownership, others);
    assert_eq!(lab.rules().len(), 0, "and ours left");
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_came_back_while_its_removal_waited_for_storage_is_not_written_down_as_gone() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.seconds(119).await;
    lab.store.pause();
    let engine = lab.engine.clone();
    let extended =
        tokio::spawn(async move { engine.ingest(ban("203.0.113.10", "udp_flood"), &detector()).await });
    lab.settle().await;
    // its time is over: the rule leaves, and that cannot be written down
    lab.seconds(3).await;
    assert_eq!(lab.rules().len(), 0);
    let engine = lab.engine.clone();
    tokio::spawn(async move { engine.withdraw(id, "enough", &alice()).await });
    // the clock is corrected, and storage is back, but slow
    lab.clock.set(at(110));
    lab.speaker.set_delay(Duration::from_millis(30));
    lab.store.resume();
    for _ in 0..200 {
        lab.wait(Duration::from_millis(1)).await;
        let over = lab.status(id).await.is_final();
        assert!(!(over && lab.rules().len() == 1), "written down as gone while the speaker has it");
    }
    extended.await.unwrap().unwrap();
    lab.seconds(10).await;
    assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Withdrawn, 0));
}

#[tokio::test(start_paused = true)]
async fn a_path_in_place_of_a_rule_is_noticed_even_if_it_cannot_be_read_back() {
    let lab = Lab::with(BLACK_HOLE_LATER).await;
    lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    lab.seconds(50).await;
    lab.hear(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    lab.seconds(8).await;
    lab.speaker.fail_reads(1_000);
    lab.speaker.put(of_others(UDP, Ownership::Foreign));
    // the next step comes before anybody could read what stands there
    lab.speaker.fail_announces(1, AnnounceFault::Unreachable);
    lab.seconds(10).await;
    assert!(lab.rules().contains(&"blackhole 203.0.113.10/32: rtbh".to_owned()), "{:?}", lab.rules());
    assert_eq!(lab.speaker.local(&route(UDP)).unwrap().ownership, Ownership::Foreign);
    assert!(!lab.was_withdrawn(UDP));
}
