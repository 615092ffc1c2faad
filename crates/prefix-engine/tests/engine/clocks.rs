//! Wrong clocks, and clocks that are set: what is decided is decided by the time of storage, and no rule ends early or late
//! because somebody has set a clock.

use std::sync::Arc;

use chrono::TimeDelta;
use prefix_core::Clock;
use prefix_core::mitigation::Status;
use prefix_engine::EngineError;
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore, ScriptedClock};

use crate::lab::{Config, Lab, Reach, ban, beginning, detector, instance, unban};

const UDP: &str = "dst 203.0.113.10/32 proto udp";

/// A daemon alone: its storage has the clock of its machine. Both are set.
fn set(lab: &Lab, by: TimeDelta) {
    lab.clock.set(lab.clock.now() + by);
}

async fn problems(lab: &Lab) -> Vec<String> {
    lab.engine.health().await.problems
}

/// Instances on machines of their own beside one database.
struct Site {
    store: Arc<MemoryStore>,
    speaker: Arc<MemoryAnnouncer>,
    database: Arc<ScriptedClock>,
}

impl Site {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let database = Arc::new(ScriptedClock::following_tokio(beginning()));
        store.set_shared(true);
        store.set_clock(database.clone());
        Self { store, speaker: Arc::default(), database }
    }

    /// An instance whose clock is so many seconds ahead of the database's.
    async fn start(&self, number: u128, ahead: i64) -> Lab {
        let clock = ScriptedClock::following_tokio(self.database.now() + TimeDelta::seconds(ahead));
        let (store, speaker) = (self.store.clone(), self.speaker.clone());
        let config = Config::read("");
        Lab::try_start(store, speaker, Arc::new(clock), config, None, instance(number)).await.unwrap()
    }

    fn set_database(&self, by: TimeDelta) {
        self.database.set(self.database.now() + by);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_ends_no_rule_and_lengthens_none() {
    let steps =
        [TimeDelta::minutes(-10), TimeDelta::minutes(10), TimeDelta::hours(-24), TimeDelta::days(400)];
    for step in steps {
        let lab = Lab::usual().await;
        let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
        set(&lab, step);
        lab.seconds(5).await;
        assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Active, 1), "{step}");
        assert!(problems(&lab).await.iter().any(|problem| problem.contains("was set by")), "{step}");
        lab.seconds(20).await;
        let (row, now) = (lab.row(id).await, lab.engine.now());
        assert_eq!(now, lab.clock.now(), "{step}: the new time is taken over");
        let left = (row.expires_at - now).num_seconds();
        assert!((93..=96).contains(&left), "{step}: {left} s are left");
        let not_after = lab.not_after(UDP);
        assert!(
            not_after > now && not_after <= row.expires_at + TimeDelta::seconds(1),
            "{step}: {not_after}"
        );
        assert_eq!(lab.audited("clock_step").len(), 2, "{step}: the step, and what became of the row");
        assert!(!lab.was_withdrawn(UDP), "{step}");
        lab.seconds(93).await;
        assert_eq!(lab.status(id).await, Status::Active, "{step}");
        lab.seconds(3).await;
        assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Expired, 0), "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_leaves_a_rule_not_a_second_longer() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.seconds(115).await;
    set(&lab, TimeDelta::hours(-24));
    lab.seconds(4).await;
    assert_eq!(lab.status(id).await, Status::Active);
    lab.seconds(2).await;
    assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Expired, 0));
}

