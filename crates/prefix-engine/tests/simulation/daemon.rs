//! A daemon and its supervisor: it starts, runs, stops, dies, and is started again.

use std::sync::Arc;

use prefix_core::clock::Anchor;
use prefix_core::guard::{GuardMode, GuardStatus, GuardWatch};
use prefix_core::id::InstanceId;
use prefix_core::panic::PanicScope;
use prefix_core::{Announcer, Store};
use prefix_engine::{Engine, EngineError, EngineParts, SpeakerPort};
use prefix_testkit::fakes::ScriptedClock;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::defects::Defect;
use crate::observer::Observer;
use crate::ports::{Link, LinkedPort, MortalClock};
use crate::testbed::beginning;

/// What a daemon is made of.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    /// The speakers, in the order of the configuration.
    pub(crate) speakers: Vec<Arc<dyn Announcer>>,
    /// The clock of its machine.
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

/// The way to one of the speakers.
fn linked(port: &Arc<dyn Announcer>, link: &Arc<Link>, which: usize) -> SpeakerPort {
    let announcer = Arc::new(LinkedPort { port: port.clone(), link: link.clone(), which });
    SpeakerPort { name: Some(format!("rs{}", which + 1).parse().unwrap()), announcer }
}

enum State {
    Down,
    Starting(JoinHandle<Result<Engine, EngineError>>),
    Up(Engine),
    Stopping(JoinHandle<()>),
}

/// A daemon and what starts it again.
pub(crate) struct Daemon {
    name: &'static str,
    instance: InstanceId,
    parts: Parts,
    link: Arc<Link>,
    state: State,
    /// The time as its last heartbeat says.
    anchor: Option<Anchor>,
}

impl Daemon {
    /// One that does not run.
    pub(crate) fn down(name: &'static str, number: u128, parts: Parts) -> Self {
        let link = Link::new(name, false, parts.observer.clone(), None);
        Self {
            name,
            instance: uuid::Uuid::from_u128(number).into(),
            parts,
            link,
            state: State::Down,
            anchor: None,
        }
    }

    /// Begins to start.
    pub(crate) fn start(&mut self, config: &Config, marker: Option<&PanicScope>) {
        if !matches!(self.state, State::Down) {
            return;
        }
        let parts = &self.parts;
        let link = Link::new(self.name, config.dry_run, parts.observer.clone(), parts.defect);
        let engine = EngineParts {
            store: Arc::new(LinkedPort { port: parts.store.clone(), link: link.clone(), which: 0 }),
            speakers: parts
                .speakers
                .iter()
                .enumerate()
                .map(|(which, port)| linked(port, &link, which))
                .collect(),
            clock: Arc::new(MortalClock { clock: parts.clock.clone(), link: link.clone() }),
            anchor: self.anchor,
            policy: config.policy(),
            settings: config.settings(),
            instance: self.instance,
            guard: Some(Arc::new(Seen { guard: parts.guard })),
            frozen: marker.cloned().into_iter().collect(),
        };
        parts.observer.trace.tell(self.name, if config.dry_run { "starts in dry-run" } else { "starts" });
        parts.observer.disturb();
        self.link = link;
        self.state = State::Starting(tokio::spawn(Engine::start(engine)));
    }

    /// Begins to stop in good order.
    pub(crate) fn stop(&mut self) {
        if let State::Up(engine) = &self.state {
            let engine = engine.clone();
            self.parts.observer.trace.tell(self.name, "is told to stop");
            self.parts.observer.disturb();
            self.state = State::Stopping(tokio::spawn(async move { engine.shutdown().await }));
        }
    }

    /// Follows what became of it since the last look.
    pub(crate) async fn look(&mut self) {
        let trace = &self.parts.observer.trace;
        if self.link.is_dead() {
            if let State::Starting(start) = &self.state {
                start.abort();
            }
            self.parts.observer.resigned(&self.link);
            self.state = State::Down;
            return;
        }
        match &mut self.state {
            State::Starting(start) if start.is_finished() => {
                self.state = match start.await {
                    Ok(Ok(engine)) => {
                        trace.tell(self.name, "runs");
                        self.parts.observer.disturb();
                        State::Up(engine)
                    }
                    Ok(Err(error)) => {
                        trace.tell(self.name, format!("cannot start: {error}"));
                        self.link.life.cancel();
                        State::Down
                    }
                    Err(_) => {
                        trace.wrong(format!("{} met a defect while it started", self.name));
                        State::Down
                    }
                };
            }
            State::Stopping(stop) if stop.is_finished() => {
                trace.tell(self.name, "has stopped");
                self.parts.observer.disturb();
                // whatever it left behind ends with its process
                self.link.life.cancel();
                self.state = State::Down;
            }
            State::Up(engine) => {
                self.anchor = engine.anchor().or(self.anchor);
                let failed = tokio::time::timeout(std::time::Duration::ZERO, engine.failed()).await.is_ok();
                if failed && !self.link.is_dead() {
                    trace.wrong(format!("a task of {} ended by itself", self.name));
                }
            }
            _ => {}
        }
    }

    /// The clock of its machine.
    pub(crate) fn clock(&self) -> &Arc<ScriptedClock> {
        &self.parts.clock
    }

    /// The engine, if it runs and serves.
    pub(crate) fn engine(&self) -> Option<(&Engine, &Arc<Link>)> {
        match &self.state {
            State::Up(engine) if !self.link.is_dead() => Some((engine, &self.link)),
            _ => None,
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.state, State::Down) || self.link.is_dead()
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}
