//! Health: whether it lives, whether it accepts, and what is wrong (http-api.md §11).

use std::collections::BTreeMap;

use actix_web::web::Data;
use prefix_api_types::{
    Guard, HealthDetail, HealthSummary, Leader, LoginMethods, PanicSummary, Ready, Speaker,
};
use prefix_core::announcer::SessionState;
use prefix_core::guard::{GuardMode, GuardStatus};
use prefix_engine::Health;

use super::{Reply, ok};
use crate::api::Api;
use crate::problem::Problem;
use crate::settings::VERSION;

/// Whether prefixd lives. Touches neither storage nor speaker.
#[utoipa::path(
    get, path = "/v1/health", tag = "operation", operation_id = "health",
    responses((status = 200, description = "It lives.", body = HealthSummary))
)]
pub(crate) async fn get(api: Data<Api>) -> Reply {
    ok(&HealthSummary {
        status: "ok".to_owned(),
        version: VERSION.to_owned(),
        auth_mode: api.auth_mode.to_owned(),
        ready: Some(api.was_ready()),
        login: Some(LoginMethods { password: api.has_logins(), oidc: false }),
    })
}

/// Whether prefixd accepts events: storage answers, and it is not going down. A speaker that is down does not matter.
#[utoipa::path(
    get, path = "/v1/health/ready", tag = "operation", operation_id = "ready",
    responses((status = 200, description = "It accepts.", body = Ready))
)]
pub(crate) async fn ready(api: Data<Api>) -> Reply {
    match api.check_ready().await {
        Ok(()) => ok(&Ready { ready: true }),
        Err(error) => Err(Problem::from(error).with(|body| body.ready = Some(false))),
    }
}

/// What is wrong, and with what.
#[utoipa::path(
    get, path = "/v1/health/detail", tag = "operation", operation_id = "health_detail",
    responses((status = 200, description = "The state of everything.", body = HealthDetail))
)]
pub(crate) async fn detail(api: Data<Api>) -> Reply {
    let mut health = api.engine.health().await;
    health.problems.extend(api.tls.as_ref().and_then(|tls| tls.ends_soon()));
    let mode = api.engine.settings().mode.as_str();
    ok(&shown(health, mode, api.auth_mode))
}

fn shown(health: Health, mode: &str, auth_mode: &str) -> HealthDetail {
    let pop = health.pop.to_string();
    let mut sessions = BTreeMap::new();
    for view in &health.peers {
        // of the sessions with several speakers the one by which it gets rules
        if view.peer.state == SessionState::Established || !sessions.contains_key(&view.name) {
            sessions.insert(view.name.clone(), view.peer.state.into());
        }
    }
    HealthDetail {
        status: if health.degraded { "degraded" } else { "healthy" }.to_owned(),
        version: VERSION.to_owned(),
        mode: mode.to_owned(),
        uptime_seconds: health.uptime.as_secs(),
        bgp_sessions: sessions,
        active_mitigations: health.active,
        pending_mitigations: health.pending,
        queued_mitigations: Some(health.queued),
        withdraw_stuck: health.withdraw_stuck,
        foreign_rules: health.foreign_rules,
        database: match health.database {
            Ok(()) => "connected".to_owned(),
            Err(error) => format!("error: {error}"),
        },
        gobgp: speaker(health.speaker),
        guard: Some(guard(health.guard)),
        leader: Some(Leader {
            pop: Some(pop.clone()),
            is_leader: health.leader.is_leader,
            instance: health.leader.instance.map(|instance| instance.to_string()),
        }),
        panic: Some(PanicSummary { frozen: health.panic_frozen }),
        pop,
        config_loaded_at: Some(health.config_loaded_at),
        auth_mode: Some(auth_mode.to_owned()),
        problems: health.problems,
    }
}

fn guard(status: Option<GuardStatus>) -> Guard {
    Guard {
        mode: status.map_or(GuardMode::Off, |status| status.mode).as_str().to_owned(),
        alive: status.is_some_and(|status| status.alive),
        last_seen: status.and_then(|status| status.last_seen),
    }
}

fn speaker(speaker: prefix_engine::Speaker) -> Speaker {
    let (status, error) = match speaker {
        prefix_engine::Speaker::Unknown => ("unknown", None),
        prefix_engine::Speaker::Connected => ("connected", None),
        prefix_engine::Speaker::Disconnected(error) => ("error", Some(error)),
    };
    Speaker { status: status.to_owned(), error }
}
