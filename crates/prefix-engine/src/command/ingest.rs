//! Events of detectors: one, or several in order. Each is stored, whatever becomes of it.

use std::sync::Arc;

use prefix_core::event::EventAction;
use prefix_core::id::EventId;
use prefix_core::store::{ReadSet, StoreError};
use prefix_policy::use_cases::{self, Ids, RandomIds, UnitOfWork};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::reply;
use crate::alerts::RefusalSubject;
use crate::answer::{Answer, BatchItem, EventOutcome};
use crate::caller::Caller;
use crate::commit_queue::{Command, LONG_WAIT};
use crate::error::EngineError;
use crate::shared::Shared;
use crate::telemetry;

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
        let items = items.into_iter().map(|item| (item, Ids::new(EventId::generate(), &RandomIds))).collect();
        (Self { items, caller, arrived: Instant::now(), reply, result: None }, receiver)
    }
}

impl Command for Ingest {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        let policy = shared.policy();
        reads.victim_groups = policy.correlates();
        reads.corroborations = policy.uses_corroboration();
        for report in self.items.iter().filter_map(|(item, _)| item.as_ref().ok()) {
            reads.victims.insert(report.victim_ip);
            if report.action == EventAction::Unban {
                reads.sightings.insert((report.source.clone(), report.victim_ip));
                if let Some(id) = &report.external_event_id {
                    reads.episodes.insert((report.source.clone(), id.clone()));
                }
            }
            // what is left of a group without one of its sources may be enough
            if let Some(owned) = policy.lookup(report.victim_ip) {
                reads.customers.insert(owned.customer_id().clone());
            }
        }
        reply::reads(&self.caller, reads);
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        if let Some(stored) = reply::stored(uow, &self.caller) {
            self.result = Some(stored.map(|value| Answer { value, replayed: true }));
            return;
        }
        let caller = &self.caller;
        let outcomes: Vec<EventOutcome> =
            self.items.iter().map(|(item, ids)| ingest_item(uow, item, ids, caller)).collect();
        let repeatable = outcomes.iter().all(|outcome| match outcome {
            EventOutcome::Refused(refused) => refused.refusal.retry_after_seconds.is_none(),
            _ => true,
        });
        if repeatable {
            reply::store(uow, caller, &outcomes, uow.now);
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
            telemetry::refused(&refused.refusal);
            telemetry::event_refused(report.source.as_str());
            let vector = report.vector.clone().unwrap_or_else(prefix_policy::unknown_vector);
            let about = RefusalSubject {
                mitigation_id: Some(refused.mitigation_id),
                victim_ip: report.victim_ip,
                vector: &vector,
                flow: refused.decision.rule.as_ref().map(|rule| rule.flow.clone()),
            };
            shared.alerts.rejected(&refused.refusal, &about);
        }
    }
}

fn ingest_item(uow: &mut UnitOfWork<'_>, item: &BatchItem, ids: &Ids, caller: &Caller) -> EventOutcome {
    match item {
        Ok(report) => use_cases::ingest(uow, report, ids, &caller.author()).into(),
        Err(invalid) => EventOutcome::Invalid(invalid.clone()),
    }
}
