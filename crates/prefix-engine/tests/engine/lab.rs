//! The whole engine between a store and a speaker in memory, under a clock that costs no time.
//!
//! Tests run with tokio's time paused: [`Lab::wait`] moves it and the clock together, and every timer fires in its turn.

mod config;
mod mortal;
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use prefix_core::Clock;
use prefix_core::announcer::RibPath;
use prefix_core::audit::AuditEntry;
use prefix_core::event::Report;
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::guard::{GuardMode, GuardStatus, GuardWatch};
use prefix_core::id::{InstanceId, MitigationId};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::ownership::Ownership;
use prefix_core::ports::Reads;
use prefix_engine::{
    Caller, Engine, EngineError, EngineParts, EventOutcome, Ingested, MitigationView, RefusedEvent,
    SpeakerPort,
};
use prefix_policy::ManualRequest;
use prefix_testkit::fakes::announcer::Call;
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore, ScriptedClock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use config::Config;
use mortal::Mortal;
pub(crate) use mortal::{Deed, Observer, Reach};
pub(crate) use words::*;

/// A running engine, and everything around it that a test scripts.
pub(crate) struct Lab {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) speaker: Arc<MemoryAnnouncer>,
    pub(crate) clock: Arc<ScriptedClock>,
    pub(crate) config: Config,
    pub(crate) guard: Arc<Guard>,
    life: CancellationToken,
    reach: watch::Sender<Reach>,
}

/// The guard beside the daemon; alive until told otherwise.
#[derive(Default)]
pub(crate) struct Guard {
    silent: AtomicBool,
}

impl Guard {
    /// It is seen no more.
    pub(crate) fn die(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }
}

impl GuardWatch for Guard {
    fn status(&self) -> GuardStatus {
        let alive = !self.silent.load(Ordering::Relaxed);
        GuardStatus { mode: GuardMode::Spawn, alive, last_seen: alive.then(beginning) }
    }
}

/// When a test begins: 2026-01-01 00:00:00.
pub(crate) fn beginning() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

/// So many seconds after the beginning.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    beginning() + chrono::TimeDelta::seconds(seconds)
}

/// An instance of the pop: a restarted daemon is the same one.
pub(crate) fn instance(number: u128) -> InstanceId {
    uuid::Uuid::from_u128(number).into()
}

/// A route by its text.
pub(crate) fn route(flow: &str) -> RouteKey {
    match flow.strip_prefix("blackhole ") {
        Some(prefix) => RouteKey::blackhole(prefix.parse().unwrap()),
        None => RouteKey::for_rule(&flow.parse().unwrap()),
    }
}

impl Lab {
    /// A running engine with the usual configuration.
    pub(crate) async fn usual() -> Self {
        Self::with("").await
    }

    /// A running engine with this configuration (YAML, see [`Config`]).
    pub(crate) async fn with(yaml: &str) -> Self {
        let store = Arc::new(MemoryStore::new());
        let speaker = Arc::new(MemoryAnnouncer::new());
        let clock = Arc::new(ScriptedClock::following_tokio(beginning()));
        Self::around(store, speaker, clock, Config::read(yaml)).await
    }

    /// A running engine around what is there already.
    pub(crate) async fn around(
        store: Arc<MemoryStore>,
        speaker: Arc<MemoryAnnouncer>,
        clock: Arc<ScriptedClock>,
        config: Config,
    ) -> Self {
        Self::observed(store, speaker, clock, config, None).await
    }

    /// The same, for somebody who wants to know all that it does.
    pub(crate) async fn observed(
        store: Arc<MemoryStore>,
        speaker: Arc<MemoryAnnouncer>,
        clock: Arc<ScriptedClock>,
        config: Config,
        observer: Option<Observer>,
    ) -> Self {
        Self::try_start(store, speaker, clock, config, observer, instance(1)).await.unwrap()
    }

    /// An instance of a pop, if it can be started.
    pub(crate) async fn try_start(
        store: Arc<MemoryStore>,
        speaker: Arc<MemoryAnnouncer>,
        clock: Arc<ScriptedClock>,
        config: Config,
        observer: Option<Observer>,
        instance: InstanceId,
    ) -> Result<Self, EngineError> {
        let speakers = [("rs1", &speaker)];
        Self::try_start_at(store, &speakers, clock, config, observer, instance).await
    }

    /// A running engine at speakers of these names.
    pub(crate) async fn at_speakers(
        store: &Arc<MemoryStore>,
        speakers: &[(&str, &Arc<MemoryAnnouncer>)],
        clock: &Arc<ScriptedClock>,
        config: Config,
    ) -> Self {
        let (store, clock) = (store.clone(), clock.clone());
        Self::try_start_at(store, speakers, clock, config, None, instance(1)).await.unwrap()
    }

    async fn try_start_at(
        store: Arc<MemoryStore>,
        speakers: &[(&str, &Arc<MemoryAnnouncer>)],
        clock: Arc<ScriptedClock>,
        config: Config,
        observer: Option<Observer>,
        instance: InstanceId,
    ) -> Result<Self, EngineError> {
        let speaker = speakers[0].1.clone();
        let life = CancellationToken::new();
        let reach = watch::channel(Reach::Everything).0;
        let guard = Arc::new(Guard::default());
        let mortal = (life.clone(), observer, reach.subscribe());
        let parts = EngineParts {
            store: Arc::new(Mortal::new(store.clone(), mortal.clone())),
            speakers: speakers
                .iter()
                .map(|(name, speaker)| SpeakerPort {
                    name: Some(name.parse().unwrap()),
                    announcer: Arc::new(Mortal::new((*speaker).clone(), mortal.clone())),
                })
                .collect(),
            clock: clock.clone(),
            anchor: config.anchor,
            policy: config.policy(),
            settings: config.settings(),
            instance,
            guard: Some(guard.clone()),
            frozen: config.frozen.clone(),
        };
        let engine = Engine::start(parts).await?;
        let lab = Self { engine, store, speaker, clock, config, guard, life, reach };
        lab.settle().await;
        Ok(lab)
    }

