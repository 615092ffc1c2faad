//! Who did what.

use actix_web::web::Data;
use prefix_api_types::{AuditEntry, AuditPage, ChainVerdict};
use prefix_core::audit_chain::ChainHash;
use prefix_core::ports::AuditQuery;
use prefix_diagnostics::Diagnostic;

use super::{Reply, checked, ok};
use crate::api::Api;
use crate::query::Query;
use crate::value;

/// The words that `action` can be (metrics-and-feeds.md §4).
const ACTIONS: &[&str] = &[
    "ingest",
    "extend",
    "release",
    "corroborate",
    "announce",
    "confirm",
    "escalate",
    "step_down",
    "withdraw",
    "withdraw_confirmed",
    "expire",
    "reject",
    "acknowledge",
    "reconcile",
    "safelist_add",
    "safelist_remove",
    "safelist_expired",
    "login",
    "login_failed",
    "logout",
    "operator_create",
    "operator_delete",
    "password_change",
    "token_create",
    "token_revoke",
    "approval_request",
    "approval_approve",
    "approval_reject",
    "approval_expired",
    "preferences_update",
    "forbidden",
    "config_reload",
    "config_playbooks_update",
    "config_alerting_update",
    "config_correlation_update",
    "panic",
    "thaw",
    "guard_withdraw",
    "clock_step",
    "alert_dropped",
    "start",
    "stop",
    "checkpoint",
];

/// Audit entries, newest first.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", operation_id = "list_audit",
    params(
        crate::document::PageParameters,
        ("action" = Option<String>, Query, description = "Of this action, e.g. `withdraw`."),
        ("actor_id" = Option<String>, Query, description = "Of this actor."),
        ("target_type" = Option<String>, Query, description = "About this kind of thing, e.g. `mitigation`."),
        ("target_id" = Option<String>, Query, description = "About this thing."),
    ),
    responses((status = 200, description = "A page of entries.", body = AuditPage))
)]
pub(crate) async fn list(api: Data<Api>, mut query: Query) -> Reply {
    let filter = AuditQuery {
        // the engine adds the own one
        pop: None,
        page: query.page(),
        action: query.optional("action", action),
        actor_id: query.optional("actor_id", text),
        target_type: query.optional("target_type", text),
        target_id: query.optional("target_id", text),
    };
    checked(query.finish())?;
    let page = api.engine.audit(&filter).await?;
    ok(&AuditPage::of(&page, |entry| AuditEntry::from(entry)))
}

/// Check the chain of the answering instance's pop, or a part of it.
#[utoipa::path(
    get, path = "/v1/audit/verify", tag = "audit", operation_id = "verify_audit",
    params(
        ("from_seq" = Option<i64>, Query, minimum = 1, description = "From this entry on; default the first."),
        ("to_seq" = Option<i64>, Query, minimum = 1, description = "Up to this entry; default the last."),
        ("expect" = Option<String>, Query, description = "A `head_hash` noted earlier: is it still part of the chain?"),
    ),
    responses((status = 200, description = "The verdict.", body = ChainVerdict))
)]
pub(crate) async fn verify(api: Data<Api>, mut query: Query) -> Reply {
    let (from, to) = (query.optional("from_seq", seq), query.optional("to_seq", seq));
    let expect = query.parsed::<ChainHash>("expect");
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        query.errors.push(Diagnostic::query("from_seq", "must not be behind to_seq"));
    }
    checked(query.finish())?;
    let verdict = api.engine.verify_audit(from, to, expect).await?;
    ok(&ChainVerdict::from(verdict))
}

fn seq(text: &str) -> Result<i64, String> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seq = if plain { text.parse().ok() } else { None };
    seq.filter(|seq| *seq >= 1)
        .ok_or_else(|| format!("must be the number of an entry, from 1, not {}", value::quoted(text)))
}

fn action(word: &str) -> Result<String, String> {
    if ACTIONS.contains(&word) {
        return Ok(word.to_owned());
    }
    Err(format!("{} is no action; use one of {}", value::quoted(word), ACTIONS.join(", ")))
}

fn text(text: &str) -> Result<String, String> {
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("contains the control character U+{:04X}", u32::from(c))),
        None => Ok(text.to_owned()),
    }
}
