//! The rows of an audit entry and of its place in the chain.

use chrono::DateTime;
use diesel::prelude::{Insertable, Queryable, Selectable};
use prefix_core::audit::{Actor, ActorType, AuditEntry};
use prefix_core::chain::{ChainHash, ChainHead, Seal};
use prefix_core::name::Pop;
use prefix_core::store::StoreError;
use serde_json::{Value, json};

use super::{json, time, unreadable, without_nul};
use crate::key;
use crate::schema::{audit_entries, audit_seals};
use crate::sql_type::{Id, Micros};

/// A stored entry.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = audit_entries)]
pub(crate) struct AuditRow {
    audit_id: Id,
    at: Micros,
    actor_type: String,
    actor_id: Option<String>,
    actor_key: Option<i64>,
    action: String,
    target_type: Option<String>,
    target_id: Option<String>,
    target_key: Option<i64>,
    details: String,
}

impl AuditRow {
    /// Its place in lists.
    pub(crate) fn place(&self) -> (Micros, Id) {
        (self.at, self.audit_id)
    }

    /// The entry, with its place if it is sealed. One that cannot be read comes as an entry that says so: a list is
    /// not lost for one row, and the chain is broken there and nowhere else.
    pub(crate) fn parse(self, seal: Option<SealRow>) -> AuditEntry {
        let id = self.audit_id.0;
        let seal = seal.map(SealRow::parse);
        let mut problems = Vec::new();
        let kind = match self.actor_type.as_str() {
            "system" => ActorType::System,
            "detector" => ActorType::Detector,
            "operator" => ActorType::Operator,
            other => {
                problems.push(format!("{other:?} is no kind of actor"));
                ActorType::System
            }
        };
        let timestamp = time("audit_entries", id, self.at).unwrap_or_else(|error| {
            problems.push(error.to_string());
            DateTime::UNIX_EPOCH
        });
        let mut details = serde_json::from_str(&self.details).unwrap_or_else(|error| {
            problems.push(format!("the details are no JSON: {error}"));
            Value::Null
        });
        if self.actor_key != self.actor_id.as_deref().map(key::of_text) {
            problems.push("the key of the actor is not that of its name".to_owned());
        }
        if self.target_key != self.target_id.as_deref().map(key::of_text) {
            problems.push("the key of the target is not that of its id".to_owned());
        }
        if !problems.is_empty() {
            unreadable("audit_entries", id, problems.join("; "));
            details = json!({"unreadable": problems, "details": self.details});
        }
        AuditEntry {
            audit_id: id.into(),
            timestamp,
            actor: Actor { kind, id: self.actor_id },
            action: self.action,
            target_type: self.target_type,
            target_id: self.target_id,
            details,
            seal,
        }
    }
}

/// The place of an entry in the chain of its pop.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_seals)]
pub(crate) struct SealRow {
    pub(crate) pop: String,
    pub(crate) seq: i64,
    pub(crate) audit_id: Id,
    pub(crate) prev_hash: Vec<u8>,
    pub(crate) hash: Vec<u8>,
}

impl SealRow {
    /// The row of a sealed entry; `None` if it is not sealed.
    pub(crate) fn of(entry: &AuditEntry, pop: &str) -> Option<Self> {
        let seal = entry.seal?;
        Some(Self {
            pop: pop.to_owned(),
            seq: seal.seq,
            audit_id: Id(entry.audit_id.as_uuid()),
            prev_hash: seal.prev_hash.as_bytes().to_vec(),
            hash: seal.hash.as_bytes().to_vec(),
        })
    }

    fn parse(self) -> Seal {
        Seal { seq: self.seq, prev_hash: hash(&self.prev_hash), hash: hash(&self.hash) }
    }
}

/// A hash of the wrong length comes as one that no entry has: the chain is broken there.
fn hash(bytes: &[u8]) -> ChainHash {
    <[u8; 32]>::try_from(bytes).unwrap_or([0xff; 32]).into()
}

/// The newest sealed entry of a pop, as its row says.
pub(crate) fn head((seq, bytes): (i64, Vec<u8>)) -> ChainHead {
    ChainHead { seq, hash: hash(&bytes) }
}

/// Says that entries were deleted before they could be sealed: nothing else will ever show it.
pub(crate) fn vanished(pop: &str, count: usize) {
    tracing::error!(pop, count, "audit entries were deleted from the database before they were sealed");
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
