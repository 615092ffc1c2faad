//! The engine's face: one method per use case.

mod health;
mod memory;
mod panic;
mod policy_change;
mod reads;
mod running;
mod signals;
mod simulate;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prefix_core::address::Prefix;
use prefix_core::alert::Alert;
use prefix_core::audit::AuditEntry;
use prefix_core::event::{EventAction, EventStatus, Report};
use prefix_core::guard::GuardWatch;
use prefix_core::id::{InstanceId, MitigationId};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::panic::PanicScope;
use prefix_core::safelist::SafelistEntry;
use prefix_core::{Announcer, Clock, Store};
use prefix_policy::{CheckContext, ManualRequest, Policy};
use tokio::sync::{broadcast, oneshot};
use tokio::time::timeout;

use crate::answer::{
    Answer, BatchItem, BulkItem, Created, EventOutcome, Inadmissible, InvalidItem, MitigationView,
    ReloadReport, SafelistAdded,
};
use crate::caller::Caller;
use crate::command::acknowledge::Acknowledge;
use crate::command::create::{Create, Outcome};
use crate::command::ingest::Ingest;
use crate::command::record::Record;
use crate::command::revalidate::{Conclusion, Revalidate};
use crate::command::safelist::{Change, ChangeSafelist, Changed, hit_by};
use crate::command::withdraw::Withdraw;
use crate::commit_queue::{Command, RequestClaim};
use crate::error::EngineError;
use crate::settings::Settings;
use crate::telemetry;
pub use policy_change::{PolicyChange, Rehearsal};
use running::Running;
pub use signals::CorroborationReport;
pub use simulate::{SimulationInput, SimulationReport, with_ends};

/// What the engine is composed of.
pub struct EngineParts {
    /// Durable storage.
    pub store: Arc<dyn Store>,
    /// The speaker.
    pub announcer: Arc<dyn Announcer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
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

/// The running engine; clones are handles to the same one.
#[derive(Clone)]
pub struct Engine {
    running: Arc<Running>,
}

/// How long a request waits for its turn: detectors give up after ten seconds, and send again.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many mitigations are withdrawn in one unit of work.
const MOST_AT_ONCE: usize = 2_048;

impl Engine {
    /// Loads the written intent, checks it against today's policy, and starts to work.
    pub async fn start(parts: EngineParts) -> Result<Self, EngineError> {
        Ok(Self { running: Running::start(parts).await? })
    }

    /// Hands a command over and waits for its answer.
    async fn ask<T>(
        &self,
        command: impl Command + 'static,
        answer: oneshot::Receiver<T>,
    ) -> Result<T, EngineError> {
        if self.running.shared.stopping.load(Ordering::Acquire) {
            return Err(EngineError::ShuttingDown);
        }
        let commit_queue = self.running.commit_queue().ok_or(EngineError::ShuttingDown)?;
        let turn = RequestClaim::default();
        let waited = async {
            commit_queue.submit_claimed(Box::new(command), turn.clone()).await?;
            answer.await.map_err(|_| EngineError::Internal("a command was lost".into()))
        };
        tokio::pin!(waited);
        match timeout(PATIENCE, &mut waited).await {
            Ok(answer) => answer,
            Err(_) if turn.take() => Err(EngineError::StorageUnavailable(format!(
                "storage is too slow: the request waited {} s for its turn, and nothing of it is stored",
                PATIENCE.as_secs()
            ))),
            Err(_) => waited.await,
        }
    }

    /// The same, for what takes rules away: it waits behind nothing.
    async fn ask_urgently<T>(
        &self,
        command: impl Command + 'static,
        answer: oneshot::Receiver<T>,
    ) -> Result<T, EngineError> {
        if self.running.shared.stopping.load(Ordering::Acquire) {
            return Err(EngineError::ShuttingDown);
        }
        self.running.commit_queue().ok_or(EngineError::ShuttingDown)?.submit_urgent(Box::new(command))?;
        answer.await.map_err(|_| EngineError::Internal("a command was lost".into()))
    }

    /// A detector's event, ban or unban.
    pub async fn ingest(&self, report: Report, caller: &Caller) -> Result<Answer<EventOutcome>, EngineError> {
        match self.check_report(&report) {
            Ok(()) => self.ingest_one(Ok(report), caller).await,
            Err(inadmissible) => self.refuse_event(inadmissible, caller).await,
        }
    }

