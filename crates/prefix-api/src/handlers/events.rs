//! Events: what detectors report, and what became of it.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use prefix_api_types::{BatchAnswer, Event, EventAnswer, EventPage};
use prefix_core::event::Report;
use prefix_core::id::EventId;
use prefix_core::name::SourceName;
use prefix_core::ports::EventQuery;
use prefix_diagnostics::{KeyPath, Node};
use prefix_engine::{BatchItem, EngineError, Inadmissible, InvalidItem};
use serde_json::json;

use super::{Reply, both, checked, from_path, ok, repeatable};
use crate::access::Role;
use crate::answer;
use crate::api::Api;
use crate::body::Body;
use crate::call::Call;
use crate::intake;
use crate::problem::Problem;
use crate::query::Query;
use crate::report::{self, Rejection};
use crate::request::{self, Draft, Item};
use crate::value;

/// Report an attack, or its end.
#[utoipa::path(
    post, path = "/v1/events", tag = "events", operation_id = "post_event",
    params(
        ("explain" = Option<bool>, Query, description = "Add `decision` to the answer."),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; a repetition within 24 h gets the first answer."),
    ),
    request_body = prefix_api_types::NewEvent,
    responses((status = 202, description = "Stored, and decided.", body = EventAnswer))
)]
pub(crate) async fn post(api: Data<Api>, call: Call, mut query: Query, body: Result<Body, Problem>) -> Reply {
    let body = body.inspect_err(|_| report::event_refused(Rejection::Invalid, None, 1))?;
    let explain = query.flag("explain");
    intake::no_dry_run(&mut query);
    let draft = request::event(&body.tree, KeyPath::root(), api.now());
    let draft = both(intake::request_errors(&call, query), draft)
        .map(|((), draft)| draft)
        .inspect_err(|_| report::event_refused(Rejection::Invalid, source(&body.tree).as_deref(), 1))?;
    intake::may_report(&call, &draft.report.source)?;
    intake::one(&api, &call, admissible(&api, draft), explain, body.hash).await
}

/// Report several attacks at once: 1 to 100 events, in order, each as if sent alone.
#[utoipa::path(
    post, path = "/v1/events/batch", tag = "events", operation_id = "post_events",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; a repetition within 24 h gets the first answer.")),
    request_body = prefix_api_types::NewEvents,
    responses(
        (status = 202, description = "Every event was accepted.", body = BatchAnswer),
        (status = 207, description = "At least one event was rejected.", body = BatchAnswer),
    )
)]
pub(crate) async fn post_batch(
    api: Data<Api>,
    call: Call,
    mut query: Query,
    body: Result<Body, Problem>,
) -> Reply {
    let body = body.inspect_err(|_| report::event_refused(Rejection::Invalid, None, 1))?;
    intake::no_dry_run(&mut query);
    let ((), sent) = both(intake::request_errors(&call, query), request::batch(&body.tree, api.now()))
        .inspect_err(|_| report::event_refused(Rejection::Invalid, None, 1))?;
    // the first event was paid for at the gate
    intake::charge_rest(&api, &call, sent.len());
    let mut refusals = Vec::new();
    let items: Vec<_> = sent
        .into_iter()
        .enumerate()
        .map(|(index, item)| read_item(&api, &call, index, item, &mut refusals))
        .collect();
    let answer = intake::many(&api, &call, items, refusals, body.hash).await?;
    let batch = answer::batch(&answer.value);
    let status = if batch.rejected == 0 { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
    repeatable(status, &batch, answer.replayed)
}

/// An item of a batch for the engine; what it is refused for is noted for the audit log.
fn read_item(
    api: &Api,
    call: &Call,
    index: usize,
    item: Item,
    refusals: &mut Vec<intake::Refusal>,
) -> BatchItem {
    let draft = item.map_err(|(id, errors)| {
        report::event_refused(Rejection::Invalid, None, 1);
        invalid(id, &Problem::bad_request(errors))
    })?;
    let id = draft.report.external_event_id.as_ref().map(|id| id.as_str().to_owned());
    let report = intake::may_report(call, &draft.report.source)
        .and_then(|()| admissible(api, draft).map_err(|inadmissible| EngineError::from(inadmissible).into()));
    report.map_err(|problem: Problem| {
        let details = json!({"index": index, "problem": problem.kind().suffix(), "reason": problem.detail()});
        refusals.extend(problem.unwritten_audit().map(|action| (action, details)));
        invalid(id, &problem)
    })
}

/// Events, newest first.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", operation_id = "list_events",
    params(
        crate::document::PageParameters,
        ("source" = Option<String>, Query, description = "Of this source."),
        ("victim_ip" = Option<String>, Query, description = "Against this address."),
        ("vector" = Option<String>, Query, description = "Of this kind."),
    ),
    responses((status = 200, description = "A page of events.", body = EventPage))
)]
pub(crate) async fn list(api: Data<Api>, mut query: Query) -> Reply {
    let page = query.page();
    let filter = EventQuery {
        page,
        source: query.parsed("source"),
        victim_ip: query.parsed("victim_ip"),
        vector: query.parsed("vector"),
    };
    checked(query.finish())?;
    let page = api.engine.events(&filter).await?;
    ok(&EventPage::of(&page, |event| Event::of(event, false)))
}

/// One event with its raw details (not for viewers), and why it was or was not mitigated.
#[utoipa::path(
    get, path = "/v1/events/{id}", tag = "events", operation_id = "get_event",
    params(("id" = Uuid, Path, description = "`event_id` of the event.")),
    responses((status = 200, description = "The event.", body = Event))
)]
pub(crate) async fn get(api: Data<Api>, call: Call, id: Path<String>) -> Reply {
    let id: EventId = from_path("id", &id, value::id_of)?;
    // what a detector sends may hold more than a viewer is to see
    let with_raw_details = call.principal.role != Role::Viewer;
    ok(&Event::of(&api.engine.event(id).await?, with_raw_details))
}

/// The source of an event that is otherwise unreadable, for the metrics.
fn source(tree: &Node) -> Option<String> {
    value::member::<SourceName>(tree, "source").map(|name| name.as_str().to_owned())
}

/// Whether the vector's name can be one at all.
fn admissible(api: &Api, draft: Draft) -> Result<Report, Inadmissible> {
    let source = &draft.report.source;
    if let Some(vector) = draft.undefined_vector {
        report::event_refused(Rejection::UnknownVector, Some(source.as_str()), 1);
        return Err(api.unknown_vector(&vector));
    }
    Ok(draft.report)
}

fn invalid(external_event_id: Option<String>, problem: &Problem) -> InvalidItem {
    InvalidItem { external_event_id, error: problem.detail().to_owned(), inadmissible: None }
}
