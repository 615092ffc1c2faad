//! The gate of every endpoint: credentials, role and rate are checked here, before a handler runs, and a handler that
//! panics or takes too long ends here.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use futures::FutureExt;
use prefix_core::audit::AuditAction;
use prefix_signals::webhook::Auth;
use serde_json::json;

use crate::access::{AuthMethod, Principal, Sender};
use crate::api::Api;
use crate::call::{Call, address, client};
use crate::connections::Connection;
use crate::endpoint::{self, Endpoint};
use crate::limits::Budget;
use crate::problem::{Kind, Problem};
use crate::query::Query;
use crate::report::{self, Rejection};
use crate::settings::REQUEST_TIMEOUT;
use crate::sites::Proof;
use crate::value;

/// Wraps every resource. Whatever goes wrong becomes an answer here.
pub(crate) async fn gate(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let seen = request.request().clone();
    let answer = match admit(&seen).await {
        Ok(()) => bounded(next.call(request)).await,
        Err(problem) => Err(problem),
    };
    let answer = answer.unwrap_or_else(|problem| ServiceResponse::new(seen.clone(), problem.response("")));
    let problem = answer.response().extensions().get::<Problem>().cloned();
    if let Some(problem) = problem {
        audit(&seen, &problem).await;
    }
    Ok(answer)
}

/// Every refusal is audited, here if the engine did not. A dry run is no refusal of anything, unless its caller may not
/// even ask.
async fn audit(request: &HttpRequest, problem: &Problem) {
    let Some(action) = problem.unwritten_audit() else { return };
    let dry_run = Query::new(request.query_string()).flag("dry_run");
    let principal = request.extensions().get::<Principal>().cloned();
    let (Some(api), Some(principal)) = (request.app_data::<web::Data<Api>>(), principal) else { return };
    if !dry_run || action == AuditAction::Forbidden {
        let mut details = json!({"problem": problem.kind().suffix(), "reason": problem.detail()});
        if !problem.errors().is_empty() {
            details["errors"] = json!(problem.errors());
        }
        api.audit_refusal(&Call::new(request, principal), action, details).await;
    }
}

async fn bounded(
    answer: impl Future<Output = Result<ServiceResponse<BoxBody>, Error>>,
) -> Result<ServiceResponse<BoxBody>, Problem> {
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, AssertUnwindSafe(answer).catch_unwind());
    match answer.await {
        Ok(Ok(Ok(response))) => Ok(response),
        Ok(Ok(Err(error))) => Err(of_actix(&error)),
        // the panic hook has logged the place
        Ok(Err(_)) => Err(Problem::internal()),
        Err(_) => {
            tracing::error!(seconds = REQUEST_TIMEOUT.as_secs(), "a request took too long and was given up");
            Err(Problem::new(
                Kind::StorageUnavailable,
                format!(
                    "no result within {} s; send the request again: repeating it is harmless even if it was carried out",
                    REQUEST_TIMEOUT.as_secs()
                ),
            ))
        }
    }
}

fn of_actix(error: &Error) -> Problem {
    match error.as_error::<Problem>() {
        Some(problem) => problem.clone(),
        None => Problem::of_status(error.as_response_error().status_code()),
    }
}

/// An endpoint without parameters has nobody who reads them.
fn check_bare(endpoint: &Endpoint, request: &HttpRequest) -> Result<(), Problem> {
    if endpoint.has_query {
        return Ok(());
    }
    Query::new(request.query_string()).finish().map_err(Problem::bad_request)
}

