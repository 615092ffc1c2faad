//! The rows of a safelist entry and of an idempotency record.

use chrono::{DateTime, Utc};
use prefix_core::ports::{IdempotencyRecord, RequestKey, StoreError};
use prefix_core::safelist::SafelistEntry;
use serde::{Deserialize, Serialize};

use super::define::{record, row};
use super::{corrupt, json, time, without_nul};
use crate::key;
use crate::sql_type::Micros;

#[derive(Serialize, Deserialize)]
struct Document {
    added_at: DateTime<Utc>,
    added_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
}

record! {
    /// A stored entry of the safelist.
    SafelistRow of safelist { prefix: String, doc: String }
}

impl SafelistRow {
    pub(crate) fn parse(self) -> Result<SafelistEntry, StoreError> {
        let prefix =
            self.prefix.parse().map_err(|error| corrupt("safelist", &self.prefix, format!("{error}")))?;
        let doc: Document =
            serde_json::from_str(&self.doc).map_err(|error| corrupt("safelist", &self.prefix, error))?;
        Ok(SafelistEntry {
            prefix,
            added_at: doc.added_at,
            added_by: doc.added_by,
            reason: doc.reason,
            expires_at: doc.expires_at,
        })
    }
}

row! {
    /// An entry of the safelist to put.
    NewSafelistEntry of safelist put if ("", "") { Key prefix: String, Always doc: String }
}

impl NewSafelistEntry {
    pub(crate) fn new(entry: &SafelistEntry) -> Result<Self, StoreError> {
        let doc = Document {
            added_at: entry.added_at,
            added_by: entry.added_by.clone(),
            reason: entry.reason.clone(),
            expires_at: entry.expires_at,
        };
        Ok(Self { prefix: entry.prefix.to_string(), doc: json("safelist entry", &doc)? })
    }
}

record! {
    /// A stored idempotency record.
    ReplyRow of replies { reply_id: Vec<u8>, body_hash: Vec<u8>, reply: String, created_at: Micros }
}

impl ReplyRow {
    pub(crate) fn parse(self) -> Result<IdempotencyRecord, StoreError> {
        let id = hex::encode(&self.reply_id);
        let body_hash = <[u8; 32]>::try_from(self.body_hash)
            .map_err(|hash| corrupt("replies", &id, format!("the hash has {} bytes", hash.len())))?;
        Ok(IdempotencyRecord {
            body_hash,
            reply: self.reply,
            created_at: time("replies", &id, self.created_at)?,
        })
    }
}

row! {
    /// An idempotency record to store. One that still counts is left alone, and missing in the count.
    NewReply<'a> of replies put if (
        " WHERE replies.created_at <= EXCLUDED.created_at - INTERVAL '24 hours'",
        " WHERE replies.created_at <= EXCLUDED.created_at - 86400000000"
    ) {
        Key reply_id: Vec<u8>,
        Always body_hash: &'a [u8],
        Always reply: &'a str,
        Always created_at: Micros,
    }
}

impl<'a> NewReply<'a> {
    pub(crate) fn new(key: &RequestKey, reply: &'a IdempotencyRecord) -> Result<Self, StoreError> {
        Ok(Self {
            reply_id: key::of_reply(key),
            body_hash: &reply.body_hash,
            reply: without_nul("reply", &reply.reply)?,
            created_at: reply.created_at.into(),
        })
    }
}
