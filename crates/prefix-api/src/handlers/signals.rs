//! Signals: what detectors send in formats of their own. prefix-signals reads them; from there on they are events.

pub(crate) mod alertmanager;
pub(crate) mod fastnetmon;
pub(crate) mod webhook;

use std::collections::BTreeMap;

use prefix_core::name::{SourceName, VectorName};
use prefix_diagnostics::{Diagnostic, KeyPath};
use prefix_engine::InvalidItem;
use prefix_signals::{Context, Item};

use super::{Reply, mark_replay, ok};
use crate::answer;
use crate::api::Api;
use crate::body::{Body, RawBody};
use crate::call::Call;
use crate::intake;
use crate::limits::Budget;
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

/// Hands the items of a payload on, and answers for each.
async fn answer(api: &Api, call: &Call, source: &SourceName, items: Vec<Item>, body_hash: [u8; 32]) -> Reply {
    // the first event was paid for at the gate
    let rest = u32::try_from(items.len()).unwrap_or(u32::MAX).saturating_sub(1);
    let from = Some(source.as_str());
    api.limiter.charge(Budget::Events, call.bucket(), rest);
    let items = items.into_iter().map(|item| {
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
    let mut response = ok(&answer::signals(&answer.value))?;
    mark_replay(&mut response, &answer);
    Ok(response)
}
