//! Many random days: faults of speaker and storage, kills, clock jumps, operators, repeated and reordered events.
//!
//! What is checked holds for each of them: nothing acknowledged is lost, quotas are never exceeded, foreign rules stay,
//! and once all is well again the table is what is written, until every rule has left. A failure names its seed:
//! `SEED=n cargo test -p prefix-engine simulation`; `SEEDS=n` runs so many.

use std::collections::BTreeMap;
use std::time::Duration;

use prefix_core::Announcer;
use prefix_core::announcer::RibPath;
use prefix_core::event::Report;
use prefix_core::flowspec::Action;
use prefix_core::id::EventId;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::ownership::{MitigationTag, NotAfter, Ownership};
use prefix_core::safelist::SafelistEntry;
use prefix_core::store::{ChangeSet, ReadSet, Store};
use prefix_engine::EventOutcome;
use prefix_testkit::announcer_contract::own_rule;
use prefix_testkit::fakes::announcer::AnnounceFault;
use prefix_testkit::fakes::store::Fault;

use crate::lab::{Lab, Words, alice, at, ban, beginning, describe, detector, manual, police, route, unban};

const CONFIG: &str = "
playbooks:
  - name: floods
    match: {vector: [udp_flood, syn_flood]}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 60}
      - {action: discard, ttl_seconds: 90, require_persistence_seconds: 30, require_confidence_at_least: 0.8}
  - name: reflections
    match: {vector: dns_amplification}
    steps:
      - {action: police, rate_bps: 20000000, ttl_seconds: 60, fragments: police}
      - {action: rtbh, ttl_seconds: 60, require_persistence_seconds: 30, require_confidence_at_least: 0.5}
guardrails: {allow_rtbh: true, max_lifetime_seconds: 900}
quotas: {max_active_per_customer: 4, max_active_per_pop: 6, max_new_per_minute: 20}
timers: {quiet_period_after_withdraw_seconds: 40}
escalation: {step_down: true, max_escalated_duration_seconds: 120}
sources: {probe: {reports: edge, edge_hold_seconds: 300}}
";
const POP_QUOTA: usize = 6;
const CUSTOMER_QUOTA: usize = 4;
const FOREIGN: &str = "dst 192.0.2.1/32";

/// The generator `SplitMix64`: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

struct Day {
    lab: Lab,
    dice: Dice,
    acknowledged: Vec<EventId>,
    log: Vec<String>,
}

impl Day {
    fn report(&mut self) -> Report {
        let victims = [
            "203.0.113.10",
            "203.0.113.11",
            "203.0.113.12",
            "203.0.113.13",
            "203.0.113.14",
            "198.51.100.1",
            "198.51.100.2",
            "2001:db8:10::1",
        ];
        let victim = *self.dice.pick(&victims);
        let vector = *self.dice.pick(&["udp_flood", "syn_flood", "dns_amplification"]);
        let source = *self.dice.pick(&["flow", "probe", "other"]);
        let mut report = if self.dice.below(4) == 0 { unban(victim) } else { ban(victim, vector) };
        report = report.from(source).sure(*self.dice.pick(&[0.3, 0.9]));
        if self.dice.below(2) == 0 {
            let id = *self.dice.pick(&["e1", "e2"]);
            report = report.episode(id);
        }
        if self.dice.below(4) == 0 && report.vector.as_ref().is_some_and(|v| v.as_str() == "udp_flood") {
            report = report.ports(&[80, 443]);
        }
        report
    }

    fn acknowledge(&mut self, outcome: &EventOutcome) {
        match outcome {
            EventOutcome::Accepted(ingested) => self.acknowledged.push(ingested.event_id),
            EventOutcome::Refused(refused) => self.acknowledged.push(refused.event_id),
            EventOutcome::Invalid(item) => panic!("{item:?}"),
        }
    }

    /// Several reports at once, some of which may be under way when the next thing happens.
    async fn reports(&mut self) {
        let count = 1 + self.dice.below(4);
        let reports: Vec<Report> = (0..count).map(|_| self.report()).collect();
        self.log.extend(
            reports.iter().map(|r| format!("{:?} {} {} {:?}", r.action, r.source, r.victim_ip, r.vector)),
        );
        let caller = detector();
        let asks = reports.into_iter().map(|report| self.lab.engine.ingest(report, &caller));
        let limit = Duration::from_millis(*self.dice.pick(&[1, 50, 3_000]));
        // a client that gives up has no acknowledgement, whatever became of its event
        let asks = asks.map(|ask| tokio::time::timeout(limit, ask));
        let answers = futures::future::join_all(asks).await;
        for answer in answers.into_iter().flatten().flatten() {
            self.acknowledge(&answer.value);
        }
    }

