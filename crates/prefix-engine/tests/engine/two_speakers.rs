//! Two speakers of one pop: every own rule goes to each, and each fails, returns and leaves the configuration for itself.

use std::sync::Arc;
use std::time::Duration;

use prefix_core::announcer::{AfiSafi, Peer, RibPath, SessionState};
use prefix_core::flowspec::Action;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::ownership::Ownership;
use prefix_engine::{MitigationView, PanicRequest, Speaker};
use prefix_testkit::fakes::announcer::AnnounceFault;
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore, ScriptedClock};

use crate::lab::{Config, Lab, Words, alice, ban, beginning, describe, route, unban};

const UDP: &str = "dst 203.0.113.10/32 proto udp";
const POLICED: &str = "dst 203.0.113.10/32 proto udp: police 50000000 bit/s";

/// A step up after 30 s, with another action.
const TWO_STEPS: &str = "
playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 120}
      - {action: discard, ttl_seconds: 120, require_persistence_seconds: 30}
";

/// A daemon with two speakers.
struct Pair {
    lab: Lab,
    rs1: Arc<MemoryAnnouncer>,
    rs2: Arc<MemoryAnnouncer>,
}

impl Pair {
    async fn with(yaml: &str) -> Self {
        let (store, rs1, rs2) = (Arc::default(), Arc::default(), Arc::default());
        let clock = Arc::new(ScriptedClock::following_tokio(beginning()));
        Self::around(&store, &rs1, &rs2, &clock, yaml).await
    }

    async fn around(
        store: &Arc<MemoryStore>,
        rs1: &Arc<MemoryAnnouncer>,
        rs2: &Arc<MemoryAnnouncer>,
        clock: &Arc<ScriptedClock>,
        yaml: &str,
    ) -> Self {
        let lab = Lab::at_speakers(store, &[("rs1", rs1), ("rs2", rs2)], clock, Config::read(yaml)).await;
        Self { lab, rs1: rs1.clone(), rs2: rs2.clone() }
    }

    /// The daemon starts anew, with those of its speakers that are named here.
    async fn start_again_at(self, names: &[&str]) -> Lab {
        self.lab.kill();
        let known = [("rs1", &self.rs1), ("rs2", &self.rs2)];
        let speakers: Vec<_> = known.into_iter().filter(|(name, _)| names.contains(name)).collect();
        Lab::at_speakers(&self.lab.store, &speakers, &self.lab.clock, self.lab.config.clone()).await
    }

    async fn view(&self, id: prefix_core::id::MitigationId) -> MitigationView {
        self.lab.engine.mitigation(id).await.unwrap()
    }
}

/// Our rules at a speaker.
fn rules(speaker: &MemoryAnnouncer) -> Vec<String> {
    let mut rules: Vec<String> = speaker.own_paths().iter().map(describe).collect();
    rules.sort();
    rules
}

/// Who has it, as an answer shows it.
fn announced(row: &Mitigation) -> Vec<(&str, bool)> {
    row.speaker.parts.iter().map(|part| (part.name.as_str(), part.announced)).collect()
}

