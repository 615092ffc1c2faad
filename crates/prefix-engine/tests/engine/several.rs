//! Several instances of a pop on one storage and one speaker: every one serves, one leads, and no rule notices when
//! another one takes over.

mod outages;
mod stops;

use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prefix_core::event::EventStatus;
use prefix_core::mitigation::Status;
use prefix_core::ports::Reads;
use prefix_engine::{EngineError, EventOutcome, PanicRequest};
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore, ScriptedClock};
use tokio::time::Instant;

use crate::lab::{
    Config, Deed, Lab, Observer, Reach, Words, alice, at, ban, beginning, detector, instance, unban, with_key,
};

const UDP: &str = "dst 203.0.113.10/32 proto udp";
const OTHER: &str = "dst 203.0.113.11/32 proto udp";

/// What the instances share.
struct Site {
    store: Arc<MemoryStore>,
    speaker: Arc<MemoryAnnouncer>,
    clock: Arc<ScriptedClock>,
}

/// One instance, and what it told the speaker.
struct Instance {
    lab: Lab,
    told: Arc<Mutex<Vec<String>>>,
}

impl Deref for Instance {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Instance {
    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    async fn verdict(&self) -> prefix_core::audit_chain::Verdict {
        self.engine.verify_audit(None, None, None).await.unwrap()
    }
}

impl Site {
    fn new() -> Self {
        let clock = Arc::new(ScriptedClock::following_tokio(beginning()));
        let store = Arc::new(MemoryStore::new());
        store.set_shared(true);
        store.set_clock(clock.clone());
        Self { store, speaker: Arc::new(MemoryAnnouncer::new()), clock }
    }

    async fn start(&self, number: u128) -> Instance {
        self.start_with(number, "").await.unwrap()
    }

    async fn start_with(&self, number: u128, yaml: &str) -> Result<Instance, EngineError> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let notes = told.clone();
        let observer: Observer = Arc::new(move |deed| {
            if let Deed::Sent(change, _) = deed {
                notes.lock().unwrap().push(change.to_string());
            }
        });
        let (store, speaker, clock) = (self.store.clone(), self.speaker.clone(), self.clock.clone());
        let config = Config::read(yaml);
        let lab = Lab::try_start(store, speaker, clock, config, Some(observer), instance(number)).await?;
        Ok(Instance { lab, told })
    }
}

#[tokio::test(start_paused = true)]
async fn every_instance_accepts_events_and_one_announces_them() {
    let site = Site::new();
    let instances = [site.start(1).await, site.start(2).await, site.start(3).await];
    for (number, instance) in instances.iter().enumerate() {
        let heard = instance.hear(ban(&format!("203.0.113.{}", 10 + number), "udp_flood")).await;
        assert_eq!(heard.mitigation_status, Some(Status::Active), "the speaker's answer was waited for");
        let shown = instance.engine.mitigation(heard.mitigation_id.unwrap()).await.unwrap();
        assert!(shown.mitigation.speaker.announced, "a follower shows what the leader has written");
    }
    let told: Vec<usize> = instances.iter().map(|instance| instance.told().len()).collect();
    assert_eq!((told, instances[0].rules().len()), (vec![3, 0, 0], 3));
}

