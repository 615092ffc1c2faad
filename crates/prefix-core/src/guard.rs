//! The guard as the daemon sees it: a separate process that withdraws own rules whose not-after time is over.

use chrono::{DateTime, Utc};

use crate::flowspec::RouteKey;
use crate::name::SpeakerName;
use crate::ownership::{MitigationTag, NotAfter};

words! {
    /// How the guard is run.
    pub enum GuardMode {
        /// An enforcing daemon starts it as a process that outlives the daemon.
        Spawn = "spawn",
        /// The service manager runs it as a unit of its own.
        External = "external",
        /// There is no guard.
        Off = "off",
    }
}

/// What is known of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardStatus {
    /// How it is run.
    pub mode: GuardMode,
    /// Whether its heartbeat is younger than 10 s.
    pub alive: bool,
    /// The time of its last heartbeat.
    pub last_seen: Option<DateTime<Utc>>,
}

/// The port to the daemon's monitor of the guard.
pub trait GuardWatch: Send + Sync {
    /// The last known status. Never blocks.
    fn status(&self) -> GuardStatus;
}

/// A withdrawal by the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardWithdrawal {
    /// When the speaker confirmed it.
    pub at: DateTime<Utc>,
    /// The rule.
    pub key: RouteKey,
    /// From which of several speakers; `None` = from the only one.
    pub speaker: Option<SpeakerName>,
    /// The not-after time of its path, which was over.
    pub not_after: NotAfter,
    /// The tag of its mitigation, if its path carried one.
    pub mitigation: Option<MitigationTag>,
}
