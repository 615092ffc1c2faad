//! The testbed of one schedule: a daemon between storage and a speaker, people, faults, and a guard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::announcer::RibPath;
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::mitigation::Mitigation;
use prefix_core::ownership::{NotAfter, Ownership};
use prefix_core::panic::PanicScope;
use prefix_core::{Announcer, Clock};
use prefix_testkit::announcer_contract::own_rule;
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore, ScriptedClock};

use crate::checks::SETTLED;
use crate::conditions::Conditions;
use crate::daemon::{Daemon, Parts};
use crate::defects::Defect;
use crate::guard::Guard;
use crate::observer::Observer;
use crate::people::LoadBalancer;
use crate::ports::{CrashPoint, Link};
use crate::random::Random;
use crate::settings::Files;

/// A rule of somebody else that must survive everything.
pub(crate) const FOREIGN: &str = "dst 192.0.2.1/32";

/// Everything of one schedule.
pub(crate) struct Testbed {
    pub(crate) random: Random,
    pub(crate) conditions: Conditions,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) speakers: Vec<Arc<MemoryAnnouncer>>,
    /// The database's clock; of a daemon alone, its machine's.
    pub(crate) clock: Arc<ScriptedClock>,
    pub(crate) observer: Arc<Observer>,
    pub(crate) daemons: Vec<Daemon>,
    pub(crate) balancer: LoadBalancer,
    pub(crate) guards: Vec<Guard>,
    pub(crate) files: Files,
    /// The marker of a direct panic beside the first daemon.
    pub(crate) marker: Option<PanicScope>,
    /// Counts the beginnings and ends of thaws.
    pub(crate) thaws: Arc<AtomicU64>,
    /// Thaws that may still be carried out.
    pub(crate) thaws_under_way: Arc<AtomicU64>,
    /// Numbers the requests that can be repeated.
    pub(crate) keys: Arc<AtomicU64>,
    pub(crate) speaker_troubled: bool,
    pub(crate) speaker_hangs: bool,
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

impl Testbed {
    /// A testbed in which nothing has happened yet, but that an earlier daemon left a rule behind.
    pub(crate) async fn new(seed: u64, defect: Option<Defect>) -> Self {
        let mut random = Random::of(seed);
        let mut conditions = Conditions::of(&mut random);
        if let Some(defect) = defect {
            defect.needs(&mut conditions);
        }
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(ScriptedClock::following_tokio(beginning()));
        store.set_clock(clock.clone());
        let mut speakers = Vec::new();
        for _ in 0..conditions.speakers {
            let speaker = Arc::new(MemoryAnnouncer::new());
            speaker.set_call_timeout(Duration::from_secs(5));
            speaker.prefer_learned(conditions.learned_paths_win);
            speaker.put(foreign(route(FOREIGN), Ownership::Foreign));
            if !conditions.dry_run {
                let mut orphan = own_rule("dst 198.51.100.77/32", Action::Discard, 77);
                orphan.tags.not_after = NotAfter::at_or_after(beginning() + TimeDelta::hours(24));
                speaker.announce(&[orphan]).await;
            }
            speakers.push(speaker);
        }
        let observer = Arc::new(Observer::new(store.clone(), speakers.clone(), conditions.is_strict()));
        store.set_shared(conditions.instances > 1);
        let parts = Parts {
            store: store.clone(),
            speakers: speakers.iter().map(|speaker| speaker.clone() as Arc<dyn Announcer>).collect(),
            clock: clock.clone(),
            observer: observer.clone(),
            guard: conditions.guard,
            defect,
        };
        let names = if conditions.instances > 1 { &["prefixd-a", "prefixd-b"][..] } else { &["prefixd"] };
        let mut machine = |parts: &Parts| {
            if !conditions.skews || conditions.instances == 1 {
                return parts.clone();
            }
            // whatever the machine's clock shows: the database's decides
            let ahead = random.pick(&[-31_536_000, -200, -3, 0, 0, 1, 200, 34_560_000]);
            let clock = ScriptedClock::following_tokio(beginning() + TimeDelta::seconds(ahead));
            Parts { clock: Arc::new(clock), ..parts.clone() }
        };
        let daemons =
            (1..).zip(names).map(|(number, name)| Daemon::down(name, number, machine(&parts))).collect();
        let guarded = speakers.iter().filter(|_| conditions.guard);
        let guards = guarded.map(|one| Guard::start(one.clone(), clock.clone(), observer.clone())).collect();
        let mut testbed = Self {
            random,
            conditions,
            store,
            speakers,
            clock,
            observer,
            daemons,
            balancer: LoadBalancer::default(),
            guards,
            files: Files::Usual,
            marker: None,
            thaws: Arc::default(),
            thaws_under_way: Arc::default(),
            keys: Arc::default(),
            speaker_troubled: false,
            speaker_hangs: false,
            storage_troubled: false,
        };
        for _ in 0..names.len() {
            testbed.start();
        }
        testbed.pass(Duration::from_millis(20)).await;
        testbed
    }

