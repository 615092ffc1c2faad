//! What a configuration would do, or would have done (http-api.md §10).

use actix_web::web::Data;
use chrono::TimeDelta;
use prefix_api_types::{NewSimulation, SimulatedEvent, Simulation, SimulationSummary};
use prefix_engine::{EngineError, SimulationInput};

use super::{Reply, both, ok};
use crate::api::Api;
use crate::body::Body;
use crate::config_control::Candidate;
use crate::problem::{Kind, Problem};
use crate::query::Query;
use crate::request::{self, SimulationBody};

/// The longest part of the record over HTTP.
const LONGEST: TimeDelta = TimeDelta::days(7);

/// Run events through a configuration: nothing is announced or stored.
#[utoipa::path(
    post, path = "/v1/simulate", tag = "simulation", operation_id = "simulate",
    request_body = NewSimulation,
    responses((status = 200, description = "What would become of each event, beside what was done. Results are in the order of the events.", body = Simulation))
)]
pub(crate) async fn post(api: Data<Api>, query: Query, body: Body) -> Reply {
    let ((), wanted) = both(query.finish(), request::simulate(&body.tree))?;
    let ((), value) = both(Ok(()), body.value())?;
    let played = match wanted {
        SimulationBody::Events(drafts) => {
            let mut reports = Vec::with_capacity(drafts.len());
            for draft in drafts {
                if let Some(vector) = draft.undefined_vector {
                    return Err(EngineError::from(api.unknown_vector(&vector)).into());
                }
                reports.push(draft.report);
            }
            let times = reports.iter().map(|report| report.timestamp);
            if times.clone().max().zip(times.min()).is_some_and(|(last, first)| last - first > LONGEST) {
                return Err(too_long("events over more than 7 days"));
            }
            SimulationInput::Imagined(reports)
        }
        SimulationBody::History(recorded) => {
            if recorded.end - recorded.start > LONGEST {
                return Err(too_long("history of more than 7 days"));
            }
            SimulationInput::Recorded(recorded)
        }
    };
    let candidate: Candidate = serde_json::from_value(value).unwrap_or_default();
    let policy = if candidate.is_empty() { None } else { Some(api.config.candidate(candidate).await?) };
    let report = api.engine.simulate(policy, played).await?;
    ok(&Simulation {
        summary: SimulationSummary::from(&report.summary),
        results: report.results.iter().map(SimulatedEvent::from).collect(),
    })
}

fn too_long(what: &str) -> Problem {
    let detail =
        format!("{what}: take a shorter time, or run prefixdctl simulate --direct, which has no limit");
    Problem::new(Kind::NotAllowed, detail)
}
