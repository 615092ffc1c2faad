//! Mitigations: listed, made and ended by people (http-api.md §4.3).

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use prefix_api_types::{Acknowledged, BulkStatus, BulkWithdrawn, Mitigation, MitigationPage};
use prefix_core::flowspec::ActionType;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use prefix_core::name::{Pop, SourceName};
use prefix_core::ports::MitigationQuery;
use prefix_engine::{EngineError, ManualRequest};

use super::{Reply, both, change, checked, dry, from_path, ok, repeatable};
use crate::answer::{self, bulk};
use crate::api::Api;
use crate::body::Body;
use crate::call::Call;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::{self, Manual};
use crate::value;

/// Mitigations, newest first; of the answering instance's pop unless `pop` says otherwise.
#[utoipa::path(
    get, path = "/v1/mitigations", tag = "mitigations", operation_id = "list_mitigations",
    params(
        crate::document::PageParameters,
        ("status" = Option<String>, Query, description = "Of one of these statuses, separated by commas."),
        ("customer_id" = Option<String>, Query, description = "Of this customer."),
        ("victim_ip" = Option<String>, Query, description = "For exactly this address."),
        ("vector" = Option<String>, Query, description = "Of this kind."),
        ("pop" = Option<String>, Query, description = "Of this pop; `all` = every pop."),
        ("acknowledged" = Option<bool>, Query, description = "Acknowledged, or not."),
        ("source" = Option<String>, Query, description = "With a lease of this source."),
        ("action_type" = Option<String>, Query, description = "With this action: `police`, `discard`, `redirect`, `mark` or `rtbh`."),
        ("within" = Option<String>, Query, description = "For an address within this prefix, e.g. `203.0.113.0/24`."),
    ),
    responses((status = 200, description = "A page of mitigations.", body = MitigationPage))
)]
pub(crate) async fn list(api: Data<Api>, mut query: Query) -> Reply {
    let filter = MitigationQuery {
        page: query.page(),
        status: query.optional("status", statuses).unwrap_or_default(),
        customer_id: query.parsed("customer_id"),
        victim_ip: query.parsed("victim_ip"),
        vector: query.parsed("vector"),
        pop: match query.optional("pop", pop) {
            Some(asked) => asked,
            None => Some(api.engine.settings().pop.clone()),
        },
        acknowledged: query.boolean("acknowledged"),
        source: query.parsed("source"),
        action_type: query.word("action_type", &action_types()),
        within: query.parsed("within"),
    };
    checked(query.finish())?;
    let page = api.engine.mitigations(&filter).await?;
    ok(&MitigationPage::of(&page, |row| answer::mitigation(row, false)))
}

fn action_types() -> Vec<(&'static str, ActionType)> {
    ActionType::ALL.into_iter().map(|action| (action.as_str(), action)).collect()
}

fn statuses(text: &str) -> Result<Vec<Status>, String> {
    text.split(',')
        .map(|word| word.parse().map_err(|error: prefix_core::mitigation::UnknownStatus| error.to_string()))
        .collect()
}

/// `None` = every pop.
pub(super) fn pop(text: &str) -> Result<Option<Pop>, String> {
    if text == "all" { Ok(None) } else { text.parse().map(Some).map_err(|error| format!("{error}")) }
}

/// One mitigation, and why it is as it is.
#[utoipa::path(
    get, path = "/v1/mitigations/{id}", tag = "mitigations", operation_id = "get_mitigation",
    params(("id" = Uuid, Path, description = "`mitigation_id` of the mitigation.")),
    responses((status = 200, description = "The mitigation.", body = Mitigation))
)]
pub(crate) async fn get(api: Data<Api>, id: Path<String>) -> Reply {
    let id: MitigationId = from_path("id", &id, value::id_of)?;
    ok(&answer::mitigation(&api.engine.mitigation(id).await?, true))
}

