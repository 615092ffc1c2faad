//! The rows of an audit entry and of its place in the chain.

use chrono::DateTime;
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, QueryableByName};
use diesel::row::NamedRow;
use diesel::sql_types::{BigInt, Nullable};
use prefix_core::audit::{Actor, ActorType, AuditEntry};
use prefix_core::audit_chain::{ChainHash, ChainHead, Seal, seal};
use prefix_core::name::Pop;
use prefix_core::ports::StoreError;
use serde_json::{Value, json};

use super::define::{record, row};
use super::{json, time, unreadable, without_nul};
use crate::key;
use crate::sql_type::{Id, Micros, Uid};

record! {
    /// A stored entry.
    AuditRow of audit_entries {
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
}

record! {
    /// The place of an entry in the chain of its pop.
    SealRow of audit_seals { seq: i64, prev_hash: Vec<u8>, hash: Vec<u8> }
}

/// An entry, and its place in the chain if it is sealed.
#[derive(Debug)]
pub(crate) struct SealedAuditRow {
    pub(crate) entry: AuditRow,
    seal: Option<SealRow>,
}

impl<DB: Backend> QueryableByName<DB> for SealedAuditRow
where
    AuditRow: QueryableByName<DB>,
    SealRow: QueryableByName<DB>,
    i64: FromSql<BigInt, DB>,
{
    fn build<'a>(row: &impl NamedRow<'a, DB>) -> deserialize::Result<Self> {
        let is_sealed = NamedRow::get::<Nullable<BigInt>, Option<i64>>(row, "seq")?.is_some();
        let seal = is_sealed.then(|| SealRow::build(row)).transpose()?;
        Ok(Self { entry: AuditRow::build(row)?, seal })
    }
}

impl SealedAuditRow {
    pub(crate) fn parse(self) -> AuditEntry {
        self.entry.parse(self.seal)
    }
}

/// What waits to be sealed, and its place in the queue. `None`: the entry is gone.
#[derive(Debug)]
pub(crate) struct UnsealedRow {
    pub(crate) position: i64,
    pub(crate) entry: Option<AuditRow>,
}

impl<DB: Backend> QueryableByName<DB> for UnsealedRow
where
    AuditRow: QueryableByName<DB>,
    i64: FromSql<BigInt, DB>,
    Id: FromSql<Uid, DB>,
{
    fn build<'a>(row: &impl NamedRow<'a, DB>) -> deserialize::Result<Self> {
        let is_there = NamedRow::get::<Nullable<Uid>, Option<Id>>(row, "audit_id")?.is_some();
        let entry = is_there.then(|| AuditRow::build(row)).transpose()?;
        Ok(Self { position: NamedRow::get::<BigInt, i64>(row, "position")?, entry })
    }
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

row! {
    /// A sealed entry.
    NewSeal<'a> of audit_seals {
        Key pop: &'a str,
        Key seq: i64,
        Once audit_id: Id,
        Once prev_hash: Vec<u8>,
        Once hash: Vec<u8>,
    }
}

impl<'a> NewSeal<'a> {
    /// The row of a sealed entry; `None` if it is not sealed.
    pub(crate) fn of(entry: &AuditEntry, pop: &'a str) -> Option<Self> {
        let seal = entry.seal?;
        Some(Self {
            pop,
            seq: seal.seq,
            audit_id: Id(entry.audit_id.as_uuid()),
            prev_hash: seal.prev_hash.as_bytes().to_vec(),
            hash: seal.hash.as_bytes().to_vec(),
        })
    }
}

impl SealRow {
    fn parse(self) -> Seal {
        Seal { seq: self.seq, prev_hash: hash(&self.prev_hash), hash: hash(&self.hash) }
    }
}

/// A hash of the wrong length comes as one that no entry has: the chain is broken there.
fn hash(bytes: &[u8]) -> ChainHash {
    <[u8; 32]>::try_from(bytes).unwrap_or([0xff; 32]).into()
}

record! {
    /// The newest sealed entry of a pop.
    HeadRow of audit_chain { seq: i64, hash: Vec<u8> }
}

impl HeadRow {
    pub(crate) fn parse(self) -> ChainHead {
        ChainHead { seq: self.seq, hash: hash(&self.hash) }
    }
}

/// The next entries of a chain.
#[derive(Debug)]
pub(crate) struct Sealed<'a> {
    /// Their places in the queue, and of those that are gone.
    pub(crate) positions: Vec<i64>,
    pub(crate) seals: Vec<NewSeal<'a>>,
    /// The newest of them.
    pub(crate) head: Option<ChainHead>,
}

impl<'a> Sealed<'a> {
    /// Seals what waits behind the newest sealed entry.
    pub(crate) fn new(pop: &'a str, before: Option<HeadRow>, waiting: Vec<UnsealedRow>) -> Self {
        let positions: Vec<i64> = waiting.iter().map(|row| row.position).collect();
        let mut entries: Vec<AuditEntry> =
            waiting.into_iter().filter_map(|row| Some(row.entry?.parse(None))).collect();
        let count = positions.len() - entries.len();
        if count > 0 {
            // nothing else will ever show it
            tracing::error!(
                pop,
                count,
                "audit entries were deleted from the database before they were sealed"
            );
        }
        let head = seal(before.map(HeadRow::parse), &mut entries);
        let seals = entries.iter().filter_map(|entry| NewSeal::of(entry, pop)).collect();
        Self { positions, seals, head }
    }
}

row! {
    /// A row to insert.
    NewAudit<'a> of audit_entries {
        Key audit_id: Id,
        Once at: Micros,
        Once pop: &'a str,
        Once actor_type: &'static str,
        Once actor_id: Option<&'a str>,
        Once actor_key: Option<i64>,
        Once action: &'a str,
        Once target_type: Option<&'a str>,
        Once target_id: Option<&'a str>,
        Once target_key: Option<i64>,
        Once details: String,
    }
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
