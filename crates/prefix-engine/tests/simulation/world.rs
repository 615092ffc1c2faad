//! The world of one schedule: a daemon between storage and a speaker, people, troubles, and a guard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::announcer::RibPath;
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::mitigation::Mitigation;
use prefix_core::ownership::{NotAfter, Ownership};
use prefix_core::{Announcer, Clock, Store};
use prefix_testkit::announcer_contract::own_rule;
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore, ScriptedClock};

use crate::daemon::{Daemon, Parts};
use crate::dice::Dice;
use crate::guard::Guard;
use crate::liars::Lie;
use crate::people::Door;
use crate::ports::{Bond, Moment};
use crate::settings::Files;
use crate::temper::Temper;
use crate::witness::Witness;

/// A rule of somebody else that must survive everything.
pub(crate) const FOREIGN: &str = "dst 192.0.2.1/32";

/// See the module.
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) temper: Temper,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) speaker: Arc<MemoryAnnouncer>,
    pub(crate) clock: Arc<ScriptedClock>,
    pub(crate) witness: Arc<Witness>,
    pub(crate) daemon: Daemon,
    pub(crate) door: Door,
    pub(crate) guard: Option<Guard>,
    pub(crate) files: Files,
    /// Numbers the requests that can be repeated.
    pub(crate) keys: Arc<AtomicU64>,
    pub(crate) speaker_troubled: bool,
    pub(crate) storage_troubled: bool,
}

/// When a schedule begins: 2026-01-01 00:00:00.
pub(crate) fn beginning() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

/// A route by its text.
pub(crate) fn route(flow: &str) -> RouteKey {
    RouteKey::for_rule(&flow.parse().unwrap())
}

/// A path of somebody else.
pub(crate) fn foreign(key: RouteKey, ownership: Ownership) -> RibPath {
    RibPath { key, action: Some(Action::Discard), ownership, local: true, attributes: "theirs".into() }
}

impl World {
    /// A world in which nothing has happened yet, but that an earlier daemon left a rule behind.
    pub(crate) async fn new(seed: u64, lie: Option<Lie>) -> Self {
        let mut dice = Dice::of(seed);
        let mut temper = Temper::of(&mut dice);
        if let Some(lie) = lie {
            lie.needs(&mut temper);
        }
        let store = Arc::new(MemoryStore::new());
        let speaker = Arc::new(MemoryAnnouncer::new());
        let clock = Arc::new(ScriptedClock::following_tokio(beginning()));
        store.set_clock(Arc::new(ScriptedClock::following_tokio(beginning())));
        speaker.set_call_timeout(Duration::from_secs(5));
        speaker.put(foreign(route(FOREIGN), Ownership::Foreign));
        if !temper.dry_run {
            let mut orphan = own_rule("dst 198.51.100.77/32", Action::Discard, 77);
            orphan.tags.not_after = NotAfter::at_or_after(beginning() + TimeDelta::hours(24));
            speaker.announce(&[orphan]).await;
        }
        let witness = Arc::new(Witness::new(store.clone(), speaker.clone(), temper.is_strict()));
        let honest: (Arc<dyn Store>, Arc<dyn Announcer>) = (store.clone(), speaker.clone());
        let (told_store, told_speaker) = match lie {
            Some(lie) => lie.between(honest),
            None => honest,
        };
        let parts = Parts {
            store: told_store,
            announcer: told_speaker.clone(),
            clock: clock.clone(),
            witness: witness.clone(),
            guard: temper.guard,
        };
        let guard = temper.guard.then(|| Guard::start(speaker.clone(), clock.clone(), witness.story.clone()));
        let mut world = Self {
            dice,
            temper,
            store,
            speaker,
            clock,
            witness,
            daemon: Daemon::down("prefixd", 1, parts),
            door: Door::default(),
            guard,
            files: Files::Usual,
            keys: Arc::default(),
            speaker_troubled: false,
            storage_troubled: false,
        };
        world.start();
        world.pass(Duration::from_millis(20)).await;
        world
    }

