//! The audit log and its chain (http-api.md §11, metrics-and-feeds.md §4).

use chrono::{DateTime, SecondsFormat, Utc};
use prefix_api_macros::wire;
use serde::Serializer;
use serde_json::Value;

use crate::AuditId;
use crate::lenient::{Always, IfAny};
use crate::word::words;

words! {
    /// The kind of whoever did something.
    pub enum ActorType from prefix_core::audit::ActorType {
        /// The daemon itself.
        System = "system",
        /// A detector or adapter.
        Detector = "detector",
        /// A person, the shared secret, or another token.
        Operator = "operator",
    }
}

/// Who changed or refused what, when and why.
#[wire]
pub struct AuditEntry {
    /// Its identifier.
    pub audit_id: AuditId,
    /// Its place in the chain; null until it is sealed.
    #[schema(minimum = 0)]
    pub seq: Option<i64>,
    /// When, with exactly six decimals.
    #[serde(serialize_with = "six_decimals")]
    pub timestamp: Always<DateTime<Utc>>,
    /// The version of this shape.
    #[schema(example = 1)]
    pub schema_version: u8,
    /// The kind of actor.
    #[wire(lenient)]
    #[schema(schema_with = ActorType::schema)]
    pub actor_type: ActorType,
    /// Who; missing for the daemon itself.
    pub actor_id: IfAny<String>,
    /// What was done.
    pub action: String,
    /// The kind of thing it was done to.
    pub target_type: IfAny<String>,
    /// Which one.
    pub target_id: IfAny<String>,
    /// Request id, reason, before and after.
    pub details: Value,
    /// `hash` of the entry before; null until it is sealed.
    pub prev_hash: Option<String>,
    /// Its own hash; null until it is sealed.
    pub hash: Option<String>,
}

#[allow(clippy::ref_option, reason = "the signature that serde asks for")]
fn six_decimals<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true)),
        None => serializer.serialize_none(),
    }
}

words! {
    /// What is wrong with the chain.
    pub enum ChainProblem from prefix_core::audit_chain::ChainProblem {
        /// The entry is not what was sealed.
        Hash = "hash",
        /// It does not follow the one before.
        Link = "link",
        /// Entries are missing.
        Gap = "gap",
        /// The hash noted earlier is not part of the chain: its end was cut off.
        ExpectMissing = "expect_missing",
    }
}

/// Whether the chain is whole.
#[wire]
pub struct ChainVerdict {
    #[wire(strict)]
    pub valid: bool,
    /// How many entries were checked.
    pub checked: u64,
    /// The first of them; null if there are none.
    pub first_seq: Option<i64>,
    /// The last of them.
    pub last_seq: Option<i64>,
    /// The hash of the last one. Noted outside of prefixd and given as `expect` later, it shows whether the end was cut
    /// off.
    pub head_hash: Option<String>,
    /// The first fault; missing if there is none.
    pub broken: IfAny<ChainBreak>,
}

/// Where the chain is broken.
#[wire]
pub struct ChainBreak {
    /// The number of the entry that is wrong, or was expected.
    pub seq: Always<i64>,
    /// The entry; null if it is missing.
    pub audit_id: Option<AuditId>,
    /// `hash` (the entry was changed), `link` (it does not follow the one before), `gap` (entries are missing) or
    /// `expect_missing`.
    #[schema(example = "hash")]
    pub problem: ChainProblem,
}
