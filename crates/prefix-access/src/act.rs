//! What somebody does about access, and what comes of it.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::id::OperatorId;
use prefix_core::ports::AccessChanges;
use serde_json::{Value, json};
use thiserror::Error;

/// Who does it, when, from where, by which request.
#[derive(Clone, Debug)]
pub struct Act {
    /// Now.
    pub now: DateTime<Utc>,
    /// Who, for the audit log.
    pub actor: Actor,
    /// The operator, if it is one.
    pub operator: Option<OperatorId>,
    /// From where; `None` on the daemon's host.
    pub address: Option<IpAddr>,
    /// The request; empty without one.
    pub request_id: String,
}

impl Act {
    /// Its audit entry.
    pub(crate) fn entry(
        &self,
        action: AuditAction,
        target: (&str, String),
        mut details: Value,
    ) -> AuditEntry {
        if let Some(details) = details.as_object_mut() {
            if !self.request_id.is_empty() {
                details.insert("request_id".to_owned(), json!(self.request_id));
            }
            if let Some(address) = self.address {
                details.insert("address".to_owned(), json!(address));
            }
        }
        AuditEntry::new(self.now, self.actor.clone(), action, details).on(target.0, target.1)
    }
}

/// What is to be written, and the answer once it is.
#[derive(Clone, Debug)]
pub struct Change<T> {
    /// The answer.
    pub value: T,
    /// The rows.
    pub access: AccessChanges,
    /// The entries.
    pub audit: Vec<AuditEntry>,
}

/// Why nothing is written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// Another operator has, or had, the name.
    #[error("{0}")]
    UsernameTaken(String),
    /// The state forbids it.
    #[error("{0}")]
    NotAllowed(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// Somebody else was first: there is an admin.
    #[error("there is an admin already: log in, and let an admin do it")]
    AdminExists,
    /// Name and password do not belong together (any more).
    #[error("user name or password are wrong")]
    WrongPassword,
}