async fn admit(request: &HttpRequest) -> Result<(), Problem> {
    let Some(api) = request.app_data::<web::Data<Api>>() else { return Err(Problem::internal()) };
    let pattern = request.match_pattern().unwrap_or_default();
    let Some(endpoint) = endpoint::find(request.method(), &pattern) else {
        return Err(Problem::method_not_allowed(&endpoint::allow(&pattern)));
    };
    if api.is_draining() && !endpoint.is_health() {
        return Err(prefix_engine::EngineError::ShuttingDown.into());
    }
    let decides = !api.sites.everyone_is_admin && request.headers().contains_key(AUTHORIZATION);
    let proof = match (decides, api.cookie.is_sent(request.headers())) {
        (true, _) => Proof::Authorization,
        (false, true) if !api.sites.everyone_is_admin && !endpoint.is_login() => Proof::Cookie,
        (false, _) => Proof::Nothing,
    };
    api.sites.check(request.method(), request.headers(), proof)?;
    if endpoint.is_public() {
        api.limiter.take(endpoint.budget, &address(request), 1)?;
        return check_bare(endpoint, request);
    }
    let principal = match identify(api, request, endpoint).await {
        Ok(principal) => principal,
        Err(problem) => {
            return Err(failed(api, request, problem));
        }
    };
    let call = Call::new(request, principal);
    // a signature is checked by the handler, and only then its sender is known and pays
    if call.principal.auth_method != AuthMethod::Signature {
        pay(api, endpoint.budget, &call)?;
    }
    tracing::Span::current().record("actor", call.principal.id.name().as_ref());
    request.extensions_mut().insert(call.principal.clone());
    check_role(api, &call.principal, endpoint)?;
    check_bare(endpoint, request)
}

/// Takes the first token of a request.
pub(crate) fn pay(api: &Api, budget: Budget, call: &Call) -> Result<(), Problem> {
    api.limiter.take(budget, &call.bucket, 1).inspect_err(|_| {
        if matches!(budget, Budget::Events | Budget::Signals) {
            report::event_refused(Rejection::RateLimited, None, 1);
        }
    })
}

/// The answer to credentials or a signature that do not hold: whoever guesses pays from a small bucket of its address,
/// which nobody who is let in draws from.
pub(crate) fn failed(api: &Api, request: &HttpRequest, problem: Problem) -> Problem {
    if problem.kind() != Kind::Unauthenticated {
        return problem;
    }
    api.limiter.take(Budget::Failures, &address(request), 1).err().unwrap_or(problem)
}

/// Who calls. A webhook adapter that does not ask for credentials of the API has a principal of its own; the handler
/// checks its signature, and finds the adapter that was asked here.
async fn identify(api: &Api, request: &HttpRequest, endpoint: &Endpoint) -> Result<Principal, Problem> {
    if endpoint.is_webhook() {
        let name = request.match_info().get("name").unwrap_or_default();
        let adapter = api.adapters.load().get(name).ok_or_else(|| {
            Problem::new(
                Kind::NotFound,
                format!("there is no enabled webhook adapter {}", value::quoted(name)),
            )
        })?;
        let of_the_api = matches!(adapter.auth(), Auth::Bearer);
        let by_signature = matches!(adapter.auth(), Auth::Hmac(_));
        let method = if by_signature { AuthMethod::Signature } else { AuthMethod::None };
        let principal = Principal::webhook(adapter.source(), method);
        request.extensions_mut().insert(adapter);
        if !of_the_api {
            return Ok(principal);
        }
    }
    let connection = request.conn_data::<Arc<Connection>>();
    let sender = Sender {
        headers: request.headers(),
        address: client(request),
        cookie: &api.cookie,
        certificate: connection.and_then(|connection| connection.certificate()),
    };
    api.authenticator.identify(&api.engine, sender).await
}

fn check_role(api: &Api, principal: &Principal, endpoint: &Endpoint) -> Result<(), Problem> {
    if endpoint.permission.is_granted_to_principal(principal, api.has_admin()) {
        return Ok(());
    }
    let role = principal.role;
    let needed = endpoint.permission.roles().join(", ");
    Err(Problem::new(
        Kind::Forbidden,
        format!("role {} may not do this; it needs one of: {needed}", role.as_str()),
    ))
}
