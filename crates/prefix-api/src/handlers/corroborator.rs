//! Sources that only corroborate: their signals are taken, and shown while they wait (http-api.md §7).

use actix_web::http::StatusCode;
use actix_web::web::Data;
use chrono::TimeDelta;
use prefix_api_types::{
    CachedSignal, CorroborationAnswer, CorroboratorActivity, CorroboratorCache, SourceActivity, SourceCount,
};
use prefix_diagnostics::Diagnostic;
use prefix_engine::{CorroborationTaken, EngineError, ScopeProblem};

use super::{Reply, both, checked, ok, repeatable};
use crate::api::Api;
use crate::body::Body;
use crate::call::Call;
use crate::intake::{may_report, request_errors};
use crate::problem::Problem;
use crate::query::Query;
use crate::report::{self, Rejection};
use crate::request::{self, CorroborationDraft};

/// Corroborate what primary sources report, or will report within the window. Triggers nothing by itself, but may
/// complete the quorum of a group.
#[utoipa::path(
    post, path = "/v1/signals/corroborator", tag = "signals", operation_id = "post_corroboration",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; a repetition within 24 h gets the first answer.")),
    request_body = prefix_api_types::NewCorroboration,
    responses((status = 200, description = "Stored, and attached to every group that it is about.", body = CorroborationAnswer))
)]
pub(crate) async fn post(api: Data<Api>, call: Call, mut query: Query, body: Result<Body, Problem>) -> Reply {
    let invalid = |_: &Problem| report::event_refused(Rejection::Invalid, None, 1);
    let body = body.inspect_err(invalid)?;
    query.refuse("dry_run", "is not for signals: a signal is always acted on");
    let ((), draft) =
        both(request_errors(&call, query), request::corroboration(&body.tree)).inspect_err(invalid)?;
    let CorroborationDraft { report, undefined_vector } = draft;
    let source = &report.source;
    may_report(&call, source)?;
    if let Some(vector) = undefined_vector {
        report::event_refused(Rejection::UnknownVector, Some(source.as_str()), 1);
        return Err(EngineError::from(api.unknown_vector(&vector)).into());
    }
    // what else is wrong with the scope is a matter of configuration, and the engine says so
    let scope = api.engine.check_scope(source, &report.scope);
    if let Err(problem @ ScopeProblem::NoDimension { declared, .. }) = &scope {
        let missing = declared.iter().map(|one| Diagnostic::shape(one.as_str(), problem.to_string()));
        return Err(Problem::bad_request(missing.collect())).inspect_err(invalid);
    }
    let answer = api.engine.corroborate(report, &call.repeatable(false, body.hash)).await?;
    repeatable(StatusCode::OK, &shown(&answer.value), answer.replayed)
}

fn shown(taken: &CorroborationTaken) -> CorroborationAnswer {
    CorroborationAnswer {
        signal_id: taken.signal_id.into(),
        status: if taken.attached_group_ids.is_empty() { "cached" } else { "attached" }.to_owned(),
        attached_group_ids: taken.attached_group_ids.iter().copied().map(Into::into).collect(),
        mitigation_ids: taken.mitigation_ids.iter().copied().map(Into::into).collect(),
    }
}

/// Which corroborating sources were heard lately, by this pop.
#[utoipa::path(
    get, path = "/v1/signals/corroborator/activity", tag = "signals", operation_id = "corroborator_activity",
    params(("minutes" = Option<u16>, Query, description = "How far back, 1 to 1440; default 60.", minimum = 1, maximum = 1440)),
    responses((status = 200, description = "Those that were heard.", body = CorroboratorActivity))
)]
pub(crate) async fn activity(api: Data<Api>, mut query: Query) -> Reply {
    let minutes = query.integer("minutes", 1..=1440).unwrap_or(60);
    checked(query.finish())?;
    let since = api.engine.now() - TimeDelta::minutes(minutes.into());
    let sources = api.engine.corroborator_activity(since).await?.into_iter().map(|one| SourceActivity {
        source: one.source.to_string(),
        last_seen: Some(one.last_seen),
        count: one.count,
    });
    ok(&CorroboratorActivity { since: Some(since), sources: sources.collect() })
}

/// The corroborating signals of this pop that wait for a group, newest first.
#[utoipa::path(
    get, path = "/v1/signals/corroborator/cache", tag = "signals", operation_id = "corroborator_cache",
    params(
        ("source" = Option<String>, Query, description = "List only those of this source."),
        ("limit" = Option<u16>, Query, description = "The most signals, 1 to 1000; default 100.", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Those that wait.", body = CorroboratorCache))
)]
pub(crate) async fn cache(api: Data<Api>, mut query: Query) -> Reply {
    let source = query.parsed("source");
    let limit = query.integer("limit", 1..=1000).unwrap_or(100);
    checked(query.finish())?;
    let now = api.engine.now();
    let (waiting, signals) = api.engine.waiting_corroborations(source.as_ref(), limit.into()).await?;
    let by_source = waiting.by_source.into_iter();
    ok(&CorroboratorCache {
        now: Some(now),
        total: waiting.total,
        by_source: by_source
            .map(|(source, count)| SourceCount { source: source.to_string(), count })
            .collect(),
        signals: signals.iter().map(CachedSignal::from).collect(),
    })
}