    /// A single report that is no event: an error, or what was answered to its `Idempotency-Key` before. The refusal
    /// is the answer to that key from then on, whatever is configured later.
    pub async fn refuse_event(
        &self,
        inadmissible: Inadmissible,
        caller: &Caller,
    ) -> Result<Answer<EventOutcome>, EngineError> {
        if caller.idempotency.is_none() {
            return Err(inadmissible.into());
        }
        let error = EngineError::from(inadmissible.clone()).to_string();
        let item = InvalidItem { external_event_id: None, error, inadmissible: Some(inadmissible) };
        self.ingest_one(Err(item), caller).await
    }

    async fn ingest_one(
        &self,
        item: BatchItem,
        caller: &Caller,
    ) -> Result<Answer<EventOutcome>, EngineError> {
        let Answer { value, replayed } = self.ingest_all(vec![item], caller).await?;
        let value = value.into_iter().next();
        let value = value.ok_or_else(|| EngineError::Internal("an event has no outcome".into()))?;
        Ok(Answer { value, replayed })
    }

    /// Several events, in order, as if sent alone. One outcome per item.
    pub async fn ingest_batch(
        &self,
        items: Vec<BatchItem>,
        caller: &Caller,
    ) -> Result<Answer<Vec<EventOutcome>>, EngineError> {
        let checked = items.into_iter().map(|item| {
            item.and_then(|report| match self.check_report(&report) {
                Ok(()) => Ok(report),
                Err(inadmissible) => Err(InvalidItem {
                    external_event_id: report.external_event_id.map(Into::into),
                    error: EngineError::from(inadmissible).to_string(),
                    inadmissible: None,
                }),
            })
        });
        self.ingest_all(checked.collect(), caller).await
    }

    /// What needs configuration to be judged, but no storage.
    fn check_report(&self, report: &Report) -> Result<(), Inadmissible> {
        if report.source.is_operator() {
            let detail = format!(
                "source {:?} is reserved: names beginning with \"operator:\" belong to people",
                report.source.as_str()
            );
            return Err(Inadmissible::NotAllowed(detail));
        }
        let policy = self.policy();
        if let Some(vector) = report.vector.as_ref().filter(|vector| policy.vector(vector).is_none()) {
            telemetry::unknown_vector(report.source.as_str());
            let defined = policy.vector_names();
            return Err(Inadmissible::UnknownVector { vector: vector.to_string(), defined });
        }
        // what such a source reported while it was primary it may still end
        if report.action == EventAction::Ban && policy.parts().sources.is_corroborating(&report.source) {
            telemetry::corroborating_only(report.source.as_str());
            return Err(Inadmissible::CorroboratingOnly(report.source.clone()));
        }
        Ok(())
    }

    async fn ingest_all(
        &self,
        items: Vec<BatchItem>,
        caller: &Caller,
    ) -> Result<Answer<Vec<EventOutcome>>, EngineError> {
        let _only_one = self.running.claim(caller.idempotency.as_ref()).await;
        let (command, answer) = Ingest::new(items, caller.clone());
        let mut answer = self.ask(command, answer).await??;
        if !answer.replayed {
            self.wait_for_speaker(&mut answer.value).await;
        }
        Ok(answer)
    }

    /// Waits for the confirmation of what these events changed, and shows where it stands then.
    async fn wait_for_speaker(&self, outcomes: &mut [EventOutcome]) {
        let mut waits = Vec::new();
        for outcome in outcomes.iter() {
            if let EventOutcome::Accepted(ingested) = outcome {
                let changed = matches!(ingested.status, EventStatus::Accepted | EventStatus::Withdrawn);
                waits.extend(ingested.mitigation_id.filter(|_| changed));
                waits.extend(ingested.mitigations.iter().map(|touched| touched.mitigation_id));
            }
        }
        let reached = self.running.wait(&waits).await;
        for outcome in outcomes {
            let EventOutcome::Accepted(ingested) = outcome else { continue };
            if let Some(status) = ingested.mitigation_id.and_then(|id| reached.get(&id)) {
                ingested.mitigation_status = Some(*status);
            }
            for touched in &mut ingested.mitigations {
                if let Some(status) = reached.get(&touched.mitigation_id) {
                    touched.mitigation_status = *status;
                }
            }
        }
    }

