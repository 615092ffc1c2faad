//! A simulation of what is on record: read from the database itself, page by page, and run through the policy that the
//! files of this host make. Storage is only read.

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use prefix_config::candidate::{Base, Documents, candidate};
use prefix_config::folder::Configuration;
use prefix_core::name::Pop;
use prefix_core::ports::HistoryQuery;
use prefix_core::safelist::Safelist;
use prefix_policy::simulation::{RecordedInput, Simulated, Simulation, Start, Summary};
use prefix_record::RecordReader;
use tokio::sync::mpsc;

use crate::database::Database;
use crate::error::DirectError;

/// Pages read ahead.
const AHEAD: usize = 4;

/// A simulation under way.
pub struct RecordedSimulation {
    record: mpsc::Receiver<Result<Read, DirectError>>,
    simulation: Simulation,
}

/// What is read, in this order.
enum Read {
    /// The safelist as it is now.
    Safelist(Safelist),
    /// What happened next.
    Page(Vec<RecordedInput>),
}

impl RecordedSimulation {
    /// Begins with the recorded events that the query means, whatever its limit, and the signals that corroborated them.
    /// `documents` take the place of those in the files. `timeout` is for the connection and for each statement.
    pub async fn begin(
        configuration: &Configuration,
        documents: Documents,
        query: HistoryQuery,
        timeout: Duration,
    ) -> Result<Self, DirectError> {
        let Configuration { settings, inventory, playbooks, correlation, .. } = configuration;
        let policy =
            candidate(Base { settings, inventory, playbooks, correlation }, documents).map_err(|errors| {
                let lines = errors.iter().map(|error| format!("{}: {}", error.pointer(), error.text));
                DirectError::Candidate { mistakes: lines.collect() }
            })?;
        let refresh = i64::try_from(settings.keys.timers.reconciliation_interval_seconds).unwrap_or(i64::MAX);
        // what has not happened yet is no difference
        let until = query.end.min(Utc::now());
        let database = Database(settings.keys.storage.url().0);
        let mut record = read(database, timeout, query, settings.pop.clone(), policy.uses_corroboration())?;
        let Some(Read::Safelist(safelist)) = record.recv().await.transpose()? else {
            return Err(DirectError::NoRecord);
        };
        let simulation = Simulation::new(Start {
            pop: settings.pop.clone(),
            policy: Arc::new(policy),
            safelist,
            refresh: TimeDelta::try_seconds(refresh).unwrap_or(TimeDelta::seconds(30)),
            until: Some(until),
        });
        Ok(Self { record, simulation })
    }

    /// Takes the next page of the record; returns how many events it had, `None` at the end. `sink` gets each result as
    /// soon as it is known, not always in the order of the events.
    pub async fn advance(&mut self, sink: &mut dyn FnMut(Simulated)) -> Result<Option<usize>, DirectError> {
        let Some(read) = self.record.recv().await.transpose()? else { return Ok(None) };
        let Read::Page(page) = read else { return Ok(Some(0)) };
        let events = page.iter().filter(|input| matches!(input, RecordedInput::Event(_))).count();
        for input in page {
            self.simulation.apply(input, sink);
        }
        Ok(Some(events))
    }

    /// Lets happen what is still to come, and counts.
    pub fn finish(self, sink: &mut dyn FnMut(Simulated)) -> Summary {
        self.simulation.finish(sink)
    }
}

/// Reads ahead of the simulation, on another processor: a thread with a runtime of its own.
fn read(
    database: Database,
    timeout: Duration,
    query: HistoryQuery,
    pop: Pop,
    with_signals: bool,
) -> Result<mpsc::Receiver<Result<Read, DirectError>>, DirectError> {
    let (sender, record) = mpsc::channel(AHEAD);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DirectError::Thread)?;
    let work = move || {
        runtime.block_on(async {
            if let Err(error) = read_all(&database, timeout, query, pop, with_signals, &sender).await {
                // a simulation that is gone needs no answer
                let _ = sender.send(Err(error)).await;
            }
        });
    };
    std::thread::Builder::new().name("reader".to_owned()).spawn(work).map_err(DirectError::Thread)?;
    Ok(record)
}

async fn read_all(
    database: &Database,
    timeout: Duration,
    query: HistoryQuery,
    pop: Pop,
    with_signals: bool,
    to: &mpsc::Sender<Result<Read, DirectError>>,
) -> Result<(), DirectError> {
    let store = database.open(timeout).await?;
    let mut is_wanted = to.send(Ok(Read::Safelist(store.safelist().await?))).await.is_ok();
    let mut record = RecordReader::new(store.as_ref(), query, pop, with_signals);
    while is_wanted && let Some(page) = record.next_page().await? {
        is_wanted = to.send(Ok(Read::Page(page))).await.is_ok();
    }
    Ok(())
}