#[tokio::test(start_paused = true)]
async fn what_a_follower_stores_reaches_the_speaker_within_a_quarter_of_a_second() {
    let site = Site::new();
    let (_leader, follower) = (site.start(1).await, site.start(2).await);
    for number in 0..8 {
        follower.wait(Duration::from_millis(37)).await;
        site.speaker.forget_history();
        let began = Instant::now();
        follower.hear(ban(&format!("198.51.100.{}", 10 + number), "udp_flood")).await;
        let took = site.speaker.history()[0].at - began;
        assert!(took <= Duration::from_millis(250), "{took:?}");
        follower.hear(unban(&format!("198.51.100.{}", 10 + number))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_at_a_follower_waits_for_the_leader() {
    let site = Site::new();
    let (leader, follower) = (site.start(1).await, site.start(2).await);
    let id = leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
    follower.seconds(1).await;
    assert_eq!(follower.withdraw(id).await.status, Status::Withdrawn);
    assert_eq!((leader.told().len(), follower.told().len(), leader.rules().len()), (2, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_replaced_within_five_seconds_and_its_rules_do_not_notice() {
    let site = Site::new();
    let (leader, follower) = (site.start(1).await, site.start(2).await);
    let id = leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
    leader.seconds(2).await;
    leader.kill();
    let killed = Instant::now();
    let next = follower.mitigate(ban("203.0.113.11", "udp_flood")).await;
    while follower.status(next).await != Status::Active {
        follower.wait(Duration::from_millis(10)).await;
    }
    assert!(killed.elapsed() <= Duration::from_secs(5), "{:?}", killed.elapsed());
    follower.seconds(60).await;
    assert_eq!(follower.history(UDP).len(), 1, "{:?}", follower.history(UDP));
    assert_eq!(follower.status(id).await, Status::Active);
    follower.seconds(65).await;
    let withdrawn = follower.history(UDP).into_iter().filter(|call| call.change.is_withdraw()).count();
    assert_eq!((withdrawn, follower.status(id).await, follower.rules().len()), (1, Status::Expired, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_leader_left_half_done_is_done_by_the_next() {
    let site = Site::new();
    let (leader, follower) = (site.start(1).await, site.start(2).await);
    let leaving = leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
    site.speaker.disconnect("cable");
    follower.hear(unban("203.0.113.10")).await;
    let coming = follower.mitigate(ban("203.0.113.11", "udp_flood")).await;
    leader.kill();
    follower.seconds(6).await;
    assert_eq!(
        (follower.status(leaving).await, follower.status(coming).await),
        (Status::Withdrawing, Status::Pending)
    );
    site.speaker.connect();
    follower.seconds(1).await;
    assert_eq!(
        (follower.status(leaving).await, follower.status(coming).await),
        (Status::Withdrawn, Status::Active)
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_wakes_late_sends_nothing() {
    let site = Site::new();
    let (sleeper, other) = (site.start(1).await, site.start(2).await);
    let kept = sleeper.mitigate(ban("203.0.113.10", "udp_flood")).await;
    sleeper.mitigate(ban("203.0.113.11", "udp_flood")).await;
    sleeper.seconds(5).await;
    sleeper.set_reach(Reach::Nothing);
    other.seconds(20).await;
    // the rule lives on beyond what the sleeper knows, and the other one is over
    other.hear(ban("203.0.113.10", "udp_flood")).await;
    other.hear(unban("203.0.113.11")).await;
    other.seconds(85).await;
    let told = sleeper.told().len();
    let table = other.rules();
    sleeper.set_reach(Reach::Everything);
    sleeper.seconds(15).await;
    assert_eq!(sleeper.told().len(), told, "{:?}", sleeper.told());
    assert_eq!((other.rules(), table.len()), (table, 1));
    assert_eq!(other.status(kept).await, Status::Active);
    // from then on it serves like any other
    let heard = sleeper.hear(ban("203.0.113.12", "udp_flood")).await;
    assert_eq!((heard.mitigation_status, sleeper.told().len()), (Some(Status::Active), told));
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_deposed_leader_are_stored_and_its_own_work_is_the_successors() {
    let site = Site::new();
    let (deposed, successor) = (site.start(1).await, site.start(2).await);
    let id = deposed.mitigate(ban("203.0.113.10", "udp_flood")).await;
    deposed.seconds(116).await;
    deposed.set_reach(Reach::Nothing);
    // its deadline comes while it sleeps, and events are on their way to it
    let asked = async {
        let reports = (20..30).map(|host| ban(&format!("198.51.100.{host}"), "udp_flood"));
        let caller = detector();
        let asks = reports.map(|report| deposed.engine.ingest(report, &caller));
        futures::future::join_all(asks).await
    };
    let wakes = async {
        successor.seconds(12).await;
        deposed.set_reach(Reach::Everything);
    };
    let (outcomes, ()) = tokio::join!(asked, wakes);
    let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!((outcomes.len(), stored), (10, 10), "{outcomes:?}");
    successor.seconds(2).await;
    assert_eq!(successor.status(id).await, Status::Expired);
    let withdrawn = successor.history(UDP).into_iter().filter(|call| call.change.is_withdraw()).count();
    assert_eq!((withdrawn, site.store.all_events().len()), (1, 11));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_does_not_fit_its_leader_does_not_start_and_says_why() {
    let site = Site::new();
    let leader = site.start(1).await;
    for (yaml, word) in [("dry_run: true", "mode"), ("speaker: 192.0.2.1:50051", "bgp.gobgp_grpc")] {
        match site.start_with(2, yaml).await.map(|_| ()) {
            Err(EngineError::NotAllowed(why)) => assert!(why.contains(word), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    leader.seconds(1).await;
    leader.engine.shutdown().await;
    site.start_with(2, "dry_run: true").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_differs_between_instances_is_a_problem_that_is_named() {
    let site = Site::new();
    let leader = site.start(1).await;
    let _other = site.start_with(2, "configuration: beef").await.unwrap();
    leader.seconds(2).await;
    let problems = leader.engine.health().await.problems;
    assert!(problems.iter().any(|problem| problem.contains("another configuration")), "{problems:?}");
    site.store.set_clock(Arc::new(ScriptedClock::following_tokio(at(90))));
    leader.seconds(15).await;
    let problems = leader.engine.health().await.problems;
    assert!(problems.iter().any(|problem| problem.contains("behind the database")), "{problems:?}");
    assert!(
        problems.iter().any(|problem| problem.contains("the clock of the database was set by +")),
        "{problems:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn pops_never_touch_each_others_rules() {
    let (here, elsewhere) = (Site::new(), Site::new());
    let there = Site { store: here.store.clone(), ..elsewhere };
    let fra = here.start(1).await;
    let ams = there.start_with(2, "pop: ams1").await.unwrap();
    let id = fra.mitigate(ban("203.0.113.10", "udp_flood")).await;
    ams.mitigate(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!((fra.told().len(), ams.told().len()), (1, 1), "both lead");
    // a mitigation of another pop stays withdrawing until the instance there has confirmed
    assert_eq!(ams.withdraw(id).await.status, Status::Withdrawing);
    ams.seconds(1).await;
    assert_eq!(ams.status(id).await, Status::Withdrawn);
    assert_eq!((fra.rules().len(), ams.rules().len()), (0, 1));
    fra.kill();
    ams.seconds(125).await;
    assert_eq!((ams.rules().len(), ams.told().len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn quotas_hold_over_all_instances() {
    let site = Site::new();
    let quota = "quotas: {max_active_per_pop: 3, max_active_per_customer: 100}";
    let instances = [site.start_with(1, quota).await.unwrap(), site.start_with(2, quota).await.unwrap()];
    let caller = detector();
    let asks = (0..20).map(|number| {
        let report = ban(&format!("203.0.113.{}", 10 + number), "udp_flood");
        instances[number % 2].engine.ingest(report, &caller)
    });
    let outcomes = futures::future::join_all(asks).await;
    assert!(outcomes.iter().all(Result::is_ok));
    instances[0].seconds(2).await;
    assert_eq!((instances[0].count(Status::Active), instances[0].count(Status::Queued)), (3, 17));
    // what waits is let in by the leader, wherever it came from
    instances[1].hear(unban("203.0.113.10")).await;
    instances[1].seconds(2).await;
    assert_eq!(instances[0].count(Status::Active), 3);
    assert_eq!(instances[1].told().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_is_answered_again_by_any_instance() {
    let site = Site::new();
    let (leader, follower) = (site.start(1).await, site.start(2).await);
    let ask = || ban("203.0.113.10", "udp_flood").episode("e1");
    let key = with_key(detector(), "once", 7);
    let first = follower.engine.ingest(ask(), &key).await.unwrap();
    let again = leader.engine.ingest(ask(), &key).await.unwrap();
    assert_eq!((first.replayed, again.replayed), (false, true));
    let id = |outcome: &EventOutcome| match outcome {
        EventOutcome::Accepted(ingested) => ingested.event_id,
        other => panic!("{other:?}"),
    };
    assert_eq!(id(&first.value), id(&again.value));
    assert_eq!(site.store.all_events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_episode_reported_to_two_instances_is_one_mitigation() {
    let site = Site::new();
    let (leader, follower) = (site.start(1).await, site.start(2).await);
    let report = || ban("203.0.113.10", "udp_flood").episode("e1");
    let caller = detector();
    let (one, two) =
        tokio::join!(leader.engine.ingest(report(), &caller), follower.engine.ingest(report(), &caller));
    let status = |outcome: EventOutcome| match outcome {
        EventOutcome::Accepted(ingested) => ingested.status,
        other => panic!("{other:?}"),
    };
    let mut statuses = [status(one.unwrap().value), status(two.unwrap().value)];
    statuses.sort_by_key(|status| *status != EventStatus::Accepted);
    assert_eq!(statuses, [EventStatus::Accepted, EventStatus::Extended]);
    assert_eq!(leader.rules().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_audit_chain_is_unbroken_over_changes_of_the_leader() {
    let site = Site::new();
    let mut leader = site.start(1).await;
    let mut noted = None;
    for number in 2..6 {
        let next = site.start(number).await;
        next.mitigate(ban(&format!("203.0.113.{number}"), "udp_flood")).await;
        if number % 2 == 0 {
            leader.kill();
        } else {
            leader.engine.shutdown().await;
        }
        next.seconds(7).await;
        next.engine
            .withdraw(next.mitigate(ban("198.51.100.1", "udp_flood")).await, "over", &alice())
            .await
            .unwrap();
        next.seconds(1).await;
        noted = noted.or(next.verdict().await.head_hash);
        leader = next;
    }
    let verdict = leader.verdict().await;
    let entries = site.store.all_audit();
    assert_eq!((verdict.broken, verdict.checked), (None, entries.len() as u64));
    assert!(entries.iter().all(|entry| entry.seal.is_some()));
    let expected = leader.engine.verify_audit(None, None, noted).await.unwrap();
    assert_eq!(expected.broken, None);
    // and a part of it, of which the rest is not looked at
    let part = leader.engine.verify_audit(Some(3), Some(6), None).await.unwrap();
    assert_eq!((part.first_seq, part.last_seq, part.checked, part.broken), (Some(3), Some(6), 4, None));
    site.store.tamper_audit(|entries| entries[4].1.action = "nothing".into());
    assert!(leader.verdict().await.broken.is_some_and(|broken| broken.seq == 5 || broken.seq > 0));
    assert_eq!(leader.engine.verify_audit(Some(1), Some(1), None).await.unwrap().broken, None);
}

#[tokio::test(start_paused = true)]
async fn a_follower_starts_and_answers_while_a_leader_hangs_on_its_speaker() {
    let site = Site::new();
    let leader = site.start(1).await;
    site.speaker.stall();
    leader.engine.ingest(ban("203.0.113.10", "udp_flood"), &detector()).await.unwrap();
    let began = Instant::now();
    let follower = site.start(2).await;
    let heard = follower.hear(ban("203.0.113.11", "udp_flood")).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(heard.mitigation_status, Some(Status::Pending));
    site.speaker.wake();
    follower.seconds(2).await;
    assert_eq!(
        site.store.mitigation(heard.mitigation_id.unwrap()).await.unwrap().unwrap().status,
        Status::Active
    );
    assert_eq!(follower.told().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_reported_right_after_a_thaw_stays_whichever_instance_heard_of_the_thaw_first() {
    let site = Site::new();
    let (leader, follower) = (site.start(1).await, site.start(2).await);
    for phase in 0..12 {
        let request = PanicRequest { reason: "a wrong rule".into(), pop: None, customer_id: None };
        leader.engine.panic(request, &alice()).await.unwrap();
        leader.wait(Duration::from_millis(1000 + phase * 37)).await;
        follower.engine.thaw("it was another rule", None, &alice()).await.unwrap();
        let id = follower.hear(ban("203.0.113.10", "udp_flood")).await.mitigation_id.unwrap();
        leader.seconds(2).await;
        let row = leader.row(id).await;
        assert_eq!((row.status, row.end_reason), (Status::Active, None), "phase {phase}");
        assert_eq!(leader.rules().len(), 1, "phase {phase}");
    }
}

/// A fail-over that lost the last changes: what had ended lives again in the database, and what had begun is gone.
#[tokio::test(start_paused = true)]
async fn a_database_that_went_back_in_time_is_read_anew_and_told() {
    let site = Site::new();
    let leader = site.start(1).await;
    let first = leader.hear(ban("203.0.113.10", "udp_flood")).await;
    leader.seconds(2).await;
    let backup = site.store.backup();
    leader.hear(unban("203.0.113.10")).await;
    leader.hear(ban("203.0.113.11", "udp_flood")).await;
    leader.seconds(2).await;
    assert_eq!(leader.rules().len(), 1);
    site.store.go_back(&backup);
    leader.seconds(5).await;
    let rules = leader.rules();
    assert!(rules.len() == 1 && rules[0].starts_with(UDP), "the table is what is written: {rules:?}");
    assert_eq!(leader.row(first.mitigation_id.unwrap()).await.status, Status::Active);
    let problems = leader.engine.health().await.problems;
    assert!(problems.iter().any(|problem| problem.contains("went back in time")), "{problems:?}");
    // a repetition extends a rule that is there
    let again = leader.hear(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!((again.status, again.mitigation_id), (EventStatus::Extended, first.mitigation_id));
}

#[tokio::test(start_paused = true)]
async fn a_carpet_is_one_for_all_instances_and_outlives_its_leader() {
    let config = "
carpet: [{match: {vector: udp_flood}, min_victims: 4, step: {rate_bps: 50000000, ttl_seconds: 120}}]
guardrails: {dst_prefix_minlen: 24}
timers: {flap_hold_seconds: 0}
";
    let site = Site::new();
    let (leader, follower) =
        (site.start_with(1, config).await.unwrap(), site.start_with(2, config).await.unwrap());
    for last in 1..=4 {
        follower.hear(ban(&format!("198.51.100.{last}"), "udp_flood")).await;
    }
    leader.seconds(4).await;
    let carpet = "dst 198.51.100.0/24 proto udp";
    assert_eq!(leader.rules(), [format!("{carpet}: police 50000000 bit/s")]);
    let joined = follower.hear(ban("198.51.100.77", "udp_flood")).await;
    assert_eq!(joined.status, EventStatus::Extended);
    leader.kill();
    follower.seconds(30).await;
    for last in [1, 2, 3, 4, 77] {
        let answer = follower.hear(unban(&format!("198.51.100.{last}"))).await;
        assert_eq!(answer.mitigation_id, joined.mitigation_id);
    }
    follower.seconds(2).await;
    assert_eq!(follower.rules().len(), 0);
    assert_eq!(follower.status(joined.mitigation_id.unwrap()).await, Status::Withdrawn);
}
