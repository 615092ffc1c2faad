//! The running configuration, and loading it anew (http-api.md §11).

use actix_web::web::Data;
use prefix_api_types::{ConfigEdited, NewPlaybooks, Reloaded};
use prefix_diagnostics::Diagnostic;
use serde_json::{Map, Value};

use super::{Reply, both, checked, dry, ok};
use crate::access::Role;
use crate::api::Api;
use crate::body::{Body, NoBody};
use crate::call::Call;
use crate::config_control::{ConfigDocument, EditAnswer, EditError, ReloadAnswer, ReloadError};
use crate::problem::{Kind, Problem, field_errors};
use crate::query::Query;

/// The settings that run: listed keys only, secrets left out.
#[utoipa::path(
    get, path = "/v1/config/settings", tag = "configuration", operation_id = "config_settings",
    responses((status = 200, description = "`{settings, loaded_at}`", body = serde_json::Value))
)]
pub(crate) async fn settings(api: Data<Api>) -> Reply {
    ok(&api.config.settings_view())
}

/// The inventory that runs.
#[utoipa::path(
    get, path = "/v1/config/inventory", tag = "configuration", operation_id = "config_inventory",
    responses((status = 200, description = "`{customers, total_customers, total_services, total_assets, loaded_at}`", body = serde_json::Value))
)]
pub(crate) async fn inventory(api: Data<Api>) -> Reply {
    ok(&api.config.inventory_view())
}

/// The playbooks and vectors that run.
#[utoipa::path(
    get, path = "/v1/config/playbooks", tag = "configuration", operation_id = "config_playbooks",
    responses((status = 200, description = "`{playbooks, total_playbooks, default_playbook, vectors, loaded_at}`", body = serde_json::Value))
)]
pub(crate) async fn playbooks(api: Data<Api>) -> Reply {
    ok(&api.config.playbooks_view())
}

/// Read the files again: all of them become active, or none.
#[utoipa::path(
    post, path = "/v1/config/reload", tag = "configuration", operation_id = "reload_config",
    params(
        crate::document::DryRunParameter,
        ("force" = Option<bool>, Query, description = "Let a reload pass that withdraws many living rules at once."),
    ),
    responses((status = 200, description = "What is in force now.", body = Reloaded))
)]
pub(crate) async fn reload(api: Data<Api>, call: Call, mut query: Query, _: NoBody) -> Reply {
    let (dry_run, force) = (query.flag("dry_run"), query.flag("force"));
    checked(query.finish())?;
    // files are no part of a transaction
    api.engine.confirm(&call.caller(dry_run)).await?;
    match api.config.reload(force, &call.caller(dry_run)).await {
        Ok(done) if dry_run => {
            let affected = done.withdrawn.clone();
            dry(Some(shown(&api, done, true)), affected)
        }
        Ok(done) => ok(&shown(&api, done, false)),
        Err(ReloadError::Engine(error)) => Err(error.into()),
        Err(ReloadError::Invalid(errors)) => Err(invalid("the files", errors)),
    }
}

/// The terms of correlation that run.
#[utoipa::path(
    get, path = "/v1/config/correlation", tag = "configuration", operation_id = "config_correlation",
    responses((status = 200, description = "The document of correlation.yaml with `loaded_at`; `secret_env` is `***` unless for an admin.", body = serde_json::Value))
)]
pub(crate) async fn correlation(api: Data<Api>, call: Call) -> Reply {
    ok(&api.config.correlation_view(call.principal.role == Role::Admin))
}

/// Replaces playbooks and vectors: checked, written to playbooks.yaml, and in force at once.
#[utoipa::path(
    put, path = "/v1/config/playbooks", tag = "configuration", operation_id = "put_config_playbooks",
    params(
        crate::document::DryRunParameter,
        ("force" = Option<bool>, Query, description = "Let a document pass that withdraws many living rules at once."),
    ),
    request_body = NewPlaybooks,
    responses((status = 200, description = "What runs now, as GET shows it. A dry run adds `changes` and `warnings`.", body = serde_json::Value))
)]
pub(crate) async fn put_playbooks(api: Data<Api>, call: Call, query: Query, body: Body) -> Reply {
    edit(&api, ConfigDocument::Playbooks, &call, query, &body).await
}

/// Replaces the terms of correlation: checked, written to correlation.yaml, and in force at once.
#[utoipa::path(
    put, path = "/v1/config/correlation", tag = "configuration", operation_id = "put_config_correlation",
    params(
        crate::document::DryRunParameter,
        ("force" = Option<bool>, Query, description = "Let a document pass that withdraws many living rules at once."),
    ),
    request_body(content = serde_json::Value, description = "The document of correlation.yaml. A member that is left out stays as it is; unknown members are refused; `secret_env: \"***\"` keeps the variable of the adapter of that name."),
    responses((status = 200, description = "What runs now, as GET shows it. A dry run adds `changes` and `warnings`.", body = serde_json::Value))
)]
pub(crate) async fn put_correlation(api: Data<Api>, call: Call, query: Query, body: Body) -> Reply {
    edit(&api, ConfigDocument::Correlation, &call, query, &body).await
}

async fn edit(api: &Api, document: ConfigDocument, call: &Call, mut query: Query, body: &Body) -> Reply {
    let (dry_run, force) = (query.flag("dry_run"), query.flag("force"));
    let ((), value) = both(query.finish(), body.value())?;
    api.engine.confirm(&call.caller(dry_run)).await?;
    let done = api.config.edit(document, value, force, &call.caller(dry_run)).await?;
    if !dry_run {
        return ok(&done.view);
    }
    let EditAnswer { view, withdrawn, changes, warnings } = done;
    let document = if let Value::Object(members) = view { members } else { Map::new() };
    dry(Some(ConfigEdited { document, changes, warnings: field_errors(warnings) }), withdrawn)
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Malformed(errors) => Self::bad_request(errors),
            EditError::Invalid(errors) => invalid("the document", errors),
            EditError::NotAllowed(detail, obstacles) => {
                Self::new(Kind::NotAllowed, detail).with_errors(obstacles)
            }
            // what is broken is the disk, and whoever may write the files may know how
            EditError::Unwritten(detail) => Self::new(Kind::Internal, detail),
            EditError::Engine(error) => error.into(),
        }
    }
}

fn invalid(what: &str, errors: Vec<Diagnostic>) -> Problem {
    let first =
        errors.first().map_or_else(String::new, |error| format!(": {} {}", error.pointer(), error.text));
    let count = match errors.len() {
        1 => "1 mistake".to_owned(),
        count => format!("{count} mistakes"),
    };
    let detail = format!("{count} in {what}, nothing was changed{first}");
    Problem::new(Kind::ConfigInvalid, detail).with_errors(errors)
}

fn shown(api: &Api, done: ReloadAnswer, with_changes: bool) -> Reloaded {
    Reloaded {
        reloaded: done.reloaded,
        timestamp: Some(api.now()),
        restart_required: done.restart_required,
        changes: with_changes.then_some(done.changes),
    }
}
