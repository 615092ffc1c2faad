//! A report of a detector: it is stored, whatever becomes of it.

use std::net::IpAddr;

use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::decision::Decision;
use prefix_core::event::{Event, EventAction, EventStatus, Report};
use prefix_core::guardrail::Refusal;
use prefix_core::id::{EventId, GroupId, MitigationId};
use prefix_core::mitigation::Status;
use prefix_core::name::Identity;
use serde_json::{Value, json};

use super::id_generator::IdGenerator;
use super::outcome::{EventOutcome, Ingested};
use super::unit_of_work::UnitOfWork;
use super::{ban, unban};

/// The identifiers of an event, made before the first run so that a repeated run gives the same answer.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    /// Of the event.
    pub event: EventId,
    /// Of the mitigation that it may make.
    pub mitigation: MitigationId,
    /// Of the signal group that it may open.
    pub group: GroupId,
}

impl Ids {
    /// For an event.
    pub fn new(event: EventId, id_generator: &dyn IdGenerator) -> Self {
        Self { event, mitigation: id_generator.next().into(), group: id_generator.next().into() }
    }
}

/// On whose behalf a report is taken.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// For the audit.
    pub actor: &'a Actor,
    /// The request.
    pub request_id: &'a str,
    /// From where, as far as is known.
    pub address: Option<IpAddr>,
    /// Who is behind the report; `None` = whoever the source names.
    pub identity: Option<&'a Identity>,
}

impl Author<'_> {
    /// Who counts for a report in correlation.
    pub fn identity_of(&self, report: &Report) -> Identity {
        self.identity.cloned().unwrap_or_else(|| report.source.as_identity())
    }

    /// Says in the details of an audit entry by which request, and from where.
    pub(super) fn name_in(&self, details: &mut Value) {
        if !self.request_id.is_empty() {
            details["request_id"] = json!(self.request_id);
        }
        if let Some(address) = self.address {
            details["address"] = json!(address);
        }
    }

    /// Writes an audit entry that names the request.
    pub(super) fn audit(
        &self,
        uow: &mut UnitOfWork<'_>,
        action: AuditAction,
        on: (&str, impl ToString),
        mut details: Value,
    ) {
        self.name_in(&mut details);
        let entry = AuditEntry::new(uow.now, self.actor.clone(), action, details);
        uow.audit(entry.on(on.0, on.1));
    }
}

/// A report that is being taken.
#[derive(Clone, Copy)]
pub(super) struct Intake<'a> {
    pub(super) report: &'a Report,
    pub(super) ids: &'a Ids,
    pub(super) author: &'a Author<'a>,
    /// The signal group that it joined or left.
    pub(super) group: Option<GroupId>,
    /// Why it is acted on now, if it was taken earlier and its group has become enough only now.
    pub(super) because: Option<&'a str>,
}

/// Decides over a report, changes the rows, and stores it as an event.
pub fn ingest(uow: &mut UnitOfWork<'_>, report: &Report, ids: &Ids, author: &Author<'_>) -> EventOutcome {
    let intake = Intake { report, ids, author, group: None, because: None };
    let outcome = match report.action {
        EventAction::Ban => ban::ban(uow, intake),
        EventAction::Unban => unban::unban(uow, intake),
    };
    if uow.stores {
        uow.put_event(Event {
            event_id: ids.event,
            ingested_at: uow.now,
            report: report.clone(),
            identity: author.identity_of(report),
            status: outcome.status(),
            mitigation_id: outcome.mitigation_id(),
            signal_group_id: outcome.signal_group_id(),
            decision: outcome.decision().cloned().unwrap_or_else(Decision::open),
        });
    }
    outcome
}

impl Intake<'_> {
    /// Writes the audit entry of the event: its action is what became of it.
    pub(super) fn audit(&self, uow: &mut UnitOfWork<'_>, action: AuditAction, on: AuditTarget, more: Value) {
        if !uow.stores {
            return;
        }
        let mut details = json!({ "event_id": self.ids.event });
        self.author.name_in(&mut details);
        match self.because {
            Some(because) => details["reason"] = json!(because),
            None => {
                details["external_event_id"] = json!(self.report.external_event_id);
                details["source"] = json!(self.report.source);
                details["victim_ip"] = json!(self.report.victim_ip);
                details["vector"] = json!(self.report.vector);
            }
        }
        if let Some(group) = self.group {
            details["signal_group_id"] = json!(group);
        }
        if let (Some(details), Value::Object(more)) = (details.as_object_mut(), more) {
            details.extend(more);
        }
        let entry = AuditEntry::new(uow.now, self.author.actor.clone(), action, details);
        uow.audit(match on {
            AuditTarget::Mitigation(id) => entry.on("mitigation", id),
            AuditTarget::Event => entry.on("event", self.ids.event),
        });
    }

    /// What a guardrail said, for the audit entry.
    pub(super) fn words_of(&self, refusal: &Refusal) -> Value {
        let detail = if self.because.is_some() { "refused" } else { "reason" };
        json!({ "guardrail": refusal.guardrail, detail: refusal.detail })
    }

    /// The answer to an event that was not refused.
    pub(super) fn accepted(
        &self,
        status: EventStatus,
        mitigation: Option<(MitigationId, Status)>,
        decision: Decision,
    ) -> Ingested {
        Ingested {
            event_id: self.ids.event,
            external_event_id: self.report.external_event_id.clone(),
            status,
            mitigation_id: mitigation.map(|(id, _)| id),
            mitigation_status: mitigation.map(|(_, status)| status),
            signal_group_id: self.group,
            guardrail: None,
            retry_after_seconds: None,
            expires_at: None,
            mitigations: Vec::new(),
            decision,
        }
    }
}

/// What the audit entry of an event is about.
#[derive(Clone, Copy)]
pub(super) enum AuditTarget {
    /// A mitigation that it made, renewed or released.
    Mitigation(MitigationId),
    /// The event itself.
    Event,
}

impl From<Ingested> for EventOutcome {
    fn from(ingested: Ingested) -> Self {
        Self::Accepted(Box::new(ingested))
    }
}
