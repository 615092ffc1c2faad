//! The facade of the engine: one method per use case.

mod access;
mod health;
mod intake;
mod memory;
mod operators;
mod panic;
mod policy_change;
mod reads;
mod routers;
mod running;
mod signals;
mod simulate;
mod succession;

use std::sync::Arc;
use std::time::Duration;

use prefix_core::alert::Alert;
use prefix_core::audit::AuditEntry;
use prefix_core::clock::Anchor;
use prefix_core::guard::GuardWatch;
use prefix_core::id::InstanceId;
use prefix_core::name::SpeakerName;
use prefix_core::panic::PanicScope;
use prefix_core::{Announcer, Clock, Store};
use prefix_policy::Policy;
use tokio::sync::broadcast;
use tokio::time::timeout;

use crate::command::record::Record;
use crate::commit_queue::{Command, RequestClaim};
use crate::error::EngineError;
use crate::settings::Settings;
pub use access::{LoginAttempt, PasswordChange, TokenRequest};
pub use policy_change::{PolicyChange, Rehearsal};
use running::Running;
pub use signals::CorroborationReport;
pub use simulate::{SimulationInput, SimulationReport};

/// What the engine is composed of.
pub struct EngineParts {
    /// Durable storage.
    pub store: Arc<dyn Store>,
    /// The speakers, at least one: every own rule goes to each.
    pub speakers: Vec<SpeakerPort>,
    /// The clocks of the machine: what is decided is decided by the time of storage.
    pub clock: Arc<dyn Clock>,
    /// The time as the last process of this boot knew it, if one did.
    pub anchor: Option<Anchor>,
    /// The policy to begin with.
    pub policy: Policy,
    /// What only a restart changes.
    pub settings: Settings,
    /// Which instance of the pop this is; the same after each restart.
    pub instance: InstanceId,
    /// Whoever watches the guard; `None` = nobody, which is right where nothing is announced.
    pub guard: Option<Arc<dyn GuardWatch>>,
    /// What was frozen past storage before this start, and may have been thawed since.
    pub frozen: Vec<PanicScope>,
}

/// One of the speakers.
#[derive(Clone)]
pub struct SpeakerPort {
    /// Its name, different from those of the others; `None` where there is only one.
    pub name: Option<SpeakerName>,
    /// How it is reached.
    pub announcer: Arc<dyn Announcer>,
}

impl From<Arc<dyn Announcer>> for SpeakerPort {
    fn from(announcer: Arc<dyn Announcer>) -> Self {
        Self { name: None, announcer }
    }
}

/// The running engine; clones are handles to the same one.
#[derive(Clone)]
pub struct Engine {
    running: Arc<Running>,
}

/// How long a request waits to be carried out: detectors give up after ten seconds, and send again.
const PATIENCE: Duration = Duration::from_secs(5);

impl Engine {
    /// Loads the written intent, checks it against today's policy, and starts to work.
    pub async fn start(parts: EngineParts) -> Result<Self, EngineError> {
        Ok(Self { running: Running::start(parts).await? })
    }

    /// Hands a command over and waits for its answer.
    async fn ask<C: Command>(&self, command: C) -> Result<C::Output, EngineError> {
        let commit_queue = self.running.open_commit_queue()?;
        let claim = RequestClaim::default();
        let waited = async { commit_queue.submit_claimed(command, claim.clone()).await?.await };
        tokio::pin!(waited);
        match timeout(PATIENCE, &mut waited).await {
            Ok(answer) => answer,
            Err(_) if claim.take() => Err(EngineError::StorageUnavailable(format!(
                "storage is too slow: the request waited {} s for its turn, and nothing of it is stored",
                PATIENCE.as_secs()
            ))),
            Err(_) => waited.await,
        }
    }

    /// The same, for what takes rules away: it waits behind nothing.
    async fn ask_urgently<C: Command>(&self, command: C) -> Result<C::Output, EngineError> {
        self.running.open_commit_queue()?.submit_urgent(command)?.await
    }

    /// The clock that everything is decided by: it shows the time of storage, whatever the machine's clock shows.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.running.shared.clock.clone()
    }

    /// The time for other processes of this boot, and for the next one; `None` while it is not valid.
    pub fn anchor(&self) -> Option<Anchor> {
        self.running.shared.clock.anchor()
    }

    /// Refuses what would be decided by a time that is not known.
    fn check_time(&self) -> Result<(), EngineError> {
        if self.running.shared.clock.is_valid() {
            return Ok(());
        }
        Err(EngineError::StorageUnavailable("the time of storage is not known well enough".into()))
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.running.shared.policy()
    }

    /// Writes an audit entry of its own, e.g. for a refused request.
    pub async fn record(&self, entry: AuditEntry) -> Result<(), EngineError> {
        self.record_all(vec![entry]).await
    }

    async fn record_all(&self, entries: Vec<AuditEntry>) -> Result<(), EngineError> {
        self.ask(Record(entries)).await
    }

    /// Returns when everything is written that was answered before, at the latest after a quarter of a second: a rule that the
    /// speaker has confirmed is answered as such before its row says so.
    pub async fn written(&self) {
        self.running.wait_until_written().await;
    }

    /// Every alert from now on. A receiver that is slow misses the oldest ones.
    pub fn alerts(&self) -> broadcast::Receiver<Alert> {
        self.running.shared.alerts.subscribe()
    }

    /// The newest alerts, oldest first.
    pub fn newest_alerts(&self) -> Vec<Alert> {
        self.running.shared.alerts.newest()
    }

    /// Returns when a task of the engine ended although nobody stopped it: a defect, after which the process had better
    /// be started anew.
    pub async fn failed(&self) {
        self.running.failure.cancelled().await;
    }

    /// Own pop and the other settings.
    pub fn settings(&self) -> &Settings {
        &self.running.shared.settings
    }

    /// Finishes what was accepted, takes no more, and stops every task. Without `preserve_announcements` own rules
    /// leave the speaker; their rows stay, so that the next start announces what is still wanted.
    pub async fn shutdown(&self) {
        self.running.stop().await;
    }
}
