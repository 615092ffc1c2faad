//! What another policy would do, or would have done: nothing is stored, announced or audited, and the daemon's own work
//! goes on beside it.

use std::sync::Arc;

use chrono::TimeDelta;
use prefix_core::Store;
use prefix_core::event::Report;
use prefix_core::name::Pop;
use prefix_core::ports::HistoryQuery;
use prefix_policy::Policy;
use prefix_policy::correlation::scope_of;
use prefix_policy::simulation::{Input, RecordedInput, Simulated, Simulation, Start, Summary, in_order};
use prefix_policy::use_cases::Inadmissible;
use prefix_record::RecordReader;

use super::Engine;
use crate::error::EngineError;

/// The most corroborating signals beside recorded events.
const MOST_SIGNALS: u32 = 1_000_000;

/// What goes through the policy.
#[derive(Clone, Debug, PartialEq)]
pub enum SimulationInput {
    /// Events that never happened; each is received at its own time.
    Imagined(Vec<Report>),
    /// What is recorded, at most so many events: `query.limit`.
    Recorded(HistoryQuery),
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulationReport {
    /// Counts.
    pub summary: Summary,
    /// One per event, in their order.
    pub results: Vec<Simulated>,
}

impl Engine {
    /// Runs events through a policy, `None` = the one that runs. One simulation at a time: others wait.
    pub async fn simulate(
        &self,
        policy: Option<Policy>,
        input: SimulationInput,
    ) -> Result<SimulationReport, EngineError> {
        let shared = &self.running.shared;
        let policy = policy.map_or_else(|| self.policy(), Arc::new);
        let _only_one = self.running.simulating.lock().await;
        // what is still to come is not on record, neither events nor ends
        let now = shared.now();
        let input = match input {
            SimulationInput::Recorded(query) => {
                SimulationInput::Recorded(HistoryQuery { end: query.end.min(now), ..query })
            }
            imagined @ SimulationInput::Imagined(_) => imagined,
        };
        let start = Start {
            pop: shared.settings.pop.clone(),
            policy: policy.clone(),
            safelist: shared.store.safelist().await?,
            refresh: TimeDelta::from_std(shared.settings.reconciliation_interval).unwrap_or_default(),
            until: match &input {
                SimulationInput::Imagined(_) => None,
                SimulationInput::Recorded(query) => Some(query.end),
            },
        };
        let (inputs, indices) = match input {
            SimulationInput::Imagined(reports) => {
                let (indices, inputs): (Vec<u64>, Vec<Input>) =
                    imagined(&policy, reports)?.into_iter().unzip();
                (in_order(inputs, Vec::new()).collect(), indices)
            }
            SimulationInput::Recorded(query) => {
                let pop = start.pop.clone();
                (recorded(shared.store.as_ref(), &policy, pop, query).await?, Vec::new())
            }
        };
        let ran = tokio::task::spawn_blocking(move || run(start, inputs, &indices)).await;
        ran.map_err(|panic| EngineError::Internal(format!("the simulation ended: {panic}")))
    }
}

/// Events that never happened, with their places in the request, in the order of their times.
fn imagined(policy: &Policy, reports: Vec<Report>) -> Result<Vec<(u64, Input)>, EngineError> {
    let mut inputs = Vec::with_capacity(reports.len());
    for (index, report) in (0..).zip(reports) {
        match policy.check_report(&report) {
            // such a report is shown as refused
            Ok(()) | Err(Inadmissible::CorroboratingOnly(_)) => {}
            Err(inadmissible) => return Err(inadmissible.into()),
        }
        inputs.push((index, Input::imagined(report.timestamp, report)));
    }
    inputs.sort_by_key(|(_, input)| input.at);
    Ok(inputs)
}

/// What is recorded, in the order in which it happened, without the signals that this policy would pass over.
async fn recorded(
    store: &dyn Store,
    policy: &Policy,
    pop: Pop,
    query: HistoryQuery,
) -> Result<Vec<RecordedInput>, EngineError> {
    let most_events = query.limit;
    let (mut events, mut signals) = (0, 0);
    let mut inputs = Vec::new();
    let mut record = RecordReader::new(store, query, pop, policy.uses_corroboration());
    while let Some(page) = record.next_page().await? {
        for input in page {
            match &input {
                RecordedInput::Event(_) => events += 1,
                RecordedInput::Corroboration(signal)
                    if scope_of(policy, &signal.source, &signal.scope).is_err() =>
                {
                    continue;
                }
                RecordedInput::Corroboration(_) => signals += 1,
            }
            inputs.push(input);
        }
        if events > most_events {
            return Err(EngineError::NotAllowed(format!(
                "more than {most_events} events are recorded there: take a shorter time, one source or one address, or \
                 run prefixdctl simulate --direct, which has no limit"
            )));
        }
        if signals > MOST_SIGNALS {
            return Err(EngineError::NotAllowed(format!(
                "more than {MOST_SIGNALS} corroborating signals are recorded there: take a shorter time, or run prefixdctl \
                 simulate --direct, which has no limit"
            )));
        }
    }
    Ok(inputs)
}

/// `indices` are those of the events, in the order in which they are taken, where it is another order than theirs.
fn run(start: Start, inputs: Vec<RecordedInput>, indices: &[u64]) -> SimulationReport {
    let mut results: Vec<Simulated> = Vec::with_capacity(inputs.len());
    let mut simulation = Simulation::new(start);
    for input in inputs {
        simulation.apply(input, &mut |result| results.push(result));
    }
    let summary = simulation.finish(&mut |result| results.push(result));
    for result in &mut results {
        if let Some(index) = usize::try_from(result.index).ok().and_then(|taken| indices.get(taken)) {
            result.index = *index;
        }
    }
    results.sort_by_key(|result| result.index);
    SimulationReport { summary, results }
}
