//! Events of detectors: one, or several in order. Each is stored, whatever becomes of it.

use std::sync::Arc;

use prefix_core::audit::{AuditAction, AuditEntry};
use prefix_core::event::{Event, EventAction, EventStatus, Report};
use prefix_core::id::{EventId, MitigationId};
use prefix_core::store::{ReadSet, StoreError};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{ban, reply, unban};
use crate::alarms::{self, Refused};
use crate::answer::{Answer, BatchItem, EventOutcome, Ingested, InvalidItem, RefusedEvent};
use crate::caller::Caller;
use crate::desk::Desk;
use crate::error::EngineError;
use crate::journal::{Command, LONG_WAIT};
use crate::report;
use crate::shared::Shared;

/// What one event does, found by [`ban`] or [`unban`].
pub(super) struct Effect {
    pub(super) outcome: EventOutcome,
    pub(super) status: EventStatus,
    pub(super) mitigation_id: Option<MitigationId>,
    /// `None` where the repeat of a lease is only counted.
    pub(super) audit: Option<AuditEntry>,
}

/// The identifiers of an event, made before the first run so that a repeated run gives the same answer.
pub(super) struct Ids {
    pub(super) event: EventId,
    pub(super) mitigation: MitigationId,
    pub(super) companion: MitigationId,
}

impl Ids {
    fn generate() -> Self {
        Self {
            event: EventId::generate(),
            mitigation: MitigationId::generate(),
            companion: MitigationId::generate(),
        }
    }
}

type Reply = Result<Answer<Vec<EventOutcome>>, EngineError>;

/// See the module.
pub(crate) struct Ingest {
    items: Vec<(BatchItem, Ids)>,
    caller: Caller,
    arrived: Instant,
    reply: oneshot::Sender<Reply>,
    result: Option<Reply>,
}

impl Ingest {
    pub(crate) fn new(items: Vec<BatchItem>, caller: Caller) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        let items = items.into_iter().map(|item| (item, Ids::generate())).collect();
        (Self { items, caller, arrived: Instant::now(), reply, result: None }, receiver)
    }
}

impl Command for Ingest {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        let policy = shared.policy();
        for report in self.items.iter().filter_map(|(item, _)| item.as_ref().ok()) {
            reads.victims.insert(report.victim_ip);
            if report.action == EventAction::Unban {
                reads.sightings.insert((report.source.clone(), report.victim_ip));
                if let Some(id) = &report.external_event_id {
                    reads.episodes.insert((report.source.clone(), id.clone()));
                }
            } else if let Some(owned) = policy.lookup(report.victim_ip) {
                reads.customers.insert(owned.customer_id().clone());
            }
        }
        reply::reads(&self.caller, reads);
    }

    fn run(&mut self, desk: &mut Desk<'_>) {
        if let Some(stored) = reply::stored(desk, &self.caller) {
            self.result = Some(stored.map(|value| Answer { value, replayed: true }));
            return;
        }
        let caller = &self.caller;
        let outcomes: Vec<EventOutcome> =
            self.items.iter().map(|(item, ids)| ingest_item(desk, item, ids, caller)).collect();
        let repeatable = outcomes.iter().all(|outcome| match outcome {
            EventOutcome::Refused(refused) => refused.refusal.retry_after_seconds.is_none(),
            _ => true,
        });
        if repeatable {
            reply::store(desk, caller, &outcomes, desk.now);
        }
        self.result = Some(Ok(Answer::first(outcomes)));
    }

    fn is_abandoned(&self) -> bool {
        // a client that hung up early may not ask again; one that waited this long was told to
        self.reply.is_closed() && self.arrived.elapsed() > LONG_WAIT
    }

    fn done(self: Box<Self>, shared: &Arc<Shared>, result: Result<(), StoreError>) {
        let answer = match result {
            Ok(()) => {
                self.result.unwrap_or_else(|| Err(EngineError::Internal("a command did not run".into())))
            }
            Err(error) => Err(error.into()),
        };
        if let Ok(Answer { value, replayed: false }) = &answer {
            count(shared, value, &self.items);
        }
        // the client may be gone; what it sent is stored all the same
        let _ = self.reply.send(answer);
    }

    fn weight(&self) -> usize {
        self.items.len()
    }
}

fn count(shared: &Shared, outcomes: &[EventOutcome], items: &[(BatchItem, Ids)]) {
    for (outcome, (item, _)) in outcomes.iter().zip(items) {
        if let (EventOutcome::Refused(refused), Ok(report)) = (outcome, item) {
            report::refused(&refused.refusal);
            report::event_refused(report.source.as_str());
            let vector = report.vector.clone().unwrap_or_else(prefix_policy::unknown_vector);
            let about = Refused {
                mitigation_id: Some(refused.mitigation_id),
                victim_ip: report.victim_ip,
                vector: &vector,
                flow: refused.decision.rule.as_ref().map(|rule| rule.flow.clone()),
            };
            alarms::rejected(shared, &refused.refusal, &about);
        }
    }
}

fn ingest_item(desk: &mut Desk<'_>, item: &BatchItem, ids: &Ids, caller: &Caller) -> EventOutcome {
    let report = match item {
        Ok(report) => report,
        Err(invalid) => return EventOutcome::Invalid(invalid.clone()),
    };
    let effect = match report.action {
        EventAction::Ban => ban::ban(desk, report, ids, caller),
        EventAction::Unban => unban::unban(desk, report, ids, caller),
    };
    desk.put_event(Event {
        event_id: ids.event,
        ingested_at: desk.now,
        report: report.clone(),
        identity: report.source.as_identity(),
        status: effect.status,
        mitigation_id: effect.mitigation_id,
        signal_group_id: None,
        decision: decision_of(&effect.outcome),
    });
    if let Some(entry) = effect.audit {
        desk.audit(entry);
    }
    effect.outcome
}

fn decision_of(outcome: &EventOutcome) -> prefix_core::decision::Decision {
    match outcome {
        EventOutcome::Accepted(ingested) => ingested.decision.clone(),
        EventOutcome::Refused(refused) => refused.decision.clone(),
        EventOutcome::Invalid(InvalidItem { .. }) => prefix_core::decision::Decision::open(),
    }
}

/// The audit entry of an event: its action is what became of it.
pub(super) fn audit_entry(
    desk: &Desk<'_>,
    report: &Report,
    ids: &Ids,
    caller: &Caller,
    action: AuditAction,
    more: serde_json::Value,
) -> AuditEntry {
    let mut details = json!({
        "request_id": caller.request_id,
        "event_id": ids.event,
        "external_event_id": report.external_event_id,
        "source": report.source,
        "victim_ip": report.victim_ip,
        "vector": report.vector,
    });
    if let (Some(details), serde_json::Value::Object(more)) = (details.as_object_mut(), more) {
        details.extend(more);
    }
    AuditEntry::new(desk.now, caller.actor.clone(), action, details)
}

impl Effect {
    /// An event that was not refused.
    pub(super) fn accepted(ingested: Ingested, audit: Option<AuditEntry>) -> Self {
        Self {
            status: ingested.status,
            mitigation_id: ingested.mitigation_id,
            outcome: EventOutcome::Accepted(Box::new(ingested)),
            audit,
        }
    }

    /// An event that a guardrail refused.
    pub(super) fn refused(refused: RefusedEvent, audit: AuditEntry) -> Self {
        Self {
            status: EventStatus::Rejected,
            mitigation_id: Some(refused.mitigation_id),
            outcome: EventOutcome::Refused(Box::new(refused)),
            audit: Some(audit),
        }
    }
}