    /// An operator's rule.
    pub async fn create(
        &self,
        request: ManualRequest,
        caller: &Caller,
    ) -> Result<Answer<Created>, EngineError> {
        if self.policy().vector(&request.vector).is_none() {
            let defined = self.policy().vector_names();
            return Err(EngineError::UnknownVector { vector: request.vector.to_string(), defined });
        }
        let _only_one = self.running.claim(caller.idempotency.as_ref()).await;
        let (command, answer) = Create::new(request, caller.clone());
        let Answer { value, replayed } = self.ask(command, answer).await??;
        match value {
            Outcome::Refused { refusal, mitigation_id } => {
                let stored = mitigation_id.filter(|_| !caller.dry_run);
                let error = EngineError::Guardrail { refusal, mitigation_id: stored };
                Err(if replayed { EngineError::Replayed(Box::new(error)) } else { error })
            }
            Outcome::Made { row, replaced } => {
                let row = if caller.dry_run || replayed { *row } else { self.settled(*row).await };
                Ok(Answer { value: Created { view: self.view(row), replaced }, replayed })
            }
        }
    }

    /// The row once the speaker confirmed it, or as it is when the wait is over.
    async fn settled(&self, row: Mitigation) -> Mitigation {
        let id = row.mitigation_id;
        if self.running.wait(&[id]).await.is_empty() {
            return row;
        }
        match self.running.shared.store.mitigation(id).await {
            Ok(Some(row)) => row,
            _ => row,
        }
    }

    /// Ends a mitigation; repeating it is harmless until it has ended.
    pub async fn withdraw(
        &self,
        id: MitigationId,
        reason: &str,
        caller: &Caller,
    ) -> Result<MitigationView, EngineError> {
        let (command, answer) = Withdraw::new(vec![id], reason, caller.clone());
        let row = self.ask_urgently(command, answer).await??.into_iter().next();
        let row = *row.ok_or_else(|| EngineError::Internal("a withdraw has no outcome".into()))??;
        let row = if caller.dry_run { row } else { self.settled(row).await };
        Ok(self.view(row))
    }

    /// Ends several mitigations, each on its own.
    pub async fn withdraw_many(
        &self,
        ids: Vec<MitigationId>,
        reason: &str,
        caller: &Caller,
    ) -> Result<Vec<BulkItem>, EngineError> {
        let (command, answer) = Withdraw::new(ids.clone(), reason, caller.clone());
        let rows = self.ask_urgently(command, answer).await??;
        let reached = if caller.dry_run { HashMap::default() } else { self.running.wait(&ids).await };
        let items = ids.into_iter().zip(rows).map(|(mitigation_id, row)| {
            let result = match row {
                Ok(row) => Ok(reached.get(&mitigation_id).copied().unwrap_or(row.status)),
                Err(error) => Err(error.to_string()),
            };
            BulkItem { mitigation_id, result }
        });
        Ok(items.collect())
    }

    /// Marks mitigations as seen by the caller.
    pub async fn acknowledge(
        &self,
        ids: Vec<MitigationId>,
        caller: &Caller,
    ) -> Result<Vec<BulkItem>, EngineError> {
        let (command, answer) = Acknowledge::new(ids, caller.clone());
        self.ask(command, answer).await?
    }

    /// Puts a safelist entry and withdraws what it covers.
    pub async fn safelist_add(
        &self,
        entry: SafelistEntry,
        caller: &Caller,
    ) -> Result<SafelistAdded, EngineError> {
        let (command, answer) = ChangeSafelist::new(Change::Add(entry), caller.clone());
        match self.ask(command, answer).await?? {
            Changed::Added(mut added) => {
                let shared = &self.running.shared;
                let rest = hit_by(shared, &added.entry).into_iter().map(|row| row.mitigation_id);
                let rest: Vec<MitigationId> = rest.filter(|id| !added.withdrawn.contains(id)).collect();
                if caller.dry_run {
                    added.withdrawn.extend(rest);
                    return Ok(added);
                }
                for ids in rest.chunks(512) {
                    let (command, answer) = Revalidate::asked_by(caller.clone(), ids.to_vec());
                    added.withdrawn.extend(self.ask_urgently(command, answer).await??);
                }
                // what the intents does not hold any more has ended
                let mut waiting = added.withdrawn.clone();
                waiting.retain(|id| shared.intents.get(*id).is_some());
                self.running.wait(&waiting).await;
                Ok(added)
            }
            Changed::Done => Err(EngineError::Internal("an added entry is missing".into())),
        }
    }

    /// Removes a safelist entry.
    pub async fn safelist_remove(&self, prefix: Prefix, caller: &Caller) -> Result<(), EngineError> {
        let (command, answer) = ChangeSafelist::new(Change::Remove(prefix), caller.clone());
        self.ask(command, answer).await?.map(|_| ())
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.running.shared.policy()
    }