/// Make a rule by hand. Playbooks are skipped, guardrails are not; the match is taken literally.
#[utoipa::path(
    post, path = "/v1/mitigations", tag = "mitigations", operation_id = "create_mitigation",
    params(
        crate::document::DryRunParameter,
        ("explain" = Option<bool>, Query, description = "Add `decision` to the answer."),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; a repetition within 24 h gets the first answer."),
    ),
    request_body = prefix_api_types::NewMitigation,
    responses(
        (status = 201, description = "A new mitigation.", body = Mitigation),
        (status = 200, description = "The same rule lived already and was changed in place; or the answer of a dry run.", body = Mitigation),
    )
)]
pub(crate) async fn post(api: Data<Api>, call: Call, mut query: Query, body: Body) -> Reply {
    let (explain, dry_run) = (query.flag("explain"), query.flag("dry_run"));
    let request_errors = query.finish().and(call.check_key());
    let ((), manual) = both(request_errors, request::manual(&body.tree))?;
    let request = manual_request(&api, &call, manual)?;
    let answer = api.engine.create(request, &call.repeatable(dry_run, body.hash)).await?;
    let created = &answer.value;
    let shown = answer::mitigation(&created.view, explain);
    if dry_run {
        let affected = if created.replaced { vec![shown.mitigation_id] } else { Vec::new() };
        return dry(Some(shown), affected);
    }
    let status = if created.replaced { StatusCode::OK } else { StatusCode::CREATED };
    repeatable(status, &shown, answer.replayed)
}

fn manual_request(api: &Api, call: &Call, manual: Manual) -> Result<ManualRequest, Problem> {
    Ok(ManualRequest {
        victim_ip: manual.victim_ip,
        matching: manual.matching,
        action: manual.action,
        ttl: manual.ttl,
        flaw: manual.flaw,
        vector: manual.vector.map_err(|text| EngineError::from(api.unknown_vector(&text)))?,
        reason: manual.reason,
        operator: SourceName::operator(&call.principal.id.name()),
    })
}

/// End a mitigation. Repeating it is harmless until it has ended.
#[utoipa::path(
    post, path = "/v1/mitigations/{id}/withdraw", tag = "mitigations", operation_id = "withdraw_mitigation",
    params(crate::document::DryRunParameter, ("id" = Uuid, Path, description = "`mitigation_id` of the mitigation.")),
    request_body = prefix_api_types::Withdraw,
    responses((status = 200, description = "The mitigation, `withdrawing` or `withdrawn`.", body = Mitigation))
)]
pub(crate) async fn withdraw(
    api: Data<Api>,
    call: Call,
    id: Path<String>,
    query: Query,
    body: Body,
) -> Reply {
    let id: MitigationId = from_path("id", &id, value::id_of)?;
    let (dry_run, reason) = change(query, request::withdraw(&body.tree))?;
    let withdrawn = api.engine.withdraw(id, &reason, &call.caller(dry_run)).await?;
    let shown = answer::mitigation(&withdrawn, false);
    if dry_run { dry(Some(shown), vec![id]) } else { ok(&shown) }
}

/// End 1 to 100 mitigations, each on its own.
#[utoipa::path(
    post, path = "/v1/mitigations/withdraw", tag = "mitigations", operation_id = "withdraw_mitigations",
    params(crate::document::DryRunParameter),
    request_body = prefix_api_types::WithdrawMany,
    responses((status = 200, description = "What became of each.", body = BulkWithdrawn))
)]
pub(crate) async fn withdraw_many(api: Data<Api>, call: Call, query: Query, body: Body) -> Reply {
    let (dry_run, (ids, reason)) = change(query, request::withdraw_many(&body.tree))?;
    let items = api.engine.withdraw_many(ids, &reason, &call.caller(dry_run)).await?;
    let (done, failed, results) = bulk(&items, |status| match status {
        Status::Withdrawing => BulkStatus::Withdrawing,
        _ => BulkStatus::Withdrawn,
    });
    let answer = BulkWithdrawn { withdrawn: done.len(), failed, results };
    if dry_run { dry(Some(answer), done) } else { ok(&answer) }
}

/// Mark 1 to 100 mitigations as seen. Changes no status.
#[utoipa::path(
    post, path = "/v1/mitigations/acknowledge", tag = "mitigations", operation_id = "acknowledge_mitigations",
    params(crate::document::DryRunParameter),
    request_body = prefix_api_types::Acknowledge,
    responses((status = 200, description = "What became of each.", body = Acknowledged))
)]
pub(crate) async fn acknowledge(api: Data<Api>, call: Call, query: Query, body: Body) -> Reply {
    let (dry_run, ids) = change(query, request::acknowledge(&body.tree))?;
    let items = api.engine.acknowledge(ids, &call.caller(dry_run)).await?;
    let (done, failed, results) = bulk(&items, |_| BulkStatus::Acknowledged);
    let answer = Acknowledged { acknowledged: done.len(), failed, results };
    if dry_run { dry(Some(answer), done) } else { ok(&answer) }
}
