//! What detectors send: events, one or several, and the answer once the speaker has confirmed what they changed.

use std::collections::HashMap;

use prefix_core::event::{EventStatus, Report};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use prefix_policy::use_cases::{EventOutcome, Inadmissible, InvalidItem};

use super::Engine;
use crate::answer::{Answer, BatchItem};
use crate::caller::Caller;
use crate::command::ingest::{Ingest, IngestBatch};
use crate::command::repeatable::Once;
use crate::confirmation_waiters::awaits_speaker;
use crate::error::EngineError;
use crate::telemetry;

impl Engine {
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
        let _only_one = self.running.claim(caller.idempotency.as_ref()).await;
        self.check_time()?;
        let mut answer = self.ask(Once(Ingest::new(item, caller.clone(), self.now()))).await??;
        if !answer.replayed {
            self.wait_for_speaker(std::slice::from_mut(&mut answer.value)).await;
        }
        Ok(answer)
    }

    /// Several events, in order, as if sent alone. One outcome per item.
    pub async fn ingest_batch(
        &self,
        items: Vec<BatchItem>,
        caller: &Caller,
    ) -> Result<Answer<Vec<EventOutcome>>, EngineError> {
        let checked = items.into_iter().map(|item| {
            let report = item?;
            match self.check_report(&report) {
                Ok(()) => Ok(report),
                Err(inadmissible) => Err(InvalidItem {
                    external_event_id: report.external_event_id.map(Into::into),
                    error: EngineError::from(inadmissible).to_string(),
                    inadmissible: None,
                }),
            }
        });
        self.check_time()?;
        let command = IngestBatch::new(checked, caller.clone(), self.now());
        let _only_one = self.running.claim(caller.idempotency.as_ref()).await;
        let mut answer = self.ask(Once(command)).await??;
        if !answer.replayed {
            self.wait_for_speaker(&mut answer.value).await;
        }
        Ok(answer)
    }

    /// What needs configuration to be judged, but no storage.
    fn check_report(&self, report: &Report) -> Result<(), Inadmissible> {
        self.policy().check_report(report).inspect_err(|inadmissible| match inadmissible {
            Inadmissible::UnknownVector { .. } => telemetry::unknown_vector(report.source.as_str()),
            Inadmissible::CorroboratingOnly(source) => telemetry::corroborating_only(source.as_str()),
            Inadmissible::NotAllowed(_) => {}
        })
    }

    /// Waits for the confirmation of what these events changed, and shows where it stands then.
    async fn wait_for_speaker(&self, outcomes: &mut [EventOutcome]) {
        let mut known: HashMap<MitigationId, Status> = HashMap::new();
        for outcome in outcomes.iter_mut() {
            let is_changed = matches!(outcome.status(), EventStatus::Accepted | EventStatus::Withdrawn);
            let (of_event, touched) = standings(outcome);
            known.extend(
                of_event.filter(|_| is_changed).into_iter().chain(touched).map(|(id, now)| (id, *now)),
            );
        }
        let waits = known.iter().filter(|(_, status)| awaits_speaker(**status)).map(|(id, _)| *id).collect();
        known.extend(self.running.wait(waits).await.into_iter().map(|(id, row)| (id, row.status)));
        for outcome in outcomes {
            let (of_event, touched) = standings(outcome);
            for (id, status) in of_event.into_iter().chain(touched) {
                *status = known.get(&id).copied().unwrap_or(*status);
            }
        }
    }
}

/// A mitigation, and where an answer says that it stands.
type Standing<'a> = (MitigationId, &'a mut Status);

/// The mitigation of an event, and all that it touched if they are several.
fn standings(outcome: &mut EventOutcome) -> (Option<Standing<'_>>, Vec<Standing<'_>>) {
    let EventOutcome::Accepted(ingested) = outcome else { return (None, Vec::new()) };
    let touched = ingested.mitigations.iter_mut();
    let touched = touched.map(|touched| (touched.mitigation_id, &mut touched.mitigation_status));
    (ingested.mitigation_id.zip(ingested.mitigation_status.as_mut()), touched.collect())
}
