//! A report of a detector: it is stored, whatever becomes of it.

use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::event::{Event, EventAction, EventStatus, Report};
use prefix_core::id::{EventId, GroupId, MitigationId};
use prefix_core::name::Identity;
use serde_json::json;

use super::id_generator::IdGenerator;
use super::outcome::{Ingested, Ingestion, RefusedEvent};
use super::unit_of_work::UnitOfWork;
use super::{ban, unban};

/// The identifiers of an event, made before the first run so that a repeated run gives the same answer.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    /// Of the event.
    pub event: EventId,
    /// Of the mitigation that it may make.
    pub mitigation: MitigationId,
    /// Of the companion of that.
    pub companion: MitigationId,
    /// Of the signal group that it may open.
    pub group: GroupId,
}

impl Ids {
    /// For an event.
    pub fn new(event: EventId, id_generator: &dyn IdGenerator) -> Self {
        Self {
            event,
            mitigation: id_generator.mitigation(),
            companion: id_generator.mitigation(),
            group: id_generator.group(),
        }
    }
}

/// On whose behalf a report is taken.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// For the audit.
    pub actor: &'a Actor,
    /// The request.
    pub request_id: &'a str,
    /// Who is behind the report; `None` = whoever the source names.
    pub identity: Option<&'a Identity>,
}

impl Author<'_> {
    /// Who counts for a report in correlation.
    pub fn identity_of(&self, report: &Report) -> Identity {
        self.identity.cloned().unwrap_or_else(|| report.source.as_identity())
    }
}

/// What one report does, found by [`ban`] or [`unban`].
pub(super) struct Effect {
    pub(super) outcome: Ingestion,
    pub(super) status: EventStatus,
    pub(super) mitigation_id: Option<MitigationId>,
    /// `None` where the repeat of a lease is only counted.
    pub(super) audit: Option<AuditEntry>,
}

/// Decides over a report, changes the rows, and stores it as an event.
pub fn ingest(uow: &mut UnitOfWork<'_>, report: &Report, ids: &Ids, author: &Author<'_>) -> Ingestion {
    let effect = match report.action {
        EventAction::Ban => ban::ban(uow, report, ids, author),
        EventAction::Unban => unban::unban(uow, report, ids, author),
    };
    if !uow.stores {
        return effect.outcome;
    }
    uow.put_event(Event {
        event_id: ids.event,
        ingested_at: uow.now,
        report: report.clone(),
        identity: author.identity_of(report),
        status: effect.status,
        mitigation_id: effect.mitigation_id,
        signal_group_id: effect.outcome.signal_group_id(),
        decision: effect.outcome.decision().clone(),
    });
    if let Some(entry) = effect.audit {
        uow.audit(entry);
    }
    effect.outcome
}

/// The audit entry of an event: its action is what became of it.
pub(super) fn audit_entry(
    uow: &UnitOfWork<'_>,
    report: &Report,
    ids: &Ids,
    author: &Author<'_>,
    action: AuditAction,
    more: serde_json::Value,
) -> AuditEntry {
    if !uow.stores {
        return AuditEntry::new(uow.now, Actor::SYSTEM, action, serde_json::Value::Null);
    }
    let mut details = json!({
        "request_id": author.request_id,
        "event_id": ids.event,
        "external_event_id": report.external_event_id,
        "source": report.source,
        "victim_ip": report.victim_ip,
        "vector": report.vector,
    });
    if let (Some(details), serde_json::Value::Object(more)) = (details.as_object_mut(), more) {
        details.extend(more);
    }
    AuditEntry::new(uow.now, author.actor.clone(), action, details)
}

impl Effect {
    /// An event that was not refused.
    pub(super) fn accepted(ingested: Ingested, audit: Option<AuditEntry>) -> Self {
        Self {
            status: ingested.status,
            mitigation_id: ingested.mitigation_id,
            outcome: Ingestion::Accepted(Box::new(ingested)),
            audit,
        }
    }

    /// An event that a guardrail refused.
    pub(super) fn refused(refused: RefusedEvent, audit: AuditEntry) -> Self {
        Self {
            status: EventStatus::Rejected,
            mitigation_id: Some(refused.mitigation_id),
            outcome: Ingestion::Refused(Box::new(refused)),
            audit: Some(audit),
        }
    }

    /// The report joined a group: the answer and the audit name it.
    pub(super) fn joined(&mut self, group: Option<GroupId>) {
        let Some(group) = group else { return };
        match &mut self.outcome {
            Ingestion::Accepted(ingested) => ingested.signal_group_id = Some(group),
            Ingestion::Refused(refused) => refused.signal_group_id = Some(group),
        }
        if let Some(details) = self.audit.as_mut().and_then(|entry| entry.details.as_object_mut()) {
            details.insert("signal_group_id".to_owned(), json!(group));
        }
    }
}