    /// From now on the engine reaches only so far.
    pub(crate) fn set_reach(&self, reach: Reach) {
        self.reach.send_replace(reach);
    }

    /// Kills the engine without any farewell.
    pub(crate) fn kill(&self) {
        self.life.cancel();
    }

    /// Another engine around the same store and speaker, with another configuration.
    pub(crate) async fn start_again_with(self, yaml: &str) -> Self {
        self.kill();
        Self::around(self.store, self.speaker, self.clock, Config::read(yaml)).await
    }

    /// Another engine around the same store and speaker.
    pub(crate) async fn start_again(self) -> Self {
        self.kill();
        Self::around(self.store, self.speaker, self.clock, self.config).await
    }

    /// Time passes.
    pub(crate) async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// So many seconds pass.
    pub(crate) async fn seconds(&self, seconds: u64) {
        self.wait(Duration::from_secs(seconds)).await;
    }

    /// Everything that happens at once has happened.
    pub(crate) async fn settle(&self) {
        self.wait(Duration::from_millis(5)).await;
        self.engine.written().await;
    }

    /// Reports an event and wants it accepted.
    pub(crate) async fn hear(&self, report: Report) -> Ingested {
        match self.outcome(report).await {
            EventOutcome::Accepted(ingested) => *ingested,
            other => panic!("{other:?}"),
        }
    }

    /// Reports an event and wants it refused by a guardrail.
    pub(crate) async fn hear_refused(&self, report: Report) -> RefusedEvent {
        match self.outcome(report).await {
            EventOutcome::Refused(refused) => *refused,
            other => panic!("{other:?}"),
        }
    }

    /// What becomes of an event.
    pub(crate) async fn outcome(&self, report: Report) -> EventOutcome {
        let outcome = self.engine.ingest(report, &detector()).await.unwrap().value;
        self.engine.written().await;
        outcome
    }

    /// Reports an event that makes or finds a mitigation.
    pub(crate) async fn mitigate(&self, report: Report) -> MitigationId {
        self.hear(report).await.mitigation_id.unwrap()
    }

    /// What operator alice wants, and gets.
    pub(crate) async fn create(&self, request: ManualRequest) -> Mitigation {
        self.create_as(request, &alice()).await.unwrap().mitigation
    }

    /// What an operator wants.
    pub(crate) async fn create_as(
        &self,
        request: ManualRequest,
        caller: &Caller,
    ) -> Result<MitigationView, EngineError> {
        let created = self.engine.create(request, caller).await;
        self.engine.written().await;
        created.map(|created| created.value.view)
    }

    /// Operator alice withdraws.
    pub(crate) async fn withdraw(&self, id: MitigationId) -> Mitigation {
        self.engine.withdraw(id, "enough", &alice()).await.unwrap().mitigation
    }

    /// The row as it is stored.
    pub(crate) async fn row(&self, id: MitigationId) -> Mitigation {
        self.store.mitigation(id).await.unwrap().unwrap()
    }

    /// Where a mitigation stands.
    pub(crate) async fn status(&self, id: MitigationId) -> Status {
        self.row(id).await.status
    }

    /// How many mitigations have this status.
    pub(crate) fn count(&self, status: Status) -> usize {
        self.store.all_mitigations().iter().filter(|row| row.status == status).count()
    }

    /// What stands in the speaker's table and is ours: `FLOW: ACTION`, sorted.
    pub(crate) fn rules(&self) -> Vec<String> {
        let mut rules: Vec<String> = self.speaker.own_paths().iter().map(describe).collect();
        rules.sort();
        rules
    }

    /// When the path of a route may be withdrawn by anybody.
    pub(crate) fn not_after(&self, flow: &str) -> DateTime<Utc> {
        match self.speaker.local(&route(flow)).unwrap().ownership {
            Ownership::Own { not_after: Some(not_after), .. } => not_after.time(),
            other => panic!("{other:?}"),
        }
    }

    /// The changes of a route that were asked of the speaker.
    pub(crate) fn history(&self, flow: &str) -> Vec<Call> {
        self.speaker.history_of(&route(flow))
    }

    /// True if somebody asked the speaker to take this route away.
    pub(crate) fn was_withdrawn(&self, flow: &str) -> bool {
        self.history(flow).iter().any(|call| call.change.is_withdraw())
    }

    /// The audit entries with this action.
    pub(crate) fn audited(&self, action: &str) -> Vec<AuditEntry> {
        self.store.all_audit().into_iter().filter(|entry| entry.action == action).collect()
    }

    /// What the clock shows.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

/// A path for people.
pub(crate) fn describe(path: &RibPath) -> String {
    let action = path.action.as_ref().map_or_else(|| "no action".to_owned(), describe_action);
    format!("{}: {action}", path.key.flow())
}

/// An action for people.
pub(crate) fn describe_action(action: &Action) -> String {
    match action.rate_bps() {
        Some(rate) => format!("{} {rate}", action.action_type()),
        None => action.action_type().to_string(),
    }
}