    pub(crate) fn tell(&self, who: &'static str, what: impl Into<String>) {
        self.witness.story.tell(who, what);
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Time passes, and everybody looks up.
    pub(crate) async fn pass(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        self.daemon.look().await;
        self.door.open(self.daemon.engine());
    }

    pub(crate) fn start(&mut self) {
        self.daemon.start(&self.files.config(&self.temper));
    }

    /// Everything unfinished, by age.
    pub(crate) fn unfinished(&self) -> Vec<Mitigation> {
        self.store
            .with_mitigations(|rows| rows.values().filter(|row| !row.status.is_final()).cloned().collect())
    }

    pub(crate) fn next_key(&self) -> u64 {
        self.keys.fetch_add(1, Ordering::Relaxed)
    }

    /// One thing happens.
    pub(crate) async fn act(&mut self) {
        let temper = self.temper;
        let when = |is: bool, weight: u64| if is { weight } else { 0 };
        let act = self.dice.weighted(&[
            (10, Act::Reports),
            (when(temper.operators, 3), Act::Operator),
            (when(temper.faults, 3), Act::SpeakerFault),
            (when(temper.late, 4), Act::SpeakerLate),
            (when(temper.outages, 2), Act::SpeakerOutage),
            (when(temper.strangers, 3), Act::Stranger),
            (when(temper.storage, 3), Act::StorageFault),
            (when(temper.kills, 2), Act::Kill),
            (when(temper.stops, 1), Act::Stop),
            (when(temper.jumps, 1), Act::Jump),
            (when(self.daemon.is_down(), 6), Act::Start),
            (when(self.speaker_troubled || self.storage_troubled, 4), Act::Heal),
            (2, Act::Wait),
        ]);
        match act {
            Act::Reports => self.reports(),
            Act::Operator => self.operator(),
            Act::SpeakerFault => self.speaker_fault(),
            Act::SpeakerLate => self.speaker_late(),
            Act::SpeakerOutage => self.speaker_outage(),
            Act::Stranger => self.stranger(),
            Act::StorageFault => self.storage_fault(),
            Act::Kill => self.kill(),
            Act::Stop => self.daemon.stop(),
            Act::Start => self.start(),
            Act::Jump => self.jump(),
            Act::Heal => self.heal(),
            Act::Wait => {
                let seconds = self.dice.pick(&[1, 5, 20, 35, 70]);
                self.pass(Duration::from_secs(seconds)).await;
            }
        }
        let pause = self.dice.pick(temper.pauses);
        self.pass(Duration::from_millis(pause)).await;
    }

    fn kill(&mut self) {
        let bond: &Arc<Bond> = self.daemon.bond();
        if bond.is_dead() {
            return;
        }
        let moment = self.dice.pick(&[Moment::Before, Moment::Half, Moment::After]);
        match self.dice.below(3) {
            0 => bond.kill("at an idle moment"),
            _ => bond.doom(u32::try_from(self.dice.below(6)).unwrap_or(0), moment),
        }
    }

    fn jump(&mut self) {
        let seconds = self.dice.pick(&[-400_i64, -30, -2, 2, 30, 400]);
        let to = (self.now() + TimeDelta::seconds(seconds)).max(beginning());
        self.clock.set(to);
        self.tell("clock", format!("is set by {seconds} s, to {}", to.format("%H:%M:%S")));
        self.witness.disturb();
    }

    /// Every trouble ends, and a daemon runs.
    pub(crate) async fn recover(&mut self) {
        self.heal();
        self.tell("world", "all trouble is over");
        for _ in 0..60 {
            self.daemon.look().await;
            if self.daemon.is_down() {
                self.start();
            }
            self.pass(Duration::from_secs(1)).await;
            if self.daemon.engine().is_some() {
                break;
            }
        }
        if self.daemon.engine().is_none() {
            self.witness.story.wrong("the daemon does not come up although nothing is in its way");
        }
        self.daemon.bond().doom(u32::MAX, Moment::Before);
        // everybody who still waits for an answer, and whoever tries again
        self.pass(Duration::from_secs(15)).await;
        self.speaker.let_late_changes_happen();
        self.witness.disturb();
        // a whole pass of the reconciler and the longest wait for another try
        self.pass(Duration::from_secs(46)).await;
    }

    /// Until the last rule has run out.
    pub(crate) async fn run_out(&mut self) {
        let latest = self.unfinished().iter().map(|row| row.expires_at).max();
        let left = latest.map_or(TimeDelta::zero(), |at| at - self.now());
        let left = left.to_std().unwrap_or_default() + Duration::from_secs(12);
        self.tell("world", "nobody reports anything any more");
        self.pass(left).await;
    }
}

#[derive(Clone, Copy)]
enum Act {
    Reports,
    Operator,
    SpeakerFault,
    SpeakerLate,
    SpeakerOutage,
    Stranger,
    StorageFault,
    Kill,
    Stop,
    Start,
    Jump,
    Heal,
    Wait,
}
