//! The running configuration, and loading it anew (http-api.md §11).

use actix_web::web::Data;

use super::{Reply, checked, dry, ok};
use crate::answer::{ChangeAnswer, ReloadedAnswer};
use crate::api::Api;
use crate::call::Call;
use crate::config_control::{ReloadAnswer, ReloadError};
use crate::problem::{FieldError, Kind, Problem};
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
    responses((status = 200, description = "What is in force now.", body = ReloadedAnswer))
)]
pub(crate) async fn reload(api: Data<Api>, call: Call, mut query: Query) -> Reply {
    let (dry_run, force) = (query.flag("dry_run"), query.flag("force"));
    checked(query.finish())?;
    match api.config.reload(force, &call.caller(dry_run)).await {
        Ok(done) if dry_run => {
            let affected = done.withdrawn.clone();
            dry(Some(shown(&api, done, true)), affected)
        }
        Ok(done) => ok(&shown(&api, done, false)),
        Err(ReloadError::Engine(error)) => Err(error.into()),
        Err(ReloadError::Invalid(findings)) => {
            let errors: Vec<_> =
                findings.into_iter().map(|finding| FieldError::new(finding.place, finding.detail)).collect();
            let first = errors
                .first()
                .map_or_else(String::new, |error| format!(": {} {}", error.pointer, error.detail));
            let detail = format!("{} mistakes in the files, nothing was changed{first}", errors.len());
            Err(Problem::new(Kind::ConfigInvalid, detail).with_errors(errors))
        }
    }
}

fn shown(api: &Api, done: ReloadAnswer, with_changes: bool) -> ReloadedAnswer {
    let changes = done.changes.into_iter().map(|change| ChangeAnswer {
        file: change.file,
        path: change.path,
        old: change.old,
        new: change.new,
    });
    ReloadedAnswer {
        reloaded: done.reloaded,
        timestamp: api.now(),
        restart_required: done.restart_required,
        changes: with_changes.then(|| changes.collect()),
    }
}
