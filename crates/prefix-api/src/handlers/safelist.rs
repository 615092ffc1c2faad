//! The safelist: prefixes that no rule may touch (http-api.md §8).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use prefix_api_types::{MitigationId, SafelistAdded, SafelistEntry};
use prefix_core::address::Prefix;
use prefix_core::safelist::SafelistEntry as Entry;
use prefix_engine::EngineError;

use super::{Reply, change, dry, from_path, ok, respond};
use crate::api::Api;
use crate::body::Body;
use crate::call::Call;
use crate::query::Query;
use crate::request;

/// Every entry that counts.
#[utoipa::path(
    get, path = "/v1/safelist", tag = "safelist", operation_id = "list_safelist",
    responses((status = 200, description = "The entries.", body = Vec<SafelistEntry>))
)]
pub(crate) async fn list(api: Data<Api>) -> Reply {
    let entries = api.engine.safelist().await?;
    ok(&entries.iter().map(SafelistEntry::from).collect::<Vec<_>>())
}

/// Add an entry, or change the one of the same prefix. Living rules that touch it are withdrawn at once.
#[utoipa::path(
    post, path = "/v1/safelist", tag = "safelist", operation_id = "add_safelist",
    params(crate::document::DryRunParameter),
    request_body = prefix_api_types::NewSafelistEntry,
    responses(
        (status = 201, description = "A new entry.", body = SafelistAdded),
        (status = 200, description = "The prefix was listed before; or the answer of a dry run.", body = SafelistAdded),
    )
)]
pub(crate) async fn post(api: Data<Api>, call: Call, query: Query, body: Body) -> Reply {
    let (dry_run, new) = change(query, request::safelist(&body.tree))?;
    let now = api.now();
    if let Some(end) = new.expires_at.filter(|end| *end <= now) {
        let detail =
            format!("expires_at {end} is in the past, the entry would never count; leave it out or mend it");
        return Err(EngineError::NotAllowed(detail).into());
    }
    let entry = Entry {
        prefix: new.prefix,
        added_at: now,
        added_by: call.principal.id.name().into_owned(),
        reason: new.reason,
        expires_at: new.expires_at,
    };
    let added = api.engine.safelist_add(entry, &call.caller(dry_run)).await?;
    let answer = SafelistAdded {
        entry: SafelistEntry::from(&added.entry),
        withdrawn_mitigations: added.withdrawn.iter().copied().map(Into::into).collect(),
    };
    if dry_run {
        return dry(Some(answer), added.withdrawn);
    }
    respond(if added.updated { StatusCode::OK } else { StatusCode::CREATED }, &answer)
}

/// Remove an entry. Entries of prefixd.yaml are removed there.
#[utoipa::path(
    delete, path = "/v1/safelist/{prefix}", tag = "safelist", operation_id = "remove_safelist",
    params(
        crate::document::DryRunParameter,
        ("prefix" = String, Path, description = "The prefix, URL-encoded: `203.0.113.0%2F28`."),
    ),
    responses(
        (status = 204, description = "Removed."),
        (status = 200, description = "The answer of a dry run."),
    )
)]
pub(crate) async fn delete(api: Data<Api>, call: Call, prefix: Path<String>, query: Query) -> Reply {
    let parse = |text: &str| text.parse::<Prefix>().map_err(|error| error.to_string());
    let prefix = from_path("prefix", &prefix, parse)?;
    let (dry_run, ()) = change(query, Ok(()))?;
    api.engine.safelist_remove(prefix, &call.caller(dry_run)).await?;
    if dry_run { dry(None::<()>, Vec::<MitigationId>::new()) } else { Ok(HttpResponse::NoContent().finish()) }
}
