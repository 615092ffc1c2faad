//! What another policy would do, or would have done: nothing is stored, announced or audited, and the daemon's own work
//! goes on beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use prefix_core::Store;
use prefix_core::event::Report;
use prefix_core::name::Pop;
use prefix_core::ports::HistoryQuery;
use prefix_policy::Policy;
use prefix_policy::correlation::scope_of;
use prefix_policy::simulation::{
    Bound, Input, RecordedInput, Simulated, Simulation, Start, Stopped, Summary, in_order,
};
use prefix_policy::use_cases::Inadmissible;
use prefix_record::RecordReader;

use super::Engine;
use crate::error::EngineError;

/// The most corroborating signals beside recorded events.
const MOST_SIGNALS: u32 = 1_000_000;

/// The most steps of one simulation: so many, which take seconds, and so many for each event, which are more than can
/// follow of it unless windows or decay go on for months.
const MOST_STEPS: u64 = 200_000;
const STEPS_OF_AN_EVENT: u64 = 30;

/// Ends the simulation when nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

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
    /// Runs events through a policy, `None` = the one that runs. One simulation at a time: others wait until it has
    /// ended. When the caller drops the future the simulation ends within a few steps.
    pub async fn simulate(
        &self,
        policy: Option<Policy>,
        input: SimulationInput,
    ) -> Result<SimulationReport, EngineError> {
        let shared = &self.running.shared;
        let policy = policy.map_or_else(|| self.policy(), Arc::new);
        let only_one = Arc::clone(&self.running.simulating).lock_owned().await;
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
        let cancelled = CancelOnDrop(Arc::default());
        let steps = MOST_STEPS + STEPS_OF_AN_EVENT * inputs.len() as u64;
        let bound = Bound { steps, cancelled: Arc::clone(&cancelled.0) };
        let job = move || {
            let report = run(start, bound, inputs, &indices);
            // it belongs to the work, which goes on for a moment when its caller has left
            drop(only_one);
            report
        };
        let ran = tokio::task::spawn_blocking(job).await;
        let ran = ran.map_err(|panic| EngineError::Internal(format!("the simulation ended: {panic}")))?;
        ran.map_err(|stopped| {
            EngineError::NotAllowed(format!(
                "the simulation takes {stopped}: take fewer events, a shorter time, or shorter windows and slower decay of \
                 correlation, or run prefixdctl simulate --direct, which has no limit"
            ))
        })
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
fn run(
    start: Start,
    bound: Bound,
    inputs: Vec<RecordedInput>,
    indices: &[u64],
) -> Result<SimulationReport, Stopped> {
    let mut results: Vec<Simulated> = Vec::with_capacity(inputs.len());
    let mut simulation = Simulation::bounded(start, bound);
    for input in inputs {
        if let Some(stopped) = simulation.stopped() {
            return Err(stopped);
        }
        simulation.apply(input, &mut |result| results.push(result));
    }
    let summary = simulation.finish_bounded(&mut |result| results.push(result))?;
    for result in &mut results {
        if let Some(index) = usize::try_from(result.index).ok().and_then(|taken| indices.get(taken)) {
            result.index = *index;
        }
    }
    results.sort_by_key(|result| result.index);
    Ok(SimulationReport { summary, results })
}
