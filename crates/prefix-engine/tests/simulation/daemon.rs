//! One daemon of a schedule, and its supervisor.

use std::sync::Arc;

use prefix_core::guard::{GuardMode, GuardStatus, GuardWatch};
use prefix_core::id::InstanceId;
use prefix_core::panic::PanicScope;
use prefix_core::{Announcer, Store};
use prefix_engine::{Engine, EngineError, EngineParts};
use prefix_testkit::fakes::ScriptedClock;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::defects::Defect;
use crate::observer::Observer;
use crate::ports::{Bond, MortalClock, Tie};
use crate::simulation::beginning;

/// What a daemon is made of.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) announcer: Arc<dyn Announcer>,
    pub(crate) clock: Arc<ScriptedClock>,
    pub(crate) observer: Arc<Observer>,
    /// A guard watches the speaker.
    pub(crate) guard: bool,
    /// What its ports pretend.
    pub(crate) defect: Option<Defect>,
}

/// What a daemon sees of the guard.
struct Seen {
    guard: bool,
}

impl GuardWatch for Seen {
    fn status(&self) -> GuardStatus {
        let last_seen = self.guard.then(beginning);
        GuardStatus { mode: GuardMode::External, alive: self.guard, last_seen }
    }
}

enum State {
    Down,
    Starting(JoinHandle<Result<Engine, EngineError>>),
    Up(Engine),
    Stopping(JoinHandle<()>),
}

/// A daemon that starts, runs, stops, dies, and is started again.
pub(crate) struct Daemon {
    name: &'static str,
    instance: InstanceId,
    parts: Parts,
    bond: Arc<Bond>,
    state: State,
}

impl Daemon {
    /// One that does not run.
    pub(crate) fn down(name: &'static str, number: u128, parts: Parts) -> Self {
        let bond = Bond::new(name, false, parts.observer.clone(), None);
        Self { name, instance: uuid::Uuid::from_u128(number).into(), parts, bond, state: State::Down }
    }

    /// Begins to start.
    pub(crate) fn start(&mut self, config: &Config, marker: Option<&PanicScope>) {
        if !matches!(self.state, State::Down) {
            return;
        }
        let parts = &self.parts;
        let bond = Bond::new(self.name, config.dry_run, parts.observer.clone(), parts.defect);
        let engine = EngineParts {
            store: Arc::new(Tie { port: parts.store.clone(), bond: bond.clone() }),
            announcer: Arc::new(Tie { port: parts.announcer.clone(), bond: bond.clone() }),
            clock: Arc::new(MortalClock { clock: parts.clock.clone(), bond: bond.clone() }),
            policy: config.policy(),
            settings: config.settings(),
            instance: self.instance,
            guard: Some(Arc::new(Seen { guard: parts.guard })),
            frozen: marker.cloned().into_iter().collect(),
        };
        parts.observer.log.add(self.name, if config.dry_run { "starts in dry-run" } else { "starts" });
        parts.observer.disturb();
        self.bond = bond;
        self.state = State::Starting(tokio::spawn(Engine::start(engine)));
    }

    /// Begins to stop in good order.
    pub(crate) fn stop(&mut self) {
        if let State::Up(engine) = &self.state {
            let engine = engine.clone();
            self.parts.observer.log.add(self.name, "is told to stop");
            self.parts.observer.disturb();
            self.state = State::Stopping(tokio::spawn(async move { engine.shutdown().await }));
        }
    }

    /// Follows what became of it since the last call.
    pub(crate) async fn follow(&mut self) {
        let log = &self.parts.observer.log;
        if self.bond.is_dead() {
            if let State::Starting(start) = &self.state {
                start.abort();
            }
            self.parts.observer.resigned(&self.bond);
            self.state = State::Down;
            return;
        }
        match &mut self.state {
            State::Starting(start) if start.is_finished() => {
                self.state = match start.await {
                    Ok(Ok(engine)) => {
                        log.add(self.name, "runs");
                        self.parts.observer.disturb();
                        State::Up(engine)
                    }
                    Ok(Err(error)) => {
                        log.add(self.name, format!("cannot start: {error}"));
                        self.bond.life.cancel();
                        State::Down
                    }
                    Err(_) => {
                        log.wrong(format!("{} met a defect while it started", self.name));
                        State::Down
                    }
                };
            }
            State::Stopping(stop) if stop.is_finished() => {
                log.add(self.name, "has stopped");
                self.parts.observer.disturb();
                // whatever it left behind ends with its process
                self.bond.life.cancel();
                self.state = State::Down;
            }
            State::Up(engine) => {
                let failed = tokio::time::timeout(std::time::Duration::ZERO, engine.failed()).await.is_ok();
                if failed && !self.bond.is_dead() {
                    log.wrong(format!("a task of {} ended by itself", self.name));
                }
            }
            _ => {}
        }
    }

    /// The engine, if it runs and serves.
    pub(crate) fn engine(&self) -> Option<(&Engine, &Arc<Bond>)> {
        match &self.state {
            State::Up(engine) if !self.bond.is_dead() => Some((engine, &self.bond)),
            _ => None,
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.state, State::Down) || self.bond.is_dead()
    }

    pub(crate) fn bond(&self) -> &Arc<Bond> {
        &self.bond
    }
}
