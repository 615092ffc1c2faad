//! Audit entries: who changed or refused what, when and why. Written in the transaction of the change itself.

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use crate::audit_chain::Seal;
use crate::id::AuditId;

/// The kind of actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorType {
    /// The daemon itself.
    System,
    /// A detector or adapter.
    Detector,
    /// A person, the shared secret, or another token.
    Operator,
}

impl ActorType {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Detector => "detector",
            Self::Operator => "operator",
        }
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The kind.
    pub kind: ActorType,
    /// User name, `token:NAME`, `bearer-token`, `anonymous`, ...; `None` for the daemon itself.
    pub id: Option<String>,
}

impl Actor {
    /// The daemon itself.
    pub const SYSTEM: Self = Self { kind: ActorType::System, id: None };

    /// A person or the shared secret.
    pub fn operator(id: impl Into<String>) -> Self {
        Self { kind: ActorType::Operator, id: Some(id.into()) }
    }

    /// A detector or adapter.
    pub fn detector(id: impl Into<String>) -> Self {
        Self { kind: ActorType::Detector, id: Some(id.into()) }
    }

    /// The identity, or `system`.
    pub fn name(&self) -> &str {
        self.id.as_deref().unwrap_or("system")
    }
}

/// What was done. The words of the contract, metrics-and-feeds.md §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words of the contract, metrics-and-feeds.md §4")]
pub enum AuditAction {
    Ingest,
    Extend,
    Release,
    Corroborate,
    Announce,
    Confirm,
    Escalate,
    StepDown,
    Withdraw,
    WithdrawConfirmed,
    Expire,
    Reject,
    Acknowledge,
    Reconcile,
    SafelistAdd,
    SafelistRemove,
    SafelistExpired,
    Forbidden,
    ConfigReload,
    ConfigPlaybooksUpdate,
    ConfigCorrelationUpdate,
    Checkpoint,
    Panic,
    Thaw,
    GuardWithdraw,
    Start,
    Stop,
}

impl AuditAction {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Extend => "extend",
            Self::Release => "release",
            Self::Corroborate => "corroborate",
            Self::Announce => "announce",
            Self::Confirm => "confirm",
            Self::Escalate => "escalate",
            Self::StepDown => "step_down",
            Self::Withdraw => "withdraw",
            Self::WithdrawConfirmed => "withdraw_confirmed",
            Self::Expire => "expire",
            Self::Reject => "reject",
            Self::Acknowledge => "acknowledge",
            Self::Reconcile => "reconcile",
            Self::SafelistAdd => "safelist_add",
            Self::SafelistRemove => "safelist_remove",
            Self::SafelistExpired => "safelist_expired",
            Self::Forbidden => "forbidden",
            Self::ConfigReload => "config_reload",
            Self::ConfigPlaybooksUpdate => "config_playbooks_update",
            Self::ConfigCorrelationUpdate => "config_correlation_update",
            Self::Checkpoint => "checkpoint",
            Self::Panic => "panic",
            Self::Thaw => "thaw",
            Self::GuardWithdraw => "guard_withdraw",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// One entry. Its place in the [chain](crate::audit_chain) is given when it is sealed, a moment after it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Its identifier.
    pub audit_id: AuditId,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// What; a word of [`AuditAction`], kept as text so that entries of newer versions stay readable.
    pub action: String,
    /// The kind of thing it was done to: `event`, `mitigation`, `safelist`, `config`, ...
    pub target_type: Option<String>,
    /// Which one.
    pub target_id: Option<String>,
    /// Reason, request id, before and after.
    pub details: serde_json::Value,
    /// Its place in the chain of its pop; `None` until it is sealed.
    pub seal: Option<Seal>,
}

impl AuditEntry {
    /// The version of the shape in which entries are shown and hashed.
    pub const SCHEMA_VERSION: u8 = 1;

    /// An entry without a target. Times are kept to the microsecond, as they are shown and hashed.
    pub fn new(
        timestamp: DateTime<Utc>,
        actor: Actor,
        action: AuditAction,
        details: serde_json::Value,
    ) -> Self {
        Self {
            audit_id: AuditId::generate(),
            timestamp: timestamp.trunc_subsecs(6),
            actor,
            action: action.as_str().to_owned(),
            target_type: None,
            target_id: None,
            details,
            seal: None,
        }
    }

    /// What it was done to.
    #[must_use]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "ids are small, and `&id` at every call would say nothing"
    )]
    pub fn on(mut self, target_type: &str, target_id: impl ToString) -> Self {
        self.target_type = Some(target_type.to_owned());
        self.target_id = Some(target_id.to_string());
        self
    }
}
