//! Thousands of rules at once: the speaker's table is read a few times and not once for each burst, and neither new
//! rules nor withdrawals wait behind the others.

use std::sync::Arc;
use std::time::Duration;

use prefix_core::mitigation::Status;
use prefix_engine::PanicRequest;
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore, ScriptedClock};
use tokio::time::Instant;

use crate::lab::{Config, Lab, Reach, alice, ban, beginning, detector, instance, unban};

const RULES: usize = 3_000;

/// Quotas for all of them.
pub(crate) const LARGE: &str = "
quotas: {max_active_per_customer: 10000, max_active_per_pop: 10000, max_active_global: 10000, max_new_per_minute: 10000, max_announcements_per_peer: 10000}
";

/// One of so many addresses.
pub(crate) fn victim(number: usize) -> String {
    format!("2001:db8:10::{number:x}")
}

/// A pop with many rules.
async fn crowd() -> Lab {
    let lab = Lab::with(LARGE).await;
    let victims: Vec<usize> = (1..=RULES).collect();
    for part in victims.chunks(1_000) {
        let reports = part.iter().map(|number| Ok(ban(&victim(*number), "udp_flood"))).collect();
        lab.engine.ingest_batch(reports, &detector()).await.unwrap();
    }
    lab.seconds(2).await;
    assert_eq!(lab.rules().len(), RULES);
    lab
}

#[tokio::test(start_paused = true)]
async fn a_panic_right_after_the_speakers_return_reads_its_table_a_few_times() {
    let lab = crowd().await;
    lab.speaker.disconnect("cable");
    lab.seconds(1).await;
    // a call takes as long as the table of a busy speaker
    lab.speaker.set_delay(Duration::from_millis(50));
    let reads = lab.speaker.reads();
    lab.speaker.connect();
    let request = PanicRequest { reason: "wrong rules".into(), pop: None, customer_id: None };
    let began = Instant::now();
    lab.engine.panic(request, &alice()).await.unwrap();
    while !lab.rules().is_empty() {
        lab.wait(Duration::from_millis(10)).await;
        assert!(began.elapsed() < Duration::from_secs(10), "{} rules are left", lab.rules().len());
    }
    let reads = lab.speaker.reads() - reads;
    assert!(reads <= 8, "the table was read {reads} times for {RULES} rules");
}

#[tokio::test(start_paused = true)]
async fn a_new_rule_does_not_wait_behind_thousands_that_end() {
    let lab = crowd().await;
    lab.speaker.set_delay(Duration::from_millis(50));
    let reports = (1..=RULES).map(|number| Ok(unban(&victim(number)))).collect();
    let caller = detector();
    let (_, answer) = tokio::join!(lab.engine.ingest_batch(reports, &caller), async {
        while lab.count(Status::Withdrawing) < RULES / 2 {
            lab.wait(Duration::from_millis(1)).await;
        }
        let began = Instant::now();
        let answer = lab.hear(ban("203.0.113.10", "udp_flood")).await;
        (answer, began.elapsed())
    });
    let (answer, took) = answer;
    assert_eq!(answer.mitigation_status, Some(Status::Active));
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert!(lab.count(Status::Withdrawing) > 0, "nothing was in its way");
}

#[tokio::test(start_paused = true)]
async fn rules_whose_answers_were_lost_are_read_back_together() {
    let lab = crowd().await;
    lab.speaker.set_call_timeout(Duration::from_secs(2));
    lab.speaker.stall();
    let reports = (1..=RULES).map(|number| Ok(unban(&victim(number)))).collect();
    lab.engine.ingest_batch(reports, &detector()).await.unwrap();
    lab.seconds(60).await;
    let reads = lab.speaker.reads();
    lab.speaker.wake();
    lab.seconds(30).await;
    assert_eq!((lab.rules().len(), lab.count(Status::Withdrawn)), (0, RULES));
    let reads = lab.speaker.reads() - reads;
    assert!(reads < RULES / 100, "the table was read {reads} times for {RULES} rules");
}

#[tokio::test(start_paused = true)]
async fn thousands_that_are_over_while_nobody_knows_who_leads_read_the_table_a_few_times() {
    let clock = Arc::new(ScriptedClock::following_tokio(beginning()));
    let store = Arc::new(MemoryStore::new());
    store.set_shared(true);
    store.set_clock(clock.clone());
    let speaker = Arc::new(MemoryAnnouncer::new());
    let lab = Lab::try_start(store, speaker, clock, Config::read(LARGE), None, instance(1)).await.unwrap();
    let victims: Vec<usize> = (1..=2_000).collect();
    for part in victims.chunks(1_000) {
        let reports = part.iter().map(|number| Ok(ban(&victim(*number), "udp_flood"))).collect();
        lab.engine.ingest_batch(reports, &detector()).await.unwrap();
    }
    lab.seconds(2).await;
    assert_eq!(lab.rules().len(), 2_000);
    lab.set_reach(Reach::Speaker);
    lab.seconds(10).await;
    lab.speaker.set_delay(Duration::from_millis(50));
    let reads = lab.speaker.reads();
    let began = Instant::now();
    while !lab.rules().is_empty() {
        lab.wait(Duration::from_millis(100)).await;
        assert!(began.elapsed() < Duration::from_mins(5), "{} rules are left", lab.rules().len());
    }
    let reads = lab.speaker.reads() - reads;
    assert!(reads <= 60, "the table was read {reads} times for 2000 rules");
}
