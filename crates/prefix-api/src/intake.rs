//! Intake: what every way of an event into the engine has in common, whatever it was written in.

use actix_web::http::StatusCode;
use futures::stream::{self, StreamExt, TryStreamExt};
use prefix_core::audit::AuditAction;
use prefix_core::event::Report;
use prefix_core::name::SourceName;
use prefix_diagnostics::Diagnostic;
use prefix_engine::{
    Answer, BatchItem, Caller, EngineError, EventOutcome, IdempotencyKey, Inadmissible, InvalidItem,
    RefusedEvent,
};
use serde_json::{Value, json};

use crate::answer;
use crate::api::Api;
use crate::call::Call;
use crate::handlers::{Reply, repeatable};
use crate::limits::Budget;
use crate::problem::{Kind, Problem};
use crate::query::Query;
use crate::report::{self, Rejection};
use crate::value;

/// The most events that go to the engine as one command.
const CHUNK: usize = 100;

/// So many commands of one request are with the engine at once. All of a large group together would wait for their turn
/// longer than the engine lets anything wait.
const AT_ONCE: usize = 32;

/// A refusal that is still to be audited, and its details.
pub(crate) type Refusal = (AuditAction, Value);

/// Intake has no dry run, and whoever asks for one must not get the real thing instead.
pub(crate) fn no_dry_run(query: &mut Query) {
    query.refuse("dry_run", "is not for events: an event is always acted on");
}

/// The mistakes of a request outside its body.
pub(crate) fn request_errors(call: &Call, mut query: Query) -> Result<(), Vec<Diagnostic>> {
    query.errors.extend(call.check_key().err().into_iter().flatten());
    query.finish()
}

/// Takes what a request of so many events costs beyond the one token that it paid at the gate, as a debt if need be.
pub(crate) fn charge_rest(api: &Api, call: &Call, events: usize) {
    let rest = u32::try_from(events).unwrap_or(u32::MAX).saturating_sub(1);
    api.limiter.charge(Budget::Events, &call.bucket, rest);
}

/// Whether the principal may report as this source.
pub(crate) fn may_report(call: &Call, source: &SourceName) -> Result<(), Problem> {
    if !call.principal.may_report_as(source) {
        report::event_refused(Rejection::ForbiddenSource, Some(source.as_str()), 1);
        let detail = format!("this token may not report as source {}", value::quoted(source.as_str()));
        return Err(Problem::new(Kind::SourceNotAllowed, detail));
    }
    Ok(())
}

/// One event, and the answer to it.
pub(crate) async fn one(
    api: &Api,
    call: &Call,
    report: Result<Report, Inadmissible>,
    explain: bool,
    body_hash: [u8; 32],
) -> Reply {
    let caller = call.repeatable(false, body_hash);
    let answer = match report {
        Ok(report) => api.engine.ingest(report, &caller).await?,
        Err(inadmissible) => api.engine.refuse_event(inadmissible, &caller).await?,
    };
    match &answer.value {
        EventOutcome::Accepted(ingested) => {
            repeatable(StatusCode::ACCEPTED, &answer::event(ingested, explain), answer.replayed)
        }
        EventOutcome::Refused(refused) => Err(refusal(refused, explain).replayed(answer.replayed)),
        EventOutcome::Invalid(InvalidItem { inadmissible: Some(inadmissible), .. }) => {
            Err(Problem::from(EngineError::from(inadmissible.clone())).replayed(answer.replayed))
        }
        EventOutcome::Invalid(item) => {
            tracing::error!(error = item.error, "the engine called a single event an invalid item");
            Err(Problem::internal())
        }
    }
}

/// Several events in order, however many; the outcomes are complete, or nothing is known to be stored. `refusals` are
/// those of the caller, which are audited with those of the engine.
pub(crate) async fn many(
    api: &Api,
    call: &Call,
    items: Vec<BatchItem>,
    mut refusals: Vec<Refusal>,
    body_hash: [u8; 32],
) -> Result<Answer<Vec<EventOutcome>>, Problem> {
    let for_engine: Vec<bool> = items.iter().map(Result::is_ok).collect();
    let caller = call.repeatable(false, body_hash);
    // several at once: the engine keeps their order, and they wait for the speaker together
    let asked = chunks(items).into_iter().enumerate().map(|(number, chunk)| {
        let caller = of_chunk(&caller, number);
        async move { api.engine.ingest_batch(chunk, &caller).await }
    });
    let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    let replayed = answers.iter().all(|answer| answer.replayed);
    let value: Vec<_> = answers.into_iter().flat_map(|answer| answer.value).collect();
    if !replayed {
        // what the engine called invalid was well-formed: it is a refusal like that of a single event
        for (index, outcome) in value.iter().enumerate() {
            if let (EventOutcome::Invalid(item), Some(true)) = (outcome, for_engine.get(index)) {
                refusals.push((AuditAction::Reject, json!({"index": index, "reason": item.error})));
            }
        }
        for (action, details) in refusals {
            api.audit_refusal(call, action, details).await;
        }
    }
    Ok(Answer { value, replayed })
}

fn chunks(items: Vec<BatchItem>) -> Vec<Vec<BatchItem>> {
    let mut chunks = Vec::new();
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        chunks.push(items.by_ref().take(CHUNK).collect());
    }
    chunks
}

/// The caller of a further chunk: its stored answer is one of its own. No path of a request holds a `#`.
fn of_chunk(caller: &Caller, number: usize) -> Caller {
    let mut caller = caller.clone();
    if number > 0 {
        caller.idempotency =
            caller.idempotency.map(|key| IdempotencyKey { path: format!("{}#{number}", key.path), ..key });
    }
    caller
}

fn refusal(refused: &RefusedEvent, explain: bool) -> Problem {
    let problem = Problem::new(Kind::Guardrail, refused.refusal.detail.clone())
        .audited(true)
        .retry_after(refused.refusal.retry_after_seconds);
    problem.with(|body| {
        body.guardrail = Some(refused.refusal.guardrail.into());
        body.event_id = Some(refused.event_id.into());
        body.external_event_id = Some(refused.external_event_id.as_ref().map(ToString::to_string));
        body.mitigation_id = Some(Some(refused.mitigation_id.into()));
        body.decision = explain.then(|| (&refused.decision).into());
    })
}
