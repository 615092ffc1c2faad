//! Health: whether it lives, whether it accepts, and what is wrong (http-api.md §11).

use std::collections::BTreeMap;

use actix_web::web::Data;
use chrono::{DateTime, Utc};
use prefix_core::guard::{GuardMode, GuardStatus};
use prefix_engine::{Health, Speaker};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Reply, ok};
use crate::answer::{HealthAnswer, ReadyAnswer};
use crate::api::Api;
use crate::problem::Problem;
use crate::settings::VERSION;

/// Whether prefixd lives. Touches neither storage nor speaker.
#[utoipa::path(
    get, path = "/v1/health", tag = "operation", operation_id = "health",
    responses((status = 200, description = "It lives.", body = HealthAnswer))
)]
pub(crate) async fn get(api: Data<Api>) -> Reply {
    ok(&HealthAnswer { status: "ok", version: VERSION, auth_mode: api.auth_mode, ready: api.was_ready() })
}

/// Whether prefixd accepts events: storage answers, and it is not going down. A speaker that is down does not matter.
#[utoipa::path(
    get, path = "/v1/health/ready", tag = "operation", operation_id = "ready",
    responses((status = 200, description = "It accepts.", body = ReadyAnswer))
)]
pub(crate) async fn ready(api: Data<Api>) -> Reply {
    match api.check_ready().await {
        Ok(()) => ok(&ReadyAnswer { ready: true }),
        Err(error) => Err(Problem::from(error).with("ready", false)),
    }
}

/// What is wrong, and with what.
#[utoipa::path(
    get, path = "/v1/health/detail", tag = "operation", operation_id = "health_detail",
    responses((status = 200, description = "The state of everything.", body = DetailAnswer))
)]
pub(crate) async fn detail(api: Data<Api>) -> Reply {
    let health = api.engine.health().await;
    let mode = api.engine.settings().mode.as_str();
    ok(&DetailAnswer::new(health, mode, api.auth_mode))
}

/// The state of everything.
#[derive(Serialize, ToSchema)]
pub(crate) struct DetailAnswer {
    /// `healthy`; or `degraded`: storage or speaker fails, no BGP session is up, a withdraw is stuck, or the guard is
    /// silent.
    status: &'static str,
    version: &'static str,
    /// Own pop.
    pop: String,
    /// `dry-run` or `enforced`.
    mode: &'static str,
    uptime_seconds: u64,
    /// State by name of the neighbor.
    bgp_sessions: BTreeMap<String, String>,
    /// Active and escalated mitigations of the pop.
    active_mitigations: u64,
    /// Pending mitigations of the pop.
    pending_mitigations: u64,
    /// Queued mitigations of the pop.
    queued_mitigations: u64,
    /// Withdrawing for longer than `bgp.withdraw_alarm_seconds`.
    withdraw_stuck: u64,
    /// FlowSpec paths without our owner tag.
    foreign_rules: u64,
    /// `connected`, or `error: ` and why not.
    database: String,
    gobgp: SpeakerAnswer,
    guard: GuardAnswer,
    leader: LeaderAnswer,
    panic: PanicAnswer,
    config_loaded_at: DateTime<Utc>,
    /// `none` or `bearer`.
    auth_mode: &'static str,
    /// What is wrong, in words.
    problems: Vec<String>,
}

/// The speaker.
#[derive(Serialize, ToSchema)]
struct SpeakerAnswer {
    /// `connected`, `error`, or `unknown` (not asked, or not needed).
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The process that ends rules when the daemon cannot.
#[derive(Serialize, ToSchema)]
struct GuardAnswer {
    /// `spawn`, `external` or `off`.
    #[schema(value_type = String, example = "spawn")]
    mode: GuardMode,
    /// Whether its heartbeat is younger than ten seconds.
    alive: bool,
    /// Its last heartbeat; missing if none was ever seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<DateTime<Utc>>,
}

/// Which instance of the pop announces.
#[derive(Serialize, ToSchema)]
struct LeaderAnswer {
    pop: String,
    is_leader: bool,
    /// The leading instance; null if none is known.
    instance: Option<String>,
}

/// The kill switch.
#[derive(Serialize, ToSchema)]
struct PanicAnswer {
    /// Whether anything is; `GET /v1/panic` says what.
    frozen: bool,
}

impl DetailAnswer {
    fn new(health: Health, mode: &'static str, auth_mode: &'static str) -> Self {
        let pop = health.pop.to_string();
        let sessions = health.peers.iter().map(|view| (view.name.clone(), view.peer.state.to_string()));
        Self {
            status: if health.degraded { "degraded" } else { "healthy" },
            version: VERSION,
            mode,
            uptime_seconds: health.uptime.as_secs(),
            bgp_sessions: sessions.collect(),
            active_mitigations: health.active,
            pending_mitigations: health.pending,
            queued_mitigations: health.queued,
            withdraw_stuck: health.withdraw_stuck,
            foreign_rules: health.foreign_rules,
            database: match health.database {
                Ok(()) => "connected".to_owned(),
                Err(error) => format!("error: {error}"),
            },
            gobgp: speaker(health.speaker),
            guard: guard(health.guard),
            leader: LeaderAnswer {
                pop: pop.clone(),
                is_leader: health.leader.is_leader,
                instance: health.leader.instance.map(|instance| instance.to_string()),
            },
            panic: PanicAnswer { frozen: health.panic_frozen },
            pop,
            config_loaded_at: health.config_loaded_at,
            auth_mode,
            problems: health.problems,
        }
    }
}

fn guard(status: Option<GuardStatus>) -> GuardAnswer {
    status.map_or(GuardAnswer { mode: GuardMode::Off, alive: false, last_seen: None }, |status| GuardAnswer {
        mode: status.mode,
        alive: status.alive,
        last_seen: status.last_seen,
    })
}

fn speaker(speaker: Speaker) -> SpeakerAnswer {
    match speaker {
        Speaker::Unknown => SpeakerAnswer { status: "unknown", error: None },
        Speaker::Connected => SpeakerAnswer { status: "connected", error: None },
        Speaker::Disconnected(error) => SpeakerAnswer { status: "error", error: Some(error) },
    }
}
