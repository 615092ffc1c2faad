//! What a user interface leaves out for a principal.

use actix_web::HttpResponse;
use actix_web::web::Data;
use prefix_api_types::{MitigationId, Preferences};

use crate::api::Api;
use crate::body::Body;
use crate::call::Call;
use crate::handlers::{Reply, change, dry, ok};
use crate::query::Query;
use crate::request;

/// One's own preferences.
#[utoipa::path(
    get, path = "/v1/preferences", tag = "access", operation_id = "preferences",
    responses((status = 200, description = "What is muted, and when it is quiet.", body = Preferences))
)]
pub(crate) async fn get(api: Data<Api>, call: Call) -> Reply {
    ok(&Preferences::from(api.engine.preferences(&call.principal.id.key()).await?))
}

/// Set one's own preferences.
#[utoipa::path(
    put, path = "/v1/preferences", tag = "access", operation_id = "set_preferences",
    params(crate::document::DryRunParameter),
    request_body = prefix_api_types::NewPreferences,
    responses((status = 200, description = "Kept; or the answer of a dry run."))
)]
pub(crate) async fn put(api: Data<Api>, call: Call, query: Query, body: Body) -> Reply {
    let (dry_run, preferences) = change(query, request::preferences(&body.tree))?;
    let key = call.principal.id.key();
    api.engine.set_preferences(&key, &preferences, &call.caller(dry_run)).await?;
    if dry_run {
        return dry(None::<()>, Vec::<MitigationId>::new());
    }
    Ok(HttpResponse::Ok().finish())
}
