//! The audit chain of a pop: each entry carries the hash of the one before, so that a changed or removed entry is
//! detected (metrics-and-feeds.md §4).
//!
//! Entries are sealed after their commit, in the order of commits: a chain head that every transaction locks would
//! serialise all transactions.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::audit::AuditEntry;
use crate::id::AuditId;

/// A SHA-256 hash. Text and JSON are 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainHash([u8; 32]);

/// Not 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a hash has 64 hex digits")]
pub struct InvalidHash;

impl ChainHash {
    /// The `prev_hash` of the first entry of a chain.
    pub const ZERO: Self = Self([0; 32]);
}

impl From<[u8; 32]> for ChainHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

hex_octets!(ChainHash(32), InvalidHash, |_: String| InvalidHash);

/// The number and the hashes of a sealed entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seal {
    /// Its number: 1 for the first entry of a pop, without gaps.
    pub seq: i64,
    /// The hash of entry `seq - 1`.
    pub prev_hash: ChainHash,
    /// The hash of this entry.
    pub hash: ChainHash,
}

/// The newest sealed entry of a pop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChainHead {
    /// The number of the entry.
    pub seq: i64,
    /// The hash of the entry.
    pub hash: ChainHash,
}

/// The JSON form of an entry, which is shown and hashed.
pub fn document(entry: &AuditEntry) -> Map<String, Value> {
    let seal = entry.seal;
    let mut members = Map::new();
    members.insert("audit_id".into(), json!(entry.audit_id));
    members.insert("seq".into(), json!(seal.map(|seal| seal.seq)));
    members.insert("timestamp".into(), json!(six_decimals(entry.timestamp)));
    members.insert("schema_version".into(), json!(AuditEntry::SCHEMA_VERSION));
    members.insert("actor_type".into(), json!(entry.actor.kind.as_str()));
    let optional =
        [("actor_id", &entry.actor.id), ("target_type", &entry.target_type), ("target_id", &entry.target_id)];
    for (name, value) in optional {
        if let Some(value) = value {
            members.insert(name.into(), json!(value));
        }
    }
    members.insert("action".into(), json!(entry.action));
    members.insert("details".into(), safe_integers(&entry.details));
    members.insert("prev_hash".into(), json!(seal.map(|seal| seal.prev_hash)));
    members.insert("hash".into(), json!(seal.map(|seal| seal.hash)));
    members
}

