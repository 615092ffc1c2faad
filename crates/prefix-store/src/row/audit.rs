//! The row of an audit entry.

use diesel::prelude::{Insertable, Queryable, Selectable};
use prefix_core::audit::{Actor, ActorType, AuditEntry};
use prefix_core::name::Pop;
use prefix_core::store::StoreError;

use super::{corrupt, json, time, without_nul};
use crate::key;
use crate::schema::audit_entries;
use crate::sql_type::{Id, Micros};

/// A stored entry.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = audit_entries)]
pub(crate) struct AuditRow {
    audit_id: Id,
    at: Micros,
    actor_type: String,
    actor_id: Option<String>,
    action: String,
    target_type: Option<String>,
    target_id: Option<String>,
    details: String,
}

impl AuditRow {
    pub(crate) fn parse(self) -> Result<AuditEntry, StoreError> {
        let id = self.audit_id.0;
        let bad = |problem: String| corrupt("audit_entries", id, problem);
        let kind = match self.actor_type.as_str() {
            "system" => ActorType::System,
            "detector" => ActorType::Detector,
            "operator" => ActorType::Operator,
            other => return Err(bad(format!("{other:?} is no kind of actor"))),
        };
        Ok(AuditEntry {
            audit_id: id.into(),
            timestamp: time("audit_entries", id, self.at)?,
            actor: Actor { kind, id: self.actor_id },
            action: self.action,
            target_type: self.target_type,
            target_id: self.target_id,
            details: serde_json::from_str(&self.details).map_err(|error| bad(error.to_string()))?,
            seal: None,
        })
    }
}

/// A row to insert.
#[derive(Debug, Insertable)]
#[diesel(table_name = audit_entries, treat_none_as_default_value = false)]
pub(crate) struct NewAudit<'a> {
    pub(crate) audit_id: Id,
    pub(crate) at: Micros,
    pub(crate) pop: &'a str,
    pub(crate) actor_type: &'static str,
    pub(crate) actor_id: Option<&'a str>,
    pub(crate) actor_key: Option<i64>,
    pub(crate) action: &'a str,
    pub(crate) target_type: Option<&'a str>,
    pub(crate) target_id: Option<&'a str>,
    pub(crate) target_key: Option<i64>,
    pub(crate) details: String,
}

impl<'a> NewAudit<'a> {
    pub(crate) fn new(entry: &'a AuditEntry, pop: &'a Pop) -> Result<Self, StoreError> {
        let text = |what: &str, text: &'a Option<String>| {
            text.as_deref().map(|text| without_nul(what, text)).transpose()
        };
        let actor_id = text("actor_id", &entry.actor.id)?;
        let target_id = text("target_id", &entry.target_id)?;
        Ok(Self {
            audit_id: Id(entry.audit_id.as_uuid()),
            at: entry.timestamp.into(),
            pop: pop.as_str(),
            actor_type: entry.actor.kind.as_str(),
            actor_id,
            actor_key: actor_id.map(key::of_text),
            action: without_nul("action", &entry.action)?,
            target_type: text("target_type", &entry.target_type)?,
            target_id,
            target_key: target_id.map(key::of_text),
            details: json("audit details", &entry.details)?,
        })
    }
}
