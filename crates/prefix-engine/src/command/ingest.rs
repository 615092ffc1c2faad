//! Events of detectors: one, or several in order. Each is stored, whatever becomes of it.

use chrono::{DateTime, Utc};
use prefix_core::event::EventAction;
use prefix_core::id::EventId;
use prefix_core::ports::ReadSet;
use prefix_policy::use_cases::{EventOutcome, Ids, InstanceFacts, RandomIds, UnitOfWork, ingest};

use super::repeatable::Repeatable;
use crate::answer::BatchItem;
use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};

/// One item as it was sent, with the identifiers of what it may make.
struct Item {
    sent: BatchItem,
    ids: Ids,
}

impl Item {
    fn new(sent: BatchItem, now: DateTime<Utc>) -> Self {
        Self { sent, ids: Ids::new(EventId::generate_at(now), &RandomIds(now)) }
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        let Ok(report) = &self.sent else { return };
        // what is left of a group without one of its sources may be enough: unbans may make rules, too
        context.read_victim(report.victim_ip, reads);
        if report.action == EventAction::Unban {
            reads.sightings.insert((report.source.clone(), report.victim_ip));
            reads.episodes.extend(report.external_event_id.clone().map(|id| (report.source.clone(), id)));
            if let Some((source, id)) = report.ends_everywhere() {
                let victims = context.victims_of_episode(source, id).into_iter();
                victims.for_each(|victim| context.read_victim(victim, reads));
            }
        }
        reads.ends.extend(report.end_read());
    }

    fn run(&self, uow: &mut UnitOfWork<'_>, caller: &Caller) -> EventOutcome {
        match &self.sent {
            Ok(report) => ingest(uow, report, &self.ids, &caller.author()),
            Err(invalid) => EventOutcome::Invalid(invalid.clone()),
        }
    }
}

fn read_signals(context: &CommandContext<'_>, reads: &mut ReadSet) {
    reads.admission = true;
    reads.victim_groups = context.policy.correlates();
    reads.corroborations = context.policy.uses_corroboration();
}

/// False for a refusal that holds for a while only.
fn is_lasting(outcome: &EventOutcome) -> bool {
    !matches!(outcome, EventOutcome::Refused(refused) if refused.refusal.retry_after_seconds.is_some())
}

/// Takes one event.
pub(crate) struct Ingest {
    item: Item,
    caller: Caller,
}

impl Ingest {
    pub(crate) fn new(item: BatchItem, caller: Caller, now: DateTime<Utc>) -> Self {
        Self { item: Item::new(item, now), caller }
    }
}

impl Command for Ingest {
    type Output = EventOutcome;

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        read_signals(context, reads);
        self.item.reads(context, reads);
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> EventOutcome {
        self.item.run(uow, &self.caller)
    }

    fn ends_with_caller(&self) -> bool {
        true
    }
}

impl Repeatable for Ingest {
    // a list of one, as it is stored since the first version: other instances may be older
    fn encode(outcome: &EventOutcome) -> Option<serde_json::Result<String>> {
        is_lasting(outcome).then(|| serde_json::to_string(&[outcome]))
    }

    fn decode(stored: &str) -> serde_json::Result<EventOutcome> {
        serde_json::from_str(stored).map(|[outcome]: [EventOutcome; 1]| outcome)
    }
}

/// Takes several events in order, as if sent alone.
pub(crate) struct IngestBatch {
    items: Vec<Item>,
    caller: Caller,
}

impl IngestBatch {
    pub(crate) fn new(items: impl Iterator<Item = BatchItem>, caller: Caller, now: DateTime<Utc>) -> Self {
        Self { items: items.map(|item| Item::new(item, now)).collect(), caller }
    }
}

impl Command for IngestBatch {
    type Output = Vec<EventOutcome>;

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        read_signals(context, reads);
        self.items.iter().for_each(|item| item.reads(context, reads));
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Vec<EventOutcome> {
        self.items.iter().map(|item| item.run(uow, &self.caller)).collect()
    }

    fn ends_with_caller(&self) -> bool {
        true
    }

    fn weight(&self) -> usize {
        self.items.len()
    }
}

impl Repeatable for IngestBatch {
    fn encode(outcomes: &Vec<EventOutcome>) -> Option<serde_json::Result<String>> {
        outcomes.iter().all(is_lasting).then(|| serde_json::to_string(outcomes))
    }

    fn decode(stored: &str) -> serde_json::Result<Vec<EventOutcome>> {
        serde_json::from_str(stored)
    }
}
