//! Repeated requests: the answer that was given to an `Idempotency-Key` is given again.

use chrono::{DateTime, Utc};
use prefix_core::store::{ReadSet, ReplyKey, StoredReply};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::caller::{Caller, IdempotencyKey};
use crate::error::EngineError;
use prefix_policy::use_cases::UnitOfWork;

fn key_of(idempotency: &IdempotencyKey) -> ReplyKey {
    ReplyKey {
        principal: idempotency.principal.clone(),
        path: idempotency.path.clone(),
        key: idempotency.key.clone(),
    }
}

/// Asks for the stored reply.
pub(super) fn reads(caller: &Caller, reads: &mut ReadSet) {
    reads.replies.extend(caller.idempotency.as_ref().map(key_of));
}

/// The stored answer to this request, if there is one.
pub(super) fn stored<T: DeserializeOwned>(
    uow: &UnitOfWork<'_>,
    caller: &Caller,
) -> Option<Result<T, EngineError>> {
    let idempotency = caller.idempotency.as_ref()?;
    let stored = uow.reply(&key_of(idempotency))?;
    if stored.body_hash != idempotency.body_hash {
        return Some(Err(EngineError::IdempotencyMismatch));
    }
    let reply = serde_json::from_str(&stored.reply);
    Some(reply.map_err(|error| EngineError::Internal(format!("stored reply cannot be read: {error}"))))
}

/// Stores the answer to this request with what it changed.
pub(super) fn store<T: Serialize>(uow: &mut UnitOfWork<'_>, caller: &Caller, answer: &T, now: DateTime<Utc>) {
    let Some(idempotency) = &caller.idempotency else { return };
    if let Ok(reply) = serde_json::to_string(answer) {
        let stored = StoredReply { body_hash: idempotency.body_hash, reply, created_at: now };
        uow.put_reply(key_of(idempotency), stored);
    }
}
