//! Audit entries: who changed or refused what, when and why. Each is written in the transaction of its change.

use chrono::{DateTime, SubsecRound, Utc};

use crate::audit_chain::Seal;
use crate::id::AuditId;

words! {
    /// The kind of actor.
    pub enum ActorType {
        /// The daemon itself.
        System = "system",
        /// A detector or adapter.
        Detector = "detector",
        /// A person, the shared secret, or another token.
        Operator = "operator",
    }
}

/// The actor of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The kind of actor.
    pub kind: ActorType,
    /// User name, `token:NAME`, `bearer-token`, `anonymous`, ...; `None` for the daemon itself.
    pub id: Option<String>,
}

impl Actor {
    /// The daemon itself.
    pub const SYSTEM: Self = Self { kind: ActorType::System, id: None };

    /// An operator with this identity.
    pub fn operator(id: impl Into<String>) -> Self {
        Self { kind: ActorType::Operator, id: Some(id.into()) }
    }

    /// A detector or adapter with this identity.
    pub fn detector(id: impl Into<String>) -> Self {
        Self { kind: ActorType::Detector, id: Some(id.into()) }
    }

    /// The identity, or `system`.
    pub fn name(&self) -> &str {
        self.id.as_deref().unwrap_or("system")
    }
}

words! {
    /// What was done. The words of the contract, metrics-and-feeds.md §4.
    #[allow(missing_docs, reason = "the words of the contract, metrics-and-feeds.md §4")]
    pub enum AuditAction {
        Ingest = "ingest",
        Extend = "extend",
        Release = "release",
        Corroborate = "corroborate",
        Announce = "announce",
        Confirm = "confirm",
        Escalate = "escalate",
        StepDown = "step_down",
        Withdraw = "withdraw",
        WithdrawConfirmed = "withdraw_confirmed",
        Expire = "expire",
        Reject = "reject",
        Acknowledge = "acknowledge",
        Reconcile = "reconcile",
        SafelistAdd = "safelist_add",
        SafelistRemove = "safelist_remove",
        SafelistExpired = "safelist_expired",
        Login = "login",
        LoginFailed = "login_failed",
        Logout = "logout",
        OperatorCreate = "operator_create",
        OperatorDelete = "operator_delete",
        RoleChange = "role_change",
        PasswordChange = "password_change",
        TokenCreate = "token_create",
        TokenRevoke = "token_revoke",
        PreferencesUpdate = "preferences_update",
        Forbidden = "forbidden",
        ConfigReload = "config_reload",
        ConfigPlaybooksUpdate = "config_playbooks_update",
        ConfigCorrelationUpdate = "config_correlation_update",
        Checkpoint = "checkpoint",
        Panic = "panic",
        Thaw = "thaw",
        GuardWithdraw = "guard_withdraw",
        Start = "start",
        Stop = "stop",
        ClockStep = "clock_step",
    }
}

/// An entry of the audit log. Its number in the [chain](crate::audit_chain) is assigned when it is sealed, after its commit.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// The identifier of the entry.
    pub audit_id: AuditId,
    /// When it was done, to the microsecond.
    pub timestamp: DateTime<Utc>,
    /// Who did it.
    pub actor: Actor,
    /// What was done: a word of [`AuditAction`], kept as text so that entries of newer versions stay readable.
    pub action: String,
    /// The kind of thing it was done to: `event`, `mitigation`, `safelist`, `config`, ...
    pub target_type: Option<String>,
    /// The identifier of the target.
    pub target_id: Option<String>,
    /// Reason, request id, before and after.
    pub details: serde_json::Value,
    /// Its number and hashes in the chain of its pop; `None` until it is sealed.
    pub seal: Option<Seal>,
}

impl AuditEntry {
    /// The version of the JSON form in which entries are shown and hashed.
    pub const SCHEMA_VERSION: u8 = 1;

    /// An entry without a target. Times are kept to the microsecond, as they are shown and hashed.
    pub fn new(
        timestamp: DateTime<Utc>,
        actor: Actor,
        action: AuditAction,
        details: serde_json::Value,
    ) -> Self {
        Self {
            audit_id: AuditId::generate_at(timestamp),
            timestamp: timestamp.trunc_subsecs(6),
            actor,
            action: action.as_str().to_owned(),
            target_type: None,
            target_id: None,
            details,
            seal: None,
        }
    }

    /// Sets the target.
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