    async fn operator(&mut self) {
        let living: Vec<Mitigation> =
            self.lab.store.all_mitigations().into_iter().filter(|row| !row.status.is_final()).collect();
        let limit = Duration::from_millis(*self.dice.pick(&[1, 3_000]));
        let choice = self.dice.below(4);
        let lab = &self.lab;
        let victim = *self.dice.pick(&["203.0.113.10", "203.0.113.15"]);
        let action = *self.dice.pick(&[Action::Discard, police(1_000_000)]);
        let prefix = *self.dice.pick(&["203.0.113.12/32", "203.0.113.14/31"]);
        let done = async {
            match choice {
                0 if !living.is_empty() => {
                    let row = &living[living.len() / 2];
                    drop(lab.engine.withdraw(row.mitigation_id, "enough", &alice()).await);
                    format!("withdraw {}", row.mitigation_id)
                }
                1 => {
                    drop(lab.engine.create(manual(victim, action), &alice()).await);
                    format!("create {victim}")
                }
                2 => {
                    let entry = SafelistEntry {
                        prefix: prefix.parse().unwrap(),
                        added_at: lab.now(),
                        added_by: "alice".into(),
                        reason: None,
                        expires_at: None,
                    };
                    drop(lab.engine.safelist_add(entry, &alice()).await);
                    format!("safelist {prefix}")
                }
                _ => {
                    drop(lab.engine.safelist_remove(prefix.parse().unwrap(), &alice()).await);
                    format!("unsafelist {prefix}")
                }
            }
        };
        let done = tokio::time::timeout(limit, done).await.unwrap_or_else(|_| "operator gave up".into());
        self.log.push(done);
    }

    fn trouble_the_speaker(&mut self) {
        let faults = [
            AnnounceFault::Refused,
            AnnounceFault::Unreachable,
            AnnounceFault::Lost,
            AnnounceFault::AnswerLost,
            AnnounceFault::Late,
        ];
        let (times, fault) = (usize::try_from(1 + self.dice.below(3)).unwrap(), *self.dice.pick(&faults));
        let speaker = &self.lab.speaker;
        let done = match self.dice.below(10) {
            0 => {
                speaker.fail_announces(times, fault);
                format!("{times} announces: {fault:?}")
            }
            1 => {
                speaker.fail_withdraws(times, fault);
                format!("{times} withdraws: {fault:?}")
            }
            2 => {
                speaker.fail_reads(times);
                format!("{times} reads fail")
            }
            3 => {
                speaker.let_late_changes_happen();
                "late changes happen".into()
            }
            4 => {
                speaker.disconnect("cable");
                "speaker down".into()
            }
            5 => {
                speaker.restart();
                speaker.put(foreign(FOREIGN));
                "speaker restarts".into()
            }
            6 => {
                speaker.stall();
                "speaker stalls".into()
            }
            7 => {
                let own = speaker.own_paths();
                if let Some(path) = own.first() {
                    speaker.put(RibPath {
                        action: Some(Action::Discard),
                        attributes: "drift".into(),
                        ..path.clone()
                    });
                }
                "an action drifts".into()
            }
            8 => {
                let own = speaker.own_paths();
                if let Some(path) = own.last() {
                    speaker.remove(&path.key);
                }
                "a path is taken away".into()
            }
            _ => {
                speaker.set_delay(Duration::from_millis(20));
                "speaker is slow".into()
            }
        };
        self.log.push(done);
    }

    fn soothe(&mut self) {
        let speaker = &self.lab.speaker;
        speaker.wake();
        speaker.connect();
        speaker.set_delay(Duration::ZERO);
        self.lab.store.set_down(false);
        self.lab.store.resume();
        self.log.push("all is well for now".into());
    }

    fn trouble_storage(&mut self) {
        let store = &self.lab.store;
        let done = match self.dice.below(4) {
            0 => {
                store.set_down(true);
                "storage down"
            }
            1 => {
                store.fail_next(1, Fault::AfterCommit);
                "an answer of storage is lost"
            }
            2 => {
                store.fail_next(1, Fault::BeforeCommit);
                "storage fails once"
            }
            _ => {
                store.pause();
                "storage hangs"
            }
        };
        self.log.push(done.into());
    }

    async fn wait(&mut self) {
        let milliseconds = *self.dice.pick(&[3, 40, 150, 700, 2_500, 11_000, 35_000]);
        self.log.push(format!("{milliseconds} ms"));
        self.lab.wait(Duration::from_millis(milliseconds)).await;
    }

    async fn kill(mut self) -> Self {
        self.lab.kill();
        // storage must answer for a daemon to start
        self.lab.store.set_down(false);
        self.lab.store.resume();
        let pause = *self.dice.pick(&[0, 2_000, 100_000]);
        self.lab.wait(Duration::from_millis(pause)).await;
        self.log.push(format!("killed, started after {pause} ms"));
        heal_storage(&self.lab).await;
        Self { lab: self.lab.start_again().await, ..self }
    }