    /// Replaces the policy by what the files say; more than 10 rules, or more than a tenth of 10 or more living rules,
    /// are only withdrawn with `force`.
    pub async fn reload(
        &self,
        policy: Policy,
        force: bool,
        caller: &Caller,
    ) -> Result<ReloadReport, EngineError> {
        let rehearsal = self.rehearse(&policy).await?;
        if caller.dry_run {
            // a rehearsal shows what would happen, whatever that is
            return Ok(ReloadReport { withdrawn: rehearsal.failing });
        }
        rehearsal.brake(force)?;
        self.replace_policy(policy, PolicyChange::reload(force), caller).await
    }

    /// What a policy would withdraw if it were in force now.
    pub async fn rehearse(&self, policy: &Policy) -> Result<Rehearsal, EngineError> {
        let shared = &self.running.shared;
        let safelist = shared.policy_in_force.safelist_index(&shared.store.safelist().await?);
        let now = shared.now();
        let rows = shared.intents.rows();
        // what a panic withdraws is withdrawn without this reload
        let context = CheckContext { now, safelist: &safelist, frozen: &[] };
        let living: Vec<_> = rows.iter().filter(|row| row.lives()).collect();
        let failing = living
            .iter()
            .filter(|row| policy.revalidate(row, context).is_err())
            .map(|row| row.mitigation_id)
            .collect();
        Ok(Rehearsal { failing, living: living.len() })
    }

    /// Replaces the policy and withdraws what no longer passes, however much that is. If that cannot be carried out, the
    /// former policy is in force again.
    pub async fn replace_policy(
        &self,
        policy: Policy,
        change: PolicyChange,
        caller: &Caller,
    ) -> Result<ReloadReport, EngineError> {
        let (engine, caller) = (self.clone(), caller.clone());
        // what began is ended, whether or not the caller waits for it
        let replaced = tokio::spawn(async move {
            let shared = &engine.running.shared;
            let before = shared.policy_in_force.replace(policy, shared.now());
            telemetry::initial_series(&shared.policy());
            let carried_out = engine.carry_out(change, &caller).await;
            if carried_out.is_err() {
                // nobody would withdraw later what no longer passes: then it is the former policy that runs
                shared.policy_in_force.restore(before);
            }
            carried_out
        });
        replaced
            .await
            .unwrap_or_else(|panic| Err(EngineError::Internal(format!("the reload ended: {panic}"))))
    }

    /// Withdraws what the policy in force lets pass no longer, in one unit of work with the audit entry. More than
    /// [`MOST_AT_ONCE`] are withdrawn in several; what those before a failure have withdrawn stays withdrawn.
    async fn carry_out(&self, change: PolicyChange, caller: &Caller) -> Result<ReloadReport, EngineError> {
        let shared = &self.running.shared;
        // behind this empty command nothing is under way any more that was decided under the former policy
        let (barrier, passed) = Revalidate::new(Vec::new());
        self.ask(barrier, passed).await??;
        // nor is anything forgotten whose commit went unanswered, or that another instance has changed just now
        if let Some(commit_queue) = self.running.commit_queue() {
            shared.route_queue.enqueue(commit_queue.reload().await?);
        }
        let policy = shared.policy();
        let safelist = shared.policy_in_force.safelist_index(&shared.store.safelist().await?);
        let context = CheckContext { now: shared.now(), safelist: &safelist, frozen: &[] };
        let rows = shared.intents.rows();
        let failing = rows.iter().filter(|row| row.lives() || row.status == Status::Queued);
        let failing = failing.filter(|row| policy.revalidate(row, context).is_err());
        let mut ids: Vec<MitigationId> = failing.map(|row| row.mitigation_id).collect();
        ids.sort();
        let mut withdrawn = Vec::new();
        let last = ids.split_off(ids.len() - ids.len().min(MOST_AT_ONCE));
        for ids in ids.chunks(MOST_AT_ONCE) {
            let (command, answer) = Revalidate::new(ids.to_vec());
            withdrawn.extend(self.ask(command, answer).await??);
        }
        let conclusion = Conclusion { change, caller: caller.clone(), earlier: withdrawn.clone() };
        let (command, answer) = Revalidate::concluding(last, conclusion);
        withdrawn.extend(self.ask(command, answer).await??);
        shared.alerts.config_reloaded(caller.actor.name(), withdrawn.len());
        Ok(ReloadReport { withdrawn })
    }

    /// Writes an audit entry of its own, e.g. for a refused request.
    pub async fn record(&self, entry: AuditEntry) -> Result<(), EngineError> {
        self.record_all(vec![entry]).await
    }

    async fn record_all(&self, entries: Vec<AuditEntry>) -> Result<(), EngineError> {
        let (command, answer) = Record::new(entries);
        self.ask(command, answer).await?
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
