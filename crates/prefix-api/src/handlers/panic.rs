//! The kill switch (http-api.md §9).

use actix_web::web::Data;
use prefix_api_types::{MitigationId, PanicScope, PanicStarted};
use prefix_diagnostics::nearest;
use prefix_engine::{Caller, EngineError, PanicRequest, PanicState};

use super::{Reply, change, dry, ok};
use crate::api::Api;
use crate::body::Body;
use crate::call::Call;
use crate::problem::{Kind, Problem};
use crate::query::Query;
use crate::request;

/// Freeze a scope, then withdraw every rule in it. Without `pop` and `customer_id` that is everything at every pop.
/// Repeating it adds a scope. While storage is down it answers 503, and `prefixdctl panic --direct` is the way.
#[utoipa::path(
    post, path = "/v1/panic", tag = "panic", operation_id = "panic",
    params(crate::document::DryRunParameter),
    request_body = prefix_api_types::NewPanic,
    responses((status = 200, description = "Frozen, and what became of the rules so far.", body = PanicStarted))
)]
pub(crate) async fn post(api: Data<Api>, call: Call, query: Query, body: Body) -> Reply {
    let (dry_run, asked) = change(query, request::panic(&body.tree))?;
    let caller = call.caller(dry_run);
    customer_is_known(&api, &asked, &call).await?;
    let pop = asked.pop.clone();
    let panicked = api.engine.panic(asked, &caller).await;
    let started = panicked.map_err(if dry_run { past_storage } else { unrecorded })?;
    // only now: no doubt delays a panic
    let warnings = match &pop {
        Some(pop) => doubt(&api, pop.as_str()).await.into_iter().collect(),
        None => Vec::new(),
    };
    let PanicScope { panic_id, reason, pop, customer_id, started_at, started_by, origin: _ } =
        PanicScope::from(&started.scope);
    let answer = PanicStarted {
        panic_id,
        reason,
        pop,
        customer_id,
        started_at,
        started_by,
        rules: started.rules,
        withdrawn: started.withdrawn,
        withdrawing: started.withdrawing,
        warnings,
    };
    if dry_run { dry(Some(answer), started.affected) } else { ok(&answer) }
}

/// Thaw one scope, or all. Nothing is announced again by itself: new events start new episodes.
#[utoipa::path(
    post, path = "/v1/panic/thaw", tag = "panic", operation_id = "thaw",
    params(crate::document::DryRunParameter),
    request_body = prefix_api_types::Thaw,
    responses((status = 200, description = "What is still frozen.", body = prefix_api_types::PanicState))
)]
pub(crate) async fn thaw(api: Data<Api>, call: Call, query: Query, body: Body) -> Reply {
    let (dry_run, (reason, id)) = change(query, request::thaw(&body.tree))?;
    let state = api.engine.thaw(&reason, id, &call.caller(dry_run)).await?;
    let answer = shown(&state);
    if dry_run { dry(Some(answer), Vec::<MitigationId>::new()) } else { ok(&answer) }
}

/// What is frozen.
#[utoipa::path(
    get, path = "/v1/panic", tag = "panic", operation_id = "panic_state",
    responses((status = 200, description = "The scopes that are frozen.", body = prefix_api_types::PanicState))
)]
pub(crate) async fn get(api: Data<Api>) -> Reply {
    let state = api.engine.panic_state().await.map_err(past_storage)?;
    ok(&shown(&state))
}

/// A switch that hits nothing is worse than one that refuses: whoever mistypes a customer would believe that its rules
/// are gone. One that has left the inventory, or is another pop's, can be frozen as long as it has rules.
async fn customer_is_known(api: &Api, asked: &PanicRequest, call: &Call) -> Result<(), Problem> {
    let Some(customer) = &asked.customer_id else { return Ok(()) };
    let policy = api.engine.policy();
    let known = policy.parts().inventory.customers().iter().map(|customer| customer.customer_id.as_str());
    let of_here = asked.pop.as_ref().is_none_or(|pop| *pop == api.engine.settings().pop);
    if !of_here || known.clone().any(|known| known == customer.as_str()) {
        return Ok(());
    }
    let rehearsal = Caller { dry_run: true, ..call.caller(true) };
    if api.engine.panic(asked.clone(), &rehearsal).await.map_err(past_storage)?.rules > 0 {
        return Ok(());
    }
    let hint = nearest(customer.as_str(), known).map_or_else(
        || "GET /v1/config/inventory lists them".to_owned(),
        |nearest| format!("did you mean {nearest}?"),
    );
    let detail = format!("there is no customer {customer} and no rule of it, so nothing was frozen; {hint}");
    Err(EngineError::NotAllowed(detail).into())
}

/// A pop that nothing is known of may be a new one, or a slip: frozen it is, and the answer says so.
async fn doubt(api: &Api, pop: &str) -> Option<String> {
    let pops = api.engine.pops().await.ok()?;
    let known: Vec<&str> = pops.iter().map(|(pop, _)| pop.as_str()).collect();
    (!known.contains(&pop)).then(|| {
        format!("pop {pop} is frozen, but no rule of it was ever seen; known are {}", known.join(", "))
    })
}

/// The scope is frozen on this instance, whose rules leave, and storage does not know of it yet.
fn unrecorded(error: EngineError) -> Problem {
    if let EngineError::StorageUnavailable(cause) = &error {
        tracing::warn!(%cause, "a panic cannot be recorded: storage is not available");
        let detail = "storage is not available: this instance has frozen the scope, withdraws the rules that it announces, \
                      and records it once storage is back; other instances do not know of it yet: send it again, or on \
                      their hosts: prefixdctl panic --direct --reason \"...\"";
        return Problem::new(Kind::StorageUnavailable, detail);
    }
    error.into()
}

/// Whoever cannot ask storage is told the other way.
fn past_storage(error: EngineError) -> Problem {
    if let EngineError::StorageUnavailable(cause) = &error {
        tracing::warn!(%cause, "the kill switch was asked for while storage is not available");
        let detail = "storage is not available, nothing was frozen by this request; send it again, or on the daemon's \
                      host: prefixdctl panic --direct --reason \"...\"";
        return Problem::new(Kind::StorageUnavailable, detail);
    }
    error.into()
}

fn shown(state: &PanicState) -> prefix_api_types::PanicState {
    prefix_api_types::PanicState {
        frozen: state.frozen,
        scopes: state.scopes.iter().map(PanicScope::from).collect(),
    }
}
