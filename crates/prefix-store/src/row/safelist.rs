//! The rows of a safelist entry and of a stored reply.

use chrono::{DateTime, Utc};
use diesel::prelude::{Insertable, Queryable, Selectable};
use prefix_core::safelist::SafelistEntry;
use prefix_core::store::{ReplyKey, StoreError, StoredReply};
use serde::{Deserialize, Serialize};

use super::{corrupt, json, time, without_nul};
use crate::key;
use crate::schema::{replies, safelist};
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

/// A stored entry of the safelist.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = safelist)]
pub(crate) struct SafelistRow {
    prefix: String,
    doc: String,
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

/// An entry of the safelist to put.
#[derive(Debug, Insertable)]
#[diesel(table_name = safelist, treat_none_as_default_value = false)]
pub(crate) struct NewSafelistEntry {
    pub(crate) prefix: String,
    pub(crate) doc: String,
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

/// A stored reply.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = replies)]
pub(crate) struct ReplyRow {
    pub(crate) reply_id: Vec<u8>,
    body_hash: Vec<u8>,
    reply: String,
    created_at: Micros,
}

impl ReplyRow {
    pub(crate) fn parse(self) -> Result<StoredReply, StoreError> {
        let id = hex::encode(&self.reply_id);
        let body_hash = <[u8; 32]>::try_from(self.body_hash)
            .map_err(|hash| corrupt("replies", &id, format!("the hash has {} bytes", hash.len())))?;
        Ok(StoredReply { body_hash, reply: self.reply, created_at: time("replies", &id, self.created_at)? })
    }
}

/// A reply to store.
#[derive(Debug, Insertable)]
#[diesel(table_name = replies, treat_none_as_default_value = false)]
pub(crate) struct NewReply<'a> {
    pub(crate) reply_id: Vec<u8>,
    pub(crate) body_hash: &'a [u8],
    pub(crate) reply: &'a str,
    pub(crate) created_at: Micros,
}

impl<'a> NewReply<'a> {
    pub(crate) fn new(key: &ReplyKey, reply: &'a StoredReply) -> Result<Self, StoreError> {
        Ok(Self {
            reply_id: key::of_reply(key),
            body_hash: &reply.body_hash,
            reply: without_nul("reply", &reply.reply)?,
            created_at: reply.created_at.into(),
        })
    }
}
