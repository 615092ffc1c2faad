//! The handlers: extract, call one method of the engine, show the result.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod config;
pub(crate) mod corroborator;
pub(crate) mod document;
pub(crate) mod events;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod mitigations;
pub(crate) mod panic;
pub(crate) mod peers;
pub(crate) mod safelist;
pub(crate) mod signals;
pub(crate) mod simulate;
pub(crate) mod stats;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use prefix_api_types::{DryRun, MitigationId};
use prefix_diagnostics::Diagnostic;
use serde::Serialize;

use crate::problem::Problem;
use crate::query::Query;

/// The header of an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What a handler answers.
pub(crate) type Reply = Result<HttpResponse, Problem>;

/// An answer in JSON.
pub(crate) fn respond(status: StatusCode, body: &impl Serialize) -> Reply {
    let bytes = serde_json::to_vec(body).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        Problem::internal()
    })?;
    Ok(HttpResponseBuilder::new(status).content_type("application/json").body(bytes))
}

/// 200 with a body.
fn ok(body: &impl Serialize) -> Reply {
    respond(StatusCode::OK, body)
}

/// What a dry run would have answered and done.
fn dry(result: Option<impl Serialize>, affected_mitigations: Vec<impl Into<MitigationId>>) -> Reply {
    let affected_mitigations = affected_mitigations.into_iter().map(Into::into).collect();
    ok(&DryRun { dry_run: true, result, affected_mitigations })
}

/// An answer that says so if it was given before.
pub(crate) fn repeatable(status: StatusCode, body: &impl Serialize, replayed: bool) -> Reply {
    let mut response = respond(status, body)?;
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Both, or the mistakes of both.
fn both<A, B>(a: Result<A, Vec<Diagnostic>>, b: Result<B, Vec<Diagnostic>>) -> Result<(A, B), Problem> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => {
            let errors = a.err().into_iter().chain(b.err()).flatten().collect();
            Err(Problem::bad_request(errors))
        }
    }
}

/// Whether a change is only rehearsed, and what is asked for; or the mistakes of query and body.
fn change<T>(mut query: Query, asked: Result<T, Vec<Diagnostic>>) -> Result<(bool, T), Problem> {
    let dry_run = query.flag("dry_run");
    both(query.finish(), asked).map(|((), asked)| (dry_run, asked))
}

/// The value, or its mistakes.
fn checked<T>(value: Result<T, Vec<Diagnostic>>) -> Result<T, Problem> {
    value.map_err(Problem::bad_request)
}

/// A part of the path.
fn from_path<T>(name: &str, text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Problem> {
    parse(text).map_err(|detail| Problem::at(format!("{{{name}}}"), detail))
}
