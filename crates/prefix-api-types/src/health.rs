//! The condition of the daemon (http-api.md §11).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use prefix_api_macros::wire;

use crate::PeerState;
use crate::lenient::{Always, IfAny};

/// Alive.
#[wire(as = HealthAnswer)]
pub struct HealthSummary {
    /// Always `ok`.
    pub status: String,
    /// The version of prefixd.
    pub version: String,
    /// How callers prove who they are.
    pub auth_mode: String,
    /// Whether requests are accepted, as last known.
    pub ready: Always<bool>,
    pub login: Always<LoginMethods>,
}

/// How people log in.
#[wire(as = LoginMethodsAnswer)]
pub struct LoginMethods {
    /// With name and password.
    pub password: bool,
    /// By single sign-on.
    pub oidc: bool,
}

/// Ready.
#[wire(as = ReadyAnswer)]
pub struct Ready {
    /// Always true.
    pub ready: bool,
}

/// The state of everything.
#[wire(as = DetailAnswer)]
pub struct HealthDetail {
    /// `healthy`; or `degraded`: storage or speaker fails, no BGP session is up, a withdraw is stuck, or the guard is
    /// silent.
    pub status: String,
    pub version: String,
    /// Own pop.
    pub pop: String,
    /// `dry-run` or `enforced`.
    pub mode: String,
    pub uptime_seconds: u64,
    /// State by name of the neighbor.
    pub bgp_sessions: BTreeMap<String, PeerState>,
    /// Active and escalated mitigations of the pop.
    pub active_mitigations: u64,
    /// Pending mitigations of the pop.
    pub pending_mitigations: u64,
    /// Queued mitigations of the pop.
    pub queued_mitigations: Always<u64>,
    /// Withdrawing for longer than `bgp.withdraw_alarm_seconds`.
    pub withdraw_stuck: u64,
    /// FlowSpec paths without our owner tag.
    pub foreign_rules: u64,
    /// `connected`, or `error: ` and why not.
    pub database: String,
    #[wire(lenient)]
    pub gobgp: Speaker,
    pub guard: Always<Guard>,
    pub leader: Always<Leader>,
    pub panic: Always<PanicSummary>,
    pub config_loaded_at: Always<DateTime<Utc>>,
    /// `none`, `bearer`, `credentials` or `mtls`.
    pub auth_mode: Always<String>,
    /// What is wrong, in words.
    pub problems: Vec<String>,
}

impl HealthDetail {
    /// True if nothing is wrong.
    pub fn is_healthy(&self) -> bool {
        self.status == "healthy"
    }

    /// True if rules reach the speaker.
    pub fn is_enforced(&self) -> bool {
        self.mode == "enforced"
    }
}

/// The speaker.
#[wire(as = SpeakerAnswer)]
#[derive(Default)]
pub struct Speaker {
    /// `connected`, `error`, or `unknown` (not asked, or not needed).
    pub status: String,
    pub error: IfAny<String>,
}

/// The process that ends rules when the daemon cannot.
#[wire(as = GuardAnswer)]
pub struct Guard {
    /// `spawn`, `external` or `off`.
    #[schema(example = "spawn")]
    pub mode: String,
    /// Whether its heartbeat is younger than ten seconds.
    pub alive: bool,
    /// Its last heartbeat; missing if none was ever seen.
    pub last_seen: IfAny<DateTime<Utc>>,
}

/// Which instance of the pop announces.
#[wire(as = LeaderAnswer)]
pub struct Leader {
    pub pop: Always<String>,
    pub is_leader: bool,
    /// The leading instance; null if none is known.
    pub instance: Option<String>,
}

/// The kill switch.
#[wire(as = PanicAnswer)]
pub struct PanicSummary {
    /// Whether anything is; `GET /v1/panic` says what.
    pub frozen: bool,
}