#[tokio::test(start_paused = true)]
async fn every_rule_goes_to_both_and_leaves_both() {
    let pair = Pair::with("").await;
    let id = pair.lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    pair.lab.settle().await;
    assert_eq!((rules(&pair.rs1), rules(&pair.rs2)), (vec![POLICED.to_owned()], vec![POLICED.to_owned()]));
    let row = pair.lab.row(id).await;
    assert_eq!((row.status, announced(&row)), (Status::Active, vec![("rs1", true), ("rs2", true)]));
    assert_eq!(row.speaker.parts, pair.view(id).await.mitigation.speaker.parts, "stored as it is shown");
    pair.lab.hear(unban("203.0.113.10")).await;
    pair.lab.settle().await;
    assert_eq!((rules(&pair.rs1).len(), rules(&pair.rs2).len()), (0, 0));
    let row = pair.lab.row(id).await;
    assert_eq!((row.status, announced(&row)), (Status::Withdrawn, vec![("rs1", false), ("rs2", false)]));
    assert_eq!(pair.lab.audited("confirm").len(), 1);
    assert_eq!(pair.lab.audited("withdraw_confirmed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_down_holds_up_no_announcement_and_gets_everything_when_it_returns() {
    let pair = Pair::with("").await;
    pair.rs2.disconnect("it was killed");
    pair.lab.settle().await;
    let began = pair.lab.now();
    let id = pair.lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    assert!(pair.lab.now() - began < chrono::TimeDelta::milliseconds(100), "a request waits for the first");
    let view = pair.view(id).await;
    assert_eq!(view.mitigation.status, Status::Active);
    assert_eq!(announced(&view.mitigation), [("rs1", true), ("rs2", false)]);
    assert!(view.mitigation.speaker.announced, "by at least one");
    let error = view.mitigation.speaker.error.unwrap();
    assert!(error.starts_with("rs2: ") && error.contains("it was killed"), "{error}");
    let health = pair.lab.engine.health().await;
    assert!(matches!(&health.speaker, Speaker::Disconnected(why) if why.starts_with("rs2: ")), "{health:?}");
    assert!(health.degraded && health.problems.iter().any(|problem| problem.contains("rs2")));

    // only the one that comes back is read and filled again
    pair.rs1.forget_history();
    let reads = pair.rs1.reads();
    pair.rs2.connect();
    pair.lab.wait(Duration::from_millis(200)).await;
    assert_eq!(rules(&pair.rs2), [POLICED]);
    assert_eq!((pair.rs1.history().len(), pair.rs1.reads() - reads), (0, 0));
    let view = pair.view(id).await.mitigation;
    assert_eq!((announced(&view), view.speaker.error.clone()), (vec![("rs1", true), ("rs2", true)], None));
    let health = pair.lab.engine.health().await;
    assert!(!health.problems.iter().any(|problem| problem.contains("rs2")), "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_and_one_that_refuses_hold_up_nobody() {
    let pair = Pair::with("").await;
    pair.rs1.set_delay(Duration::from_secs(3));
    let began = pair.lab.now();
    let id = pair.lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    assert!(pair.lab.now() - began < chrono::TimeDelta::milliseconds(100));
    assert_eq!(pair.lab.status(id).await, Status::Active);
    assert_eq!((rules(&pair.rs1).len(), rules(&pair.rs2).len()), (0, 1));
    pair.lab.seconds(4).await;
    assert_eq!(rules(&pair.rs1), [POLICED]);
    pair.rs1.set_delay(Duration::ZERO);

    pair.rs2.fail_announces(3, AnnounceFault::Refused);
    let other = pair.lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    let view = pair.view(other).await.mitigation;
    assert_eq!((view.status, announced(&view)), (Status::Active, vec![("rs1", true), ("rs2", false)]));
    pair.lab.seconds(5).await;
    assert_eq!(announced(&pair.view(other).await.mitigation), [("rs1", true), ("rs2", true)]);
}

#[tokio::test(start_paused = true)]
async fn a_rule_is_over_only_when_every_speaker_has_said_so() {
    let pair = Pair::with("").await;
    let id = pair.lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    pair.lab.settle().await;
    pair.rs2.disconnect("it was killed");
    pair.lab.hear(unban("203.0.113.10")).await;
    pair.lab.settle().await;
    let view = pair.view(id).await.mitigation;
    assert_eq!((view.status, announced(&view)), (Status::Withdrawing, vec![("rs1", false), ("rs2", true)]));
    assert!(view.speaker.error.unwrap().starts_with("rs2: "));
    pair.lab.seconds(40).await;
    assert_eq!(pair.lab.status(id).await, Status::Withdrawing);
    let health = pair.lab.engine.health().await;
    assert_eq!(health.withdraw_stuck, 1);
    let alerts = pair.lab.engine.newest_alerts();
    assert!(alerts.iter().any(|alert| alert.message.contains("rs2: ")), "{alerts:?}");
    // it is not waited for by the quotas: the other one has room
    assert!(!pair.lab.row(id).await.counts());
    pair.rs1.forget_history();
    pair.rs2.connect();
    pair.lab.seconds(1).await;
    assert_eq!((pair.lab.status(id).await, rules(&pair.rs2).len()), (Status::Withdrawn, 0));
    assert_eq!(pair.rs1.history().len(), 0, "rs1 had said so already");
}

#[tokio::test(start_paused = true)]
async fn a_speaker_that_leaves_the_configuration_is_waited_for_no_longer() {
    let pair = Pair::with("").await;
    let over = pair.lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    pair.lab.settle().await;
    pair.rs2.disconnect("it never comes back");
    let lives = pair.lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    pair.lab.hear(unban("203.0.113.10")).await;
    pair.lab.settle().await;
    let (rs2, store) = (pair.rs2.clone(), pair.lab.store.clone());
    let lab = pair.start_again_at(&["rs1"]).await;
    lab.seconds(1).await;
    assert_eq!(
        (lab.status(over).await, lab.row(over).await.end_reason),
        (Status::Withdrawn, Some(EndReason::DetectorUnban))
    );
    let view = lab.engine.mitigation(lives).await.unwrap().mitigation;
    assert_eq!((view.status, view.speaker.parts.len(), view.speaker.error), (Status::Active, 0, None));
    assert!(!lab.engine.health().await.problems.iter().any(|problem| problem.contains("speaker")));

    // and a new one takes its place
    lab.kill();
    rs2.restart();
    rs2.connect();
    let (clock, config) = (lab.clock.clone(), lab.config.clone());
    let pair = [("rs1", &lab.speaker), ("rs3", &rs2)];
    let lab = Lab::at_speakers(&store, &pair, &clock, config).await;
    lab.seconds(1).await;
    assert_eq!(rules(&rs2).len(), 1);
    let view = lab.engine.mitigation(lives).await.unwrap().mitigation;
    assert_eq!(announced(&view), [("rs1", true), ("rs3", true)]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_of_a_removal_waits_for_the_one_that_is_away() {
    let pair = Pair::with("").await;
    let id = pair.lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    pair.lab.settle().await;
    pair.rs2.disconnect("it was killed");
    pair.lab.hear(unban("203.0.113.10")).await;
    pair.lab.settle().await;
    let rs2 = pair.rs2.clone();
    let lab = pair.start_again_at(&["rs1", "rs2"]).await;
    lab.seconds(40).await;
    let view = lab.engine.mitigation(id).await.unwrap().mitigation;
    assert_eq!((view.status, announced(&view)), (Status::Withdrawing, vec![("rs1", false), ("rs2", true)]));
    rs2.connect();
    lab.seconds(1).await;
    assert_eq!((lab.status(id).await, rules(&rs2).len()), (Status::Withdrawn, 0));
}

#[tokio::test(start_paused = true)]
async fn a_step_up_counts_once_both_have_it() {
    let pair = Pair::with(TWO_STEPS).await;
    let id = pair.lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    pair.lab.settle().await;
    pair.rs2.disconnect("it was killed");
    pair.lab.seconds(20).await;
    pair.lab.hear(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    pair.lab.seconds(12).await;
    let discarded = "dst 203.0.113.10/32 proto udp: discard";
    assert_eq!((rules(&pair.rs1), rules(&pair.rs2)), (vec![discarded.to_owned()], vec![POLICED.to_owned()]));
    let view = pair.view(id).await.mitigation;
    assert_eq!((view.status, view.progress.step), (Status::Active, 1));
    assert_eq!(view.speaker.error.as_deref(), Some("stale"));
    pair.rs2.connect();
    pair.lab.seconds(1).await;
    assert_eq!(rules(&pair.rs2), [discarded]);
    let view = pair.view(id).await.mitigation;
    assert_eq!((view.status, view.speaker.error), (Status::Escalated, None));
}

#[tokio::test(start_paused = true)]
async fn not_after_times_are_renewed_at_the_one_that_lives() {
    let pair = Pair::with("").await;
    let id = pair.lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    pair.lab.settle().await;
    pair.rs2.disconnect("it was killed");
    for _ in 0..10 {
        pair.lab.seconds(45).await;
        pair.lab.hear(ban("203.0.113.10", "udp_flood")).await;
        let left = pair.lab.not_after(UDP) - pair.lab.now();
        assert!(left > chrono::TimeDelta::seconds(14), "{left}");
    }
    assert_eq!(pair.lab.status(id).await, Status::Active);
    pair.rs2.connect();
    pair.lab.seconds(1).await;
    let Ownership::Own { not_after: Some(at), .. } = pair.rs2.local(&route(UDP)).unwrap().ownership else {
        panic!()
    };
    assert!(at.time() > pair.lab.now());
}

#[tokio::test(start_paused = true)]
async fn drift_and_rules_of_others_are_found_at_each() {
    let pair = Pair::with("").await;
    let foreign = |flow: &str| RibPath {
        key: route(flow),
        action: Some(Action::Discard),
        ownership: Ownership::Foreign,
        local: true,
        attributes: "community 65000:1".into(),
    };
    pair.rs1.put(foreign("dst 192.0.2.1/32"));
    pair.rs2.put(foreign("dst 192.0.2.2/32"));
    pair.lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    pair.lab.settle().await;
    pair.rs2.remove(&route(UDP));
    pair.lab.seconds(1).await;
    assert_eq!(rules(&pair.rs2), [POLICED]);
    let drifts = pair.lab.audited("reconcile");
    assert_eq!((drifts.len(), &drifts[0].details["speaker"]), (1, &"rs2".into()));
    pair.lab.seconds(31).await;
    assert_eq!(pair.lab.engine.health().await.foreign_rules, 2);
    assert_eq!((pair.rs1.paths().len(), pair.rs2.paths().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_panic_clears_both_and_waits_for_the_one_that_is_away() {
    let pair = Pair::with("").await;
    let id = pair.lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    pair.lab.settle().await;
    pair.rs2.disconnect("it was killed");
    let request = PanicRequest { reason: "drill".into(), pop: None, customer_id: None };
    let panic = pair.lab.engine.panic(request, &alice()).await.unwrap();
    assert_eq!((panic.rules, panic.withdrawn, panic.withdrawing), (1, 0, 1));
    assert_eq!(rules(&pair.rs1).len(), 0);
    pair.rs2.connect();
    pair.lab.seconds(1).await;
    let row = pair.lab.row(id).await;
    assert_eq!(
        (row.status, row.end_reason, rules(&pair.rs2).len()),
        (Status::Withdrawn, Some(EndReason::Panic), 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_leaves_nothing_clears_both_and_one_that_is_away_keeps_nobody() {
    let pair = Pair::with("preserve_announcements: false").await;
    pair.lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    pair.lab.settle().await;
    pair.rs1.disconnect("it was killed");
    pair.lab.engine.shutdown().await;
    assert_eq!((rules(&pair.rs1).len(), rules(&pair.rs2).len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_starts_beside_a_hanging_speaker_announces_at_the_other_at_once() {
    let (store, rs1, rs2) = (Arc::default(), Arc::default(), Arc::<MemoryAnnouncer>::default());
    let clock = Arc::new(ScriptedClock::following_tokio(beginning()));
    rs2.stall();
    let pair = Pair::around(&store, &rs1, &rs2, &clock, "").await;
    let id = pair.lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    pair.lab.settle().await;
    assert_eq!((pair.lab.status(id).await, rules(&rs1)), (Status::Active, vec![POLICED.to_owned()]));
    rs2.wake();
    pair.lab.seconds(10).await;
    assert_eq!(rules(&rs2), [POLICED]);
}

#[tokio::test(start_paused = true)]
async fn peers_of_both_are_shown_each_with_its_speaker() {
    let pair = Pair::with("neighbors: [192.0.2.10, 192.0.2.11]").await;
    let peer = |state| Peer {
        address: "192.0.2.10".parse().unwrap(),
        asn: 64_501,
        state,
        uptime: None,
        families: vec![AfiSafi::Ipv4Flowspec],
    };
    pair.rs1.set_peers(vec![peer(SessionState::Established)]);
    pair.rs2.set_peers(vec![peer(SessionState::Active)]);
    let id = pair.lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    pair.lab.settle().await;
    let shown = pair.lab.engine.peers().await;
    let shown: Vec<_> = shown
        .iter()
        .map(|view| {
            (view.name.as_str(), view.speaker.as_ref().map(ToString::to_string), view.announced_rules)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("router-192.0.2.10", Some("rs1".to_owned()), 1),
            ("router-192.0.2.10", Some("rs2".to_owned()), 0),
            ("router-192.0.2.11", None, 0),
        ]
    );
    assert_eq!(pair.view(id).await.peers_established, 1);
}

#[tokio::test(start_paused = true)]
async fn host_rules_stay_until_both_speakers_have_the_carpet() {
    let config = "
carpet: [{match: {vector: udp_flood}, min_victims: 4, step: {rate_bps: 50000000, ttl_seconds: 120}}]
guardrails: {dst_prefix_minlen: 24}
";
    let pair = Pair::with(config).await;
    for last in 1..=4 {
        pair.lab.hear(ban(&format!("198.51.100.{last}"), "udp_flood")).await;
    }
    pair.rs2.disconnect("it was killed");
    pair.lab.seconds(20).await;
    assert_eq!((rules(&pair.rs1).len(), rules(&pair.rs2).len()), (5, 4), "the second one lacks the carpet");
    pair.rs2.connect();
    pair.lab.seconds(20).await;
    let carpet = ["dst 198.51.100.0/24 proto udp: police 50000000 bit/s"];
    assert_eq!(
        (rules(&pair.rs1), rules(&pair.rs2)),
        (carpet.map(str::to_owned).into(), carpet.map(str::to_owned).into())
    );
}
