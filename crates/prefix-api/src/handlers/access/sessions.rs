//! Sessions: logins that are not over.

use actix_web::web::{Data, Path};
use prefix_api_types::{Session, Sessions};
use prefix_core::access::CredentialId;
use prefix_core::id::SessionId;

use super::operators::done;
use crate::access::Role;
use crate::api::Api;
use crate::call::Call;
use crate::handlers::{Reply, change, checked, from_path, ok};
use crate::problem::{Kind, Problem};
use crate::query::Query;
use crate::value;

/// One's own logins; of everybody with `all=true`, for admins.
#[utoipa::path(
    get, path = "/v1/sessions", tag = "access", operation_id = "list_sessions",
    params(("all" = Option<bool>, Query, description = "Everybody's: for admins.")),
    responses((status = 200, description = "The logins that are not over.", body = Sessions))
)]
pub(crate) async fn list(api: Data<Api>, call: Call, mut query: Query) -> Reply {
    let all = query.flag("all");
    checked(query.finish())?;
    if all && call.principal.role != Role::Admin {
        return Err(Problem::new(Kind::Forbidden, "only an admin sees the logins of others"));
    }
    let of = call.principal.id.operator();
    let sessions = match of {
        _ if all => api.engine.sessions(None).await?,
        Some(of) => api.engine.sessions(Some(of)).await?,
        // whoever is no login has none
        None => Vec::new(),
    };
    let idle = api.engine.access_settings().session_idle;
    let current = match call.principal.held.map(|held| held.id) {
        Some(CredentialId::Session(id)) => Some(id),
        _ => None,
    };
    let shown = sessions.iter().map(|(session, operator)| Session::of(session, operator, idle, current));
    let sessions: Vec<Session> = shown.collect();
    ok(&Sessions { count: sessions.len() as u64, sessions })
}

/// End a login: one's own, as an admin anybody's.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", tag = "access", operation_id = "end_session",
    params(
        crate::document::DryRunParameter,
        ("id" = Uuid, Path, description = "`session_id` of the login."),
    ),
    responses(
        (status = 204, description = "Ended."),
        (status = 200, description = "The answer of a dry run."),
    )
)]
pub(crate) async fn delete(api: Data<Api>, call: Call, id: Path<String>, query: Query) -> Reply {
    let id: SessionId = from_path("id", &id, value::id_of)?;
    let (dry_run, ()) = change(query, Ok(()))?;
    let of_anybody = call.principal.role == Role::Admin;
    api.engine.end_session(id, of_anybody, &call.caller(dry_run)).await?;
    done(dry_run)
}