/// A time as RFC 3339 text in UTC with exactly six decimals.
pub fn six_decimals(time: chrono::DateTime<chrono::Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// Integers beyond 2^53-1 become texts: canonical JSON (RFC 8785 §3.2.2.3) knows only doubles.
fn safe_integers(value: &Value) -> Value {
    const LARGEST: u64 = (1 << 53) - 1;
    match value {
        Value::Number(number) => {
            let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            if magnitude.is_some_and(|n| n > LARGEST) {
                Value::String(number.to_string())
            } else {
                value.clone()
            }
        }
        Value::Array(items) => items.iter().map(safe_integers).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), safe_integers(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// The hash of an entry with this number: SHA-256 over the canonical JSON (RFC 8785) of [`document`] without `hash`.
fn hash(entry: &AuditEntry, seq: i64, prev_hash: ChainHash) -> ChainHash {
    let mut members = document(entry);
    members.insert("seq".into(), json!(seq));
    members.insert("prev_hash".into(), json!(prev_hash));
    members.remove("hash");
    // every member is text, an integer that a double holds, or what JSON was parsed into: there is no other number
    let canonical = serde_json_canonicalizer::to_vec(&members).unwrap_or_default();
    ChainHash(Sha256::digest(canonical).into())
}

/// Seals entries in order, behind `head`. Returns the new head; `None` if there is neither a head nor an entry.
pub fn seal(head: Option<ChainHead>, entries: &mut [AuditEntry]) -> Option<ChainHead> {
    entries.iter_mut().fold(head, |head, entry| {
        let (seq, prev_hash) = head.map_or((1, ChainHash::ZERO), |head| (head.seq + 1, head.hash));
        let hash = hash(entry, seq, prev_hash);
        entry.seal = Some(Seal { seq, prev_hash, hash });
        Some(ChainHead { seq, hash })
    })
}

/// A fault of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainProblem {
    /// The hash of the entry is not that of its content.
    Hash,
    /// `prev_hash` is not the hash of the entry before.
    Link,
    /// One or more entries are missing before it, or behind it at the end.
    Gap,
    /// A hash known from earlier is not part of the chain: its end was cut off.
    ExpectMissing,
}

/// The first fault of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The number of the first entry that is wrong, or that was expected.
    pub seq: i64,
    /// The identifier of the entry, if there is one.
    pub audit_id: Option<AuditId>,
    /// The fault.
    pub problem: ChainProblem,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The number of entries that were checked.
    pub checked: u64,
    /// The number of the first of them.
    pub first_seq: Option<i64>,
    /// The number of the last of them.
    pub last_seq: Option<i64>,
    /// The hash of the last of them.
    pub head_hash: Option<ChainHash>,
    /// The first fault; `None` for an intact chain.
    pub broken: Option<Broken>,
}

/// Checks a chain entry by entry, in order of `seq`, from any entry on.
#[derive(Clone, Debug)]
pub struct Verifier {
    from: i64,
    previous: Option<ChainHead>,
    first: Option<i64>,
    checked: u64,
    expect: Option<ChainHash>,
    broken: Option<Broken>,
}

impl Verifier {
    /// Begins at entry `from` (1 = the whole chain). `before` is the entry in front of it, if known: the first
    /// entry is then checked against it. `expect` is a hash known from earlier that must be found.
    pub fn new(from: i64, before: Option<ChainHead>, expect: Option<ChainHash>) -> Self {
        Self { from: from.max(1), previous: before, first: None, checked: 0, expect, broken: None }
    }

    /// Checks the next entry. Returns false once the chain is broken: no later entry changes the verdict.
    pub fn check(&mut self, entry: &AuditEntry) -> bool {
        if self.broken.is_some() {
            return false;
        }
        let expected = self.previous.map_or(self.from, |previous| previous.seq + 1);
        let Some(seal) = entry.seal else { return true };
        self.first.get_or_insert(seal.seq);
        let problem = if seal.seq > expected {
            Some((expected, ChainProblem::Gap))
        } else if seal.seq < expected {
            Some((seal.seq, ChainProblem::Link))
        } else if hash(entry, seal.seq, seal.prev_hash) != seal.hash {
            Some((seal.seq, ChainProblem::Hash))
        } else if !self.follows(seal) {
            Some((seal.seq, ChainProblem::Link))
        } else {
            None
        };
        if let Some((seq, problem)) = problem {
            let audit_id = (problem != ChainProblem::Gap).then_some(entry.audit_id);
            self.broken = Some(Broken { seq, audit_id, problem });
            return false;
        }
        self.checked += 1;
        if self.expect == Some(seal.hash) {
            self.expect = None;
        }
        self.previous = Some(ChainHead { seq: seal.seq, hash: seal.hash });
        true
    }

    fn follows(&self, seal: Seal) -> bool {
        match self.previous {
            Some(previous) => seal.prev_hash == previous.hash,
            // the entry in front was not asked for, or was pruned behind its checkpoint
            None => seal.seq > 1 || seal.prev_hash == ChainHash::ZERO,
        }
    }

    /// The result, once every entry was checked. `head` is the newest entry of the chain by its stored head, or the end
    /// of the range that was asked for.
    pub fn finish(self, head: Option<ChainHead>) -> Verdict {
        let mut broken = self.broken;
        if broken.is_none()
            && let Some(head) = head
        {
            let last = self.previous.map_or(self.from - 1, |previous| previous.seq);
            if last < head.seq {
                broken = Some(Broken { seq: last + 1, audit_id: None, problem: ChainProblem::Gap });
            } else if self.previous.is_some_and(|previous| previous.seq == head.seq && previous != head) {
                broken = Some(Broken { seq: head.seq, audit_id: None, problem: ChainProblem::Link });
            }
        }
        // of a missing end, the missing known hash is the more precise fault
        let cut_off =
            self.broken.is_none() && broken.is_some_and(|broken| broken.problem == ChainProblem::Gap);
        if self.expect.is_some() && (broken.is_none() || cut_off) {
            let seq = self.previous.map_or(self.from, |previous| previous.seq);
            broken = Some(Broken { seq, audit_id: None, problem: ChainProblem::ExpectMissing });
        }
        let checked = self.checked > 0;
        Verdict {
            checked: self.checked,
            first_seq: self.first,
            last_seq: self.previous.filter(|_| checked).map(|previous| previous.seq),
            head_hash: self.previous.filter(|_| checked).map(|previous| previous.hash),
            broken,
        }
    }
}

#[cfg(test)]
mod tests;
