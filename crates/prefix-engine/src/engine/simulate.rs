//! What another policy would do, or would have done: nothing is stored, announced or audited, and the daemon's own work
//! goes on beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::Store;
use prefix_core::event::{Event, Report};
use prefix_core::id::{GroupId, MitigationId, SignalId};
use prefix_core::name::Pop;
use prefix_core::signal::Corroboration;
use prefix_core::store::{CorroborationHistoryQuery, HistoryQuery, StoreError};
use prefix_policy::Policy;
use prefix_policy::correlation::scope_of;
use prefix_policy::simulation::{
    self, Actual, Input, MitigationEnd, Simulated, Simulation, Start, Summary, held_in, in_order,
};
use prefix_policy::use_cases::Inadmissible;

use super::Engine;
use crate::error::EngineError;

/// Recorded events read at once.
const PAGE: u32 = 2_000;
/// The most corroborating signals beside recorded events.
const MOST_SIGNALS: usize = 1_000_000;
/// Mitigations read at once.
const ROWS: usize = 500;

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
        let (inputs, signals) = match input {
            SimulationInput::Imagined(reports) => (imagined(&policy, reports)?, Vec::new()),
            SimulationInput::Recorded(query) => {
                let store = shared.store.as_ref();
                let inputs = recorded(store, &query).await?;
                let signals = if policy.uses_corroboration() {
                    corroborations(store, &policy, &start.pop, &query).await?
                } else {
                    Vec::new()
                };
                (inputs, signals)
            }
        };
        let ran = tokio::task::spawn_blocking(move || run(start, inputs, signals)).await;
        ran.map_err(|panic| EngineError::Internal(format!("the simulation ended: {panic}")))
    }
}

/// Events that never happened, with their index in the request, in the order of their times.
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

/// What is recorded, page by page, so that nobody has to wait for the database long.
async fn recorded(store: &dyn Store, query: &HistoryQuery) -> Result<Vec<(u64, Input)>, EngineError> {
    let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let mut inputs: Vec<(u64, Input)> = Vec::new();
    let mut after: Option<(DateTime<Utc>, _)> = query.after;
    loop {
        let page = store.history(&HistoryQuery { after, limit: PAGE, ..query.clone() }).await?;
        let is_last = page.len() < PAGE as usize;
        after = page.last().map(|event| (event.ingested_at, event.event_id)).or(after);
        if inputs.len() + page.len() > most {
            return Err(EngineError::NotAllowed(format!(
                "more than {most} events are recorded there: take a shorter time, one source or one address, or run \
                 prefixdctl simulate --direct, which has no limit"
            )));
        }
        for input in with_ends(store, page).await? {
            inputs.push((inputs.len() as u64, input));
        }
        if is_last {
            return Ok(inputs);
        }
    }
}

/// The corroborating signals of the same time. They can be about what any source or address is asked for.
async fn corroborations(
    store: &dyn Store,
    policy: &Policy,
    pop: &Pop,
    query: &HistoryQuery,
) -> Result<Vec<Corroboration>, EngineError> {
    let mut signals: Vec<Corroboration> = Vec::new();
    let mut after: Option<(DateTime<Utc>, SignalId)> = None;
    loop {
        let (pop, start, end) = (pop.clone(), query.start, query.end);
        let page = store
            .corroboration_history(&CorroborationHistoryQuery { pop, start, end, after, limit: PAGE })
            .await?;
        let is_last = page.len() < PAGE as usize;
        after = page.last().map(|signal| (signal.received_at, signal.signal_id)).or(after);
        // the others are passed over anyway
        signals.extend(
            page.into_iter().filter(|signal| scope_of(policy, &signal.source, &signal.scope).is_ok()),
        );
        if signals.len() > MOST_SIGNALS {
            return Err(EngineError::NotAllowed(format!(
                "more than {MOST_SIGNALS} corroborating signals are recorded there: take a shorter time, or run prefixdctl \
                 simulate --direct, which has no limit"
            )));
        }
        if is_last {
            return Ok(signals);
        }
    }
}

/// Recorded events as a simulation takes them: each with what became of the mitigation that it made.
pub async fn with_ends(store: &dyn Store, page: Vec<Event>) -> Result<Vec<Input>, StoreError> {
    let held: BTreeSet<GroupId> = page.iter().filter_map(held_in).collect();
    let mut groups: BTreeMap<GroupId, MitigationId> = BTreeMap::new();
    for id in held {
        let made = store.group(id).await?.and_then(|group| group.mitigation_id);
        groups.extend(made.map(|made| (id, made)));
    }
    let made = page.iter().filter_map(Actual::has_made).chain(groups.values().copied());
    let made: Vec<MitigationId> = made.collect::<BTreeSet<_>>().into_iter().collect();
    let mut ends: BTreeMap<MitigationId, MitigationEnd> = BTreeMap::new();
    for ids in made.chunks(ROWS) {
        ends.extend(store.by_ids(ids).await?.iter().map(|row| (row.mitigation_id, MitigationEnd::of(row))));
    }
    Ok(simulation::recorded(page, &groups, &ends))
}

fn run(start: Start, inputs: Vec<(u64, Input)>, signals: Vec<Corroboration>) -> SimulationReport {
    let indexes: Vec<u64> = inputs.iter().map(|(index, _)| *index).collect();
    let mut results: Vec<Simulated> = Vec::with_capacity(inputs.len());
    let mut simulation = Simulation::new(start);
    let inputs = inputs.into_iter().map(|(_, input)| input).collect();
    for input in in_order(inputs, signals) {
        simulation.apply(input, &mut |result| results.push(result));
    }
    let summary = simulation.finish(&mut |result| results.push(result));
    for result in &mut results {
        if let Some(index) = usize::try_from(result.index).ok().and_then(|taken| indexes.get(taken)) {
            result.index = *index;
        }
    }
    results.sort_by_key(|result| result.index);
    SimulationReport { summary, results }
}
