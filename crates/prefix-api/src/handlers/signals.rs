//! Signals: what detectors send in formats of their own. prefix-signals reads them; from there on they are events.

pub(crate) mod webhook;

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use prefix_api_types::{EventAnswer, SignalsAnswer};
use prefix_core::name::{SourceName, VectorName};
use prefix_diagnostics::{Diagnostic, KeyPath};
use prefix_engine::InvalidItem;
use prefix_signals::{Context, Item, alertmanager, fastnetmon};

use super::{Reply, repeatable};
use crate::answer;
use crate::api::Api;
use crate::body::{Body, RawBody};
use crate::call::Call;
use crate::intake;
use crate::problem::Problem;
use crate::query::Query;
use crate::report::{self, Rejection};

/// A payload that is JSON without a member given twice, in a request without mistakes: its bytes and their hash.
fn payload(
    call: &Call,
    mut query: Query,
    body: Result<RawBody, Problem>,
) -> Result<(Vec<u8>, [u8; 32]), Problem> {
    let read = || {
        let RawBody(bytes) = body?;
        let Body { tree, hash, .. } = Body::parse(bytes.clone())?;
        intake::no_dry_run(&mut query);
        let errors = tree.repeated_members(&KeyPath::root(), None);
        let repeated = if errors.is_empty() { Ok(()) } else { Err(errors) };
        super::both(intake::request_errors(call, query), repeated)?;
        Ok((bytes, hash))
    };
    read().inspect_err(|_| report::event_refused(Rejection::Invalid, None, 1))
}

/// The source of `?source=`, else the adapter's own.
fn source(given: Option<SourceName>, usual: &str) -> Result<SourceName, Problem> {
    given.map_or_else(|| usual.parse().map_err(|_| Problem::internal()), Ok)
}

/// Reads a payload with what its adapter has to know of this daemon.
fn read<T>(
    api: &Api,
    source: &SourceName,
    read: impl FnOnce(Context<'_>) -> Result<T, Diagnostic>,
) -> Result<T, Problem> {
    let (policy, nothing) = (api.engine.policy(), BTreeMap::new());
    let entry = policy.parts().correlation.sources.get(source);
    let is_vector = |name: &VectorName| policy.vector(name).is_some();
    let context = Context {
        source,
        confidence_mapping: entry.map_or(&nothing, |entry| &entry.confidence_mapping),
        is_vector: &is_vector,
        now: api.now(),
    };
    read(context).map_err(|malformed| {
        report::event_refused(Rejection::Invalid, Some(source.as_str()), 1);
        Problem::bad_request(vec![malformed])
    })
}

/// Hands the items of a payload on, and answers for each; `None` is one that does not count.
async fn answer(
    api: &Api,
    call: &Call,
    source: &SourceName,
    items: Vec<Option<Item>>,
    body_hash: [u8; 32],
) -> Reply {
    // the first event was paid for at the gate
    let from = Some(source.as_str());
    intake::charge_rest(api, call, items.len());
    let counts: Vec<bool> = items.iter().map(Option::is_some).collect();
    let items = items.into_iter().flatten().map(|item| {
        item.map_err(|bad| {
            report::event_refused(Rejection::Invalid, from, 1);
            InvalidItem {
                external_event_id: bad.external_event_id.map(Into::into),
                error: bad.error,
                inadmissible: None,
            }
        })
    });
    let answer = intake::many(api, call, items.collect(), Vec::new(), body_hash).await?;
    repeatable(StatusCode::OK, &answer::signals(&answer.value, &counts), answer.replayed)
}

/// Take the alerts of Alertmanager (webhook, version 4); each is an event, or an error of its own.
#[utoipa::path(
    post, path = "/v1/signals/alertmanager", tag = "signals", operation_id = "post_alertmanager",
    params(
        ("source" = Option<String>, Query, description = "The source of the events; default `alertmanager`."),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; a repetition within 24 h gets the first answer."),
    ),
    request_body(content = serde_json::Value, description = "As Alertmanager sends it."),
    responses((status = 200, description = "What became of each alert.", body = SignalsAnswer))
)]
pub(crate) async fn alertmanager(
    api: Data<Api>,
    call: Call,
    mut query: Query,
    body: Result<RawBody, Problem>,
) -> Reply {
    let given = query.parsed("source");
    let (bytes, hash) = payload(&call, query, body)?;
    let source = source(given, "alertmanager")?;
    intake::may_report(&call, &source)?;
    let items = read(&api, &source, |context| alertmanager::read(&bytes, context))?;
    answer(&api, &call, &source, items.into_iter().map(Some).collect(), hash).await
}

/// Take a message of FastNetMon, Advanced or community edition: it is one event.
#[utoipa::path(
    post, path = "/v1/signals/fastnetmon", tag = "signals", operation_id = "post_fastnetmon",
    params(
        ("source" = Option<String>, Query, description = "The source of the event; default `fastnetmon`."),
        ("action" = Option<String>, Query, description = "`ban`, `partial_block`, `attack_status`, `alert`, `unban` or `partial_unblock`, for a body without it."),
        ("explain" = Option<bool>, Query, description = "Add `decision` to the answer."),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; a repetition within 24 h gets the first answer."),
    ),
    request_body(content = serde_json::Value, description = "As FastNetMon Advanced sends it, or the notify script of the community edition."),
    responses((status = 202, description = "Stored, and decided.", body = EventAnswer))
)]
pub(crate) async fn fastnetmon(
    api: Data<Api>,
    call: Call,
    mut query: Query,
    body: Result<RawBody, Problem>,
) -> Reply {
    let (given, explain) = (query.parsed("source"), query.flag("explain"));
    let action = query.optional("action", |word| Ok(word.to_owned()));
    let (bytes, hash) = payload(&call, query, body)?;
    let source = source(given, "fastnetmon")?;
    intake::may_report(&call, &source)?;
    let report = read(&api, &source, |context| fastnetmon::read(&bytes, action.as_deref(), context))?;
    intake::one(&api, &call, Ok(report), explain, hash).await
}