#[tokio::test(start_paused = true)]
async fn instances_ahead_and_behind_decide_by_the_time_of_the_database() {
    let site = Site::new();
    let (leader, follower) = (site.start(1, 200).await, site.start(2, -200).await);
    let by_leader = leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let by_follower = follower.mitigate(ban("203.0.113.11", "udp_flood")).await;
    leader.seconds(117).await;
    for id in [by_leader, by_follower] {
        assert_eq!(leader.status(id).await, Status::Active);
    }
    assert!(leader.engine.now() - site.database.now() < TimeDelta::milliseconds(250));
    assert_eq!(follower.engine.now(), leader.engine.now());
    assert!(problems(&leader).await.iter().any(|problem| problem.contains("200.0 s ahead of the database")));
    assert!(problems(&follower).await.iter().any(|problem| problem.contains("200.0 s behind the database")));
    leader.seconds(5).await;
    for id in [by_leader, by_follower] {
        assert_eq!(leader.status(id).await, Status::Expired);
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_clock_is_wrong_gives_way_to_an_instance_whose_clock_is_right() {
    let site = Site::new();
    let wrong = site.start(1, 200).await;
    let id = wrong.mitigate(ban("203.0.113.10", "udp_flood")).await;
    wrong.seconds(10).await;
    assert!(wrong.engine.health().await.leader.is_leader, "nobody else can");
    let also_wrong = site.start(2, -60).await;
    wrong.seconds(10).await;
    assert!(wrong.engine.health().await.leader.is_leader, "nobody else is better");
    let right = site.start(3, 1).await;
    right.seconds(5).await;
    assert!(right.engine.health().await.leader.is_leader);
    assert!(
        !wrong.engine.health().await.leader.is_leader && !also_wrong.engine.health().await.leader.is_leader
    );
    right.seconds(60).await;
    assert!(right.engine.health().await.leader.is_leader, "and it stays so");
    assert_eq!((right.status(id).await, right.history(UDP).len()), (Status::Active, 1));
}

#[tokio::test(start_paused = true)]
async fn a_clock_of_the_database_that_is_set_changes_neither_leader_nor_deadlines() {
    for step in [TimeDelta::hours(1), TimeDelta::hours(-1), TimeDelta::days(400)] {
        let site = Site::new();
        let (leader, follower) = (site.start(1, 0).await, site.start(2, 0).await);
        let first = leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
        leader.seconds(1).await;
        site.set_database(step);
        leader.seconds(5).await;
        let second = follower.mitigate(ban("203.0.113.11", "udp_flood")).await;
        leader.seconds(15).await;
        assert!(leader.engine.health().await.leader.is_leader, "{step}");
        let third = follower.mitigate(ban("203.0.113.12", "udp_flood")).await;
        leader.seconds(1).await;
        assert_eq!(leader.rules().len(), 3, "{step}");
        for (id, expected) in [(first, 98), (second, 104), (third, 119)] {
            let left = (leader.row(id).await.expires_at - site.database.now()).num_seconds();
            assert!((expected - 2..=expected + 1).contains(&left), "{step}: {left} s instead of {expected}");
        }
        leader.seconds(96).await;
        assert_eq!(leader.status(first).await, Status::Active, "{step}");
        leader.seconds(3).await;
        assert_eq!(leader.status(first).await, Status::Expired, "{step}");
        leader.seconds(21).await;
        assert_eq!((leader.status(third).await, leader.rules().len()), (Status::Expired, 0), "{step}");
        assert!(!follower.engine.health().await.leader.is_leader, "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_dies_while_the_clock_of_the_database_is_set_is_replaced_in_time() {
    for step in [TimeDelta::hours(1), TimeDelta::hours(-1)] {
        let site = Site::new();
        let (leader, follower) = (site.start(1, 0).await, site.start(2, 0).await);
        let id = leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
        leader.seconds(4).await;
        // by the database's clock the lease of the dead is over at once, or an hour later
        site.set_database(step);
        leader.kill();
        follower.seconds(3).await;
        assert!(!follower.engine.health().await.leader.is_leader, "{step}: it has not waited for a term");
        follower.seconds(2).await;
        assert!(follower.engine.health().await.leader.is_leader, "{step}");
        follower.seconds(15).await;
        let left = (follower.row(id).await.expires_at - site.database.now()).num_seconds();
        assert!((94..=97).contains(&left), "{step}: {left} s are left");
        assert_eq!(
            follower.history(UDP).iter().filter(|call| call.change.is_withdraw()).count(),
            0,
            "{step}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_time_nobody_leads_and_events_are_refused() {
    let site = Site::new();
    let lab = site.start(1, 0).await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    // storage answers, but so slowly that its clock is not known any more after a while
    lab.set_reach(Reach::Slowly);
    lab.seconds(400).await;
    assert!(lab.engine.ingest(ban("203.0.113.11", "udp_flood"), &detector()).await.is_ok());
    lab.seconds(150).await;
    let refused = lab.engine.ingest(ban("203.0.113.12", "udp_flood"), &detector()).await;
    assert!(matches!(refused, Err(EngineError::StorageUnavailable(_))), "{refused:?}");
    let health = lab.engine.health().await;
    assert!(!health.leader.is_leader);
    assert!(
        health.problems.iter().any(|problem| problem.contains("is not known to 250 ms")),
        "{:?}",
        health.problems
    );
    lab.set_reach(Reach::Everything);
    lab.seconds(6).await;
    assert!(lab.engine.health().await.leader.is_leader);
    lab.hear(ban("203.0.113.12", "udp_flood")).await;
    assert!(lab.status(id).await.is_final());
}

#[tokio::test(start_paused = true)]
async fn a_start_goes_on_with_the_time_that_the_last_daemon_of_this_boot_knew() {
    for step in [TimeDelta::days(400), TimeDelta::hours(-5)] {
        let mut lab = Lab::usual().await;
        let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
        lab.seconds(10).await;
        lab.config.anchor = lab.engine.anchor();
        set(&lab, step);
        let lab = lab.start_again().await;
        lab.seconds(30).await;
        assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Active, 1), "{step}");
        let left = (lab.row(id).await.expires_at - lab.clock.now()).num_seconds();
        assert!((78..=81).contains(&left), "{step}: {left} s are left");
        lab.seconds(82).await;
        assert_eq!(lab.status(id).await, Status::Expired, "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_with_a_clock_behind_what_is_stored_begins_with_what_is_stored() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    set(&lab, TimeDelta::hours(-5));
    let lab = lab.start_again().await;
    assert!(lab.engine.now() >= lab.row(id).await.created_at);
    lab.seconds(30).await;
    assert_eq!(lab.engine.now(), lab.clock.now());
    let left = (lab.row(id).await.expires_at - lab.clock.now()).num_seconds();
    assert!((88..=91).contains(&left), "{left} s are left");
    lab.hear(unban("203.0.113.10")).await;
    assert_eq!(lab.rules().len(), 0);
}