    pub(crate) fn tell(&self, who: &'static str, what: impl Into<String>) {
        self.observer.trace.tell(who, what);
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Time passes, and everybody looks up.
    pub(crate) async fn pass(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        for daemon in &mut self.daemons {
            daemon.look().await;
        }
        self.balancer.serve_by(self.daemons.iter().filter_map(Daemon::engine));
    }

    /// True if some daemon runs and nothing keeps any from its work.
    pub(crate) fn is_served(&self) -> bool {
        let hindered = |daemon: &Daemon| daemon.link().is_hindered() && !daemon.is_down();
        self.daemons.iter().any(|daemon| daemon.engine().is_some()) && !self.daemons.iter().any(hindered)
    }

    fn any_daemon(&mut self) -> usize {
        self.random.index(self.daemons.len())
    }

    pub(crate) fn start(&mut self) {
        let config = self.files.config(&self.conditions);
        let Some(first) = self.daemons.iter().position(Daemon::is_down) else { return };
        let marker = self.marker.as_ref().filter(|_| first == 0);
        self.daemons[first].start(&config, marker);
        self.daemons[first].link().frozen.store(marker.is_some(), Ordering::Relaxed);
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
        let conditions = self.conditions;
        let when = |is: bool, weight: u64| if is { weight } else { 0 };
        let act = self.random.weighted(&[
            (10, Act::Reports),
            (when(conditions.correlation, 3), Act::Corroboration),
            (when(conditions.operators, 3), Act::Operator),
            (when(conditions.faults, 3), Act::SpeakerFault),
            (when(conditions.late, 4), Act::SpeakerLate),
            (when(conditions.outages, 2), Act::SpeakerOutage),
            (when(conditions.strangers, 3), Act::Stranger),
            (when(conditions.storage, 3), Act::StorageFault),
            (when(conditions.kills, 2), Act::Kill),
            (when(conditions.stops, 1), Act::Stop),
            (when(conditions.jumps, 1), Act::Jump),
            (when(conditions.sleeps, 2), Act::Sleep),
            (when(conditions.panics, 2), Act::KillSwitch),
            (when(self.daemons.iter().any(Daemon::is_down), 6), Act::Start),
            (when(self.speaker_troubled || self.storage_troubled, 4), Act::Heal),
            (2, Act::Wait),
        ]);
        match act {
            Act::Reports => self.reports(),
            Act::Corroboration => self.corroborates(),
            Act::Operator => self.operator(),
            Act::SpeakerFault => self.speaker_fault(),
            Act::SpeakerLate => self.speaker_late(),
            Act::SpeakerOutage => self.speaker_outage(),
            Act::Stranger => self.stranger(),
            Act::StorageFault => self.storage_fault(),
            Act::Kill => self.kill(),
            Act::Stop => {
                let which = self.any_daemon();
                self.daemons[which].stop();
            }
            Act::Sleep => self.sleep(),
            Act::KillSwitch => self.kill_switch(),
            Act::Start => self.start(),
            Act::Jump => self.jump(),
            Act::Heal => self.heal(),
            Act::Wait => {
                let seconds = self.random.pick(&[1, 5, 20, 35, 70]);
                self.pass(Duration::from_secs(seconds)).await;
            }
        }
        let pause = self.random.pick(conditions.pauses);
        self.pass(Duration::from_millis(pause)).await;
    }

    fn kill(&mut self) {
        let which = self.any_daemon();
        let link: Arc<Link> = self.daemons[which].link().clone();
        if link.is_dead() {
            return;
        }
        let point = self.random.pick(&[CrashPoint::Before, CrashPoint::Half, CrashPoint::After]);
        match self.random.below(3) {
            0 => link.kill("at an idle moment"),
            _ => link.crash_after(u32::try_from(self.random.below(6)).unwrap_or(0), point),
        }
    }

    /// A daemon is stopped for a while, as by SIGSTOP, or only it cannot reach storage.
    fn sleep(&mut self) {
        let which = self.any_daemon();
        let link = self.daemons[which].link().clone();
        let time = Duration::from_millis(self.random.pick(&[500, 2_900, 3_900, 6_000, 30_000]));
        if self.random.once_in(3) {
            link.pause_after(u32::try_from(self.random.below(6)).unwrap_or(0), time);
            return;
        }
        let cut = self.random.once_in(2);
        self.tell(link.name, if cut { "cannot reach storage" } else { "is stopped, as by SIGSTOP" });
        self.observer.disturb();
        if cut {
            link.cut_off.store(true, Ordering::Relaxed);
        } else {
            link.set_asleep(true);
        }
        let observer = self.observer.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            if link.is_hindered() && !link.is_dead() {
                observer.trace.tell(link.name, if cut { "reaches storage again" } else { "wakes" });
            }
            link.cut_off.store(false, Ordering::Relaxed);
            link.set_asleep(false);
            observer.disturb();
        });
    }

    /// The clock of a machine is set, or that of the database.
    fn jump(&mut self) {
        let seconds = self.random.pick(&[-3_600_i64, -400, -30, -2, 2, 30, 400, 3_600]);
        let by = TimeDelta::seconds(seconds);
        let machine = self.random.index(self.daemons.len() + 1);
        match self.daemons.get(machine).filter(|_| self.daemons.len() > 1) {
            Some(daemon) => {
                let clock = daemon.clock();
                clock.set((clock.now() + by).max(beginning()));
                self.tell(daemon.link().name, format!("has a clock that is set by {seconds} s"));
            }
            None => {
                let to = (self.now() + by).max(beginning());
                self.clock.set(to);
                self.tell("clock", format!("is set by {seconds} s, to {}", to.format("%F %H:%M:%S")));
                self.observer.step(by);
            }
        }
        self.observer.disturb();
    }

    /// Every trouble ends, and a daemon runs.
    pub(crate) async fn recover(&mut self) {
        self.daemons.iter().for_each(|daemon| daemon.link().spare());
        self.heal();
        self.tell("testbed", "all trouble is over");
        for _ in 0..60 {
            self.pass(Duration::from_secs(1)).await;
            self.start();
            if self.daemons.iter().all(|daemon| daemon.engine().is_some()) {
                break;
            }
        }
        if self.daemons.iter().any(|daemon| daemon.engine().is_none()) {
            self.observer.trace.wrong("a daemon does not come up although nothing is in its way");
        }
        // everybody who still waits for an answer, and whoever tries again
        self.pass(Duration::from_secs(15)).await;
        self.speakers.iter().for_each(|speaker| speaker.let_late_changes_happen());
        self.observer.disturb();
        // a whole pass of the reconciler and the longest wait for another try
        self.pass(Duration::from_secs(46)).await;
        // a step that is taken at this very moment is carried through
        for _ in 0..20 {
            if self.observer.quiet_for() >= SETTLED {
                break;
            }
            self.pass(SETTLED).await;
        }
    }

    /// Until the last rule has run out.
    pub(crate) async fn run_out(&mut self) {
        let latest = self.unfinished().iter().map(|row| row.expires_at).max();
        let left = latest.map_or(TimeDelta::zero(), |at| at - self.now());
        let left = left.to_std().unwrap_or_default() + Duration::from_secs(12);
        self.tell("testbed", "nobody reports anything any more");
        self.pass(left).await;
        // the last audit entries are sealed a moment later
        while self.observer.quiet_for() < Duration::from_secs(2) {
            self.pass(Duration::from_secs(1)).await;
        }
    }
}

#[derive(Clone, Copy)]
enum Act {
    Reports,
    Corroboration,
    Operator,
    SpeakerFault,
    SpeakerLate,
    SpeakerOutage,
    Stranger,
    StorageFault,
    Kill,
    Sleep,
    KillSwitch,
    Stop,
    Start,
    Jump,
    Heal,
    Wait,
}
