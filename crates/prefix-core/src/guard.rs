//! The dead man's guard, as the daemon sees it: whether somebody would end its rules if it died.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::flowspec::RouteKey;
use crate::ownership::{MitigationTag, NotAfter};

/// Who runs the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardMode {
    /// An enforcing daemon starts it, as a process that outlives it.
    Spawn,
    /// A unit of its own runs it.
    External,
    /// Nobody.
    Off,
}

/// What is known of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardStatus {
    /// Who runs it.
    pub mode: GuardMode,
    /// True while its heartbeat is younger than ten seconds.
    pub alive: bool,
    /// Its last heartbeat.
    pub last_seen: Option<DateTime<Utc>>,
}

/// Whoever watches the guard.
pub trait GuardWatch: Send + Sync {
    /// What is known now; cheap.
    fn status(&self) -> GuardStatus;
}

/// A rule that the guard took away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardWithdrawal {
    /// When the speaker confirmed it.
    pub at: DateTime<Utc>,
    /// The rule.
    pub key: RouteKey,
    /// The time on the wire that it had outlived.
    pub not_after: NotAfter,
    /// The mitigation, as far as the wire tells.
    pub mitigation: Option<MitigationTag>,
}