    fn check_always(&self) {
        let rows = self.lab.store.all_mitigations();
        let counting: Vec<&Mitigation> = rows.iter().filter(|row| row.counts()).collect();
        assert!(counting.len() <= POP_QUOTA, "{} rules of the pop", counting.len());
        let mut customers = BTreeMap::new();
        for row in &counting {
            *customers.entry(&row.customer_id).or_insert(0) += 1;
        }
        assert!(customers.values().all(|count| *count <= CUSTOMER_QUOTA), "{customers:?}");
        let paths = self.lab.speaker.paths();
        assert!(paths.iter().any(|path| path.key == route(FOREIGN)), "the foreign rule is gone");
        let events = self.lab.store.all_events();
        for id in &self.acknowledged {
            assert!(events.iter().any(|event| event.event_id == *id), "event {id} is lost");
        }
    }

    /// After all trouble: the table is what is written, and nothing is under way.
    fn check_equal(&self) {
        let rows = self.lab.store.all_mitigations();
        let open: Vec<String> = rows
            .iter()
            .filter(|row| matches!(row.status, Status::Pending | Status::Withdrawing))
            .map(|row| format!("{} {} {:?}", row.mitigation_id, row.status, row.speaker))
            .collect();
        assert_eq!(open, [""; 0]);
        let mut written: Vec<_> = rows
            .iter()
            .filter(|row| row.lives())
            .map(|row| {
                let wire = row.action.extended_communities();
                (row.key().unwrap(), wire, MitigationTag::from(row.mitigation_id))
            })
            .collect();
        written.sort_by(|a, b| a.0.cmp(&b.0));
        let own = self.lab.speaker.own_paths();
        let table: Vec<_> = own
            .iter()
            .map(|path| {
                let Ownership::Own { not_after: Some(not_after), mitigation: Some(tag) } = path.ownership
                else {
                    panic!("{path:?}")
                };
                assert!(not_after >= NotAfter::at_or_after(self.lab.now()), "{} is overdue", describe(path));
                (path.key.clone(), path.action.unwrap().extended_communities(), tag)
            })
            .collect();
        assert_eq!(table, written);
    }
}

/// Faults that were told and have not happened yet happen now, to nobody.
async fn heal_storage(lab: &Lab) {
    let reads = ReadSet::new("fra1".parse().unwrap(), lab.now());
    for _ in 0..20 {
        drop(lab.store.transact(&reads, &mut |_| ChangeSet::default()).await);
    }
}

fn foreign(flow: &str) -> RibPath {
    RibPath {
        key: route(flow),
        action: Some(Action::Discard),
        ownership: Ownership::Foreign,
        local: true,
        attributes: "theirs".into(),
    }
}

async fn live(seed: u64, log: &std::sync::Mutex<Vec<String>>) {
    let lab = Lab::with(CONFIG).await;
    lab.speaker.put(foreign(FOREIGN));
    lab.speaker.set_call_timeout(Duration::from_secs(5));
    let mut orphan = own_rule("dst 198.51.100.77/32", Action::Discard, 77);
    orphan.tags.not_after = NotAfter::at_or_after(at(100_000));
    lab.speaker.announce(&[orphan]).await;
    let mut day = Day { lab, dice: Dice(seed), acknowledged: Vec::new(), log: Vec::new() };
    for _ in 0..60 {
        match day.dice.below(20) {
            0..=7 => day.reports().await,
            8 => day.operator().await,
            9 | 10 => day.trouble_the_speaker(),
            11 => day.trouble_storage(),
            12 | 13 => day.soothe(),
            14 => day = day.kill().await,
            15 if day.dice.below(3) == 0 => {
                let seconds = *day.dice.pick(&[-300_i64, -2, 2, 300]);
                let now = day.lab.now() + chrono::TimeDelta::seconds(seconds);
                day.lab.clock.set(now.max(beginning()));
                day.log.push(format!("the clock jumps by {seconds} s"));
            }
            _ => day.wait().await,
        }
        log.lock().unwrap().append(&mut day.log);
        day.check_always();
    }
    day.soothe();
    day.lab.speaker.heal();
    heal_storage(&day.lab).await;
    day.lab.speaker.let_late_changes_happen();
    // a whole pass of the reconciler and the longest wait for another try
    day.lab.seconds(45).await;
    log.lock().unwrap().push("the end of all trouble".into());
    day.check_always();
    day.check_equal();
    // longer than any rule may live
    day.lab.seconds(1_000).await;
    day.check_always();
    day.check_equal();
    assert_eq!(day.lab.rules(), [""; 0], "every rule leaves");
    assert_eq!(day.lab.store.all_mitigations().iter().filter(|row| !row.status.is_final()).count(), 0);
}

#[test]
fn whatever_happens_the_table_becomes_what_is_written() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SEEDS").unwrap_or(25)).collect(),
    };
    let mut failed = Vec::new();
    for seed in seeds {
        let log = std::sync::Mutex::new(Vec::new());
        let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(live(seed, &log));
        }));
        if lived.is_err() {
            let log = log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let last = log.iter().rev().take(25).rev().cloned().collect::<Vec<_>>().join("\n  ");
            failed.push(format!("seed {seed}:\n  {last}"));
        }
    }
    assert!(failed.is_empty(), "{} seeds failed; the first:\n{}", failed.len(), failed[0]);
}
