//! `simulate --direct`: the record is read from the storage itself, page by page, and run through the policy that the
//! files of this host make. Storage is only read.

use super::{Candidates, SimulateArgs, Tally, shown, told};
use crate::exit::{Exit, Failure};
use crate::output::{Format, csv};
use crate::progress::Progress;
use crate::session::Session;
use crate::views::DIFFERENCES;
use chrono::{DateTime, TimeDelta, Utc};
use prefix_client::{SimulatedEvent, SimulationSummary};
use prefix_config::Environment;
use prefix_config::candidate::{Base, Documents, candidate};
use prefix_config::folder::{ConfigSource, Configuration, Files};
use prefix_core::Store;
use prefix_core::event::Event;
use prefix_core::id::{MitigationId, SignalId};
use prefix_core::name::Pop;
use prefix_core::safelist::Safelist;
use prefix_core::signal::Corroboration;
use prefix_core::store::{CorroborationHistoryQuery, HistoryQuery, StoreError};
use prefix_policy::Policy;
use prefix_policy::simulation::{
    Actual, Diff, Ending, Input, Simulated, Simulation, Start, Summary, in_order,
};
use prefix_store::{OpenError, Options, StoreUrl, migrations};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Events read at once.
const PAGE: u32 = 2_000;
/// Mitigations read at once.
const ROWS: usize = 500;
/// Pages read ahead.
const AHEAD: usize = 4;
/// So many rows of a table are kept; the rest is counted.
const MOST_ROWS: usize = 1_000;

/// Carries the command out.
pub(super) async fn run(
    session: &Session,
    arguments: &SimulateArgs,
    candidates: Candidates,
) -> Result<Exit, Failure> {
    let Configuration { settings, inventory, playbooks, correlation, .. } = configuration(session)?;
    let base =
        Base { settings: &settings, inventory: &inventory, playbooks: &playbooks, correlation: &correlation };
    let policy = Arc::new(policy(base, candidates)?);
    let url = settings.keys.storage.url().0;
    let query = query(session, arguments)?;
    // what has not happened yet is no difference
    let until = query.end.min(Utc::now());
    let mut record = read(url, session.timeout(), query, settings.pop.clone())?;
    let Some(Read::Safelist(safelist)) = record.recv().await.transpose()? else {
        return Err(Failure::General("the record ended before it began".to_owned()));
    };
    let refresh = i64::try_from(settings.keys.timers.reconciliation_interval_seconds).unwrap_or(i64::MAX);
    let start = Start {
        pop: settings.pop.clone(),
        policy,
        safelist,
        refresh: TimeDelta::try_seconds(refresh).unwrap_or(TimeDelta::seconds(30)),
        until: Some(until),
    };
    let mut told = Told::new(session, arguments.only_diff);
    let mut progress = Progress::new(session, "events", None);
    let mut simulation = Simulation::new(start);
    while let Some(read) = record.recv().await.transpose()? {
        let Read::Page(events, signals) = read else { continue };
        let size = events.len();
        for happening in in_order(events, signals) {
            simulation.live_through(happening, &mut |result| told.hear(&result));
        }
        progress.advance(size);
        told.flush()?;
    }
    let summary = simulation.finish(&mut |result| told.hear(&result));
    drop(progress);
    let tally = told.end(&summary)?;
    Ok(arguments.exit(&tally))
}

fn configuration(session: &Session) -> Result<Configuration, Failure> {
    let mut environment: Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    // the daemon's secret is in its own environment, and nobody needs it here
    environment.entry("PREFIXD_API_TOKEN".to_owned()).or_insert_with(|| "unused".to_owned());
    let source = ConfigSource::new(Files::Folder(session.config_dir().to_path_buf()), environment);
    let loaded = source.load();
    let errors = loaded.findings.iter().filter(|finding| finding.is_error());
    let errors: Vec<String> = errors.map(|finding| finding.in_folder(source.folder()).to_string()).collect();
    loaded
        .configuration
        .ok_or_else(|| Failure::Invalid(format!("the configuration cannot be used\n{}", errors.join("\n"))))
}

fn policy(base: Base<'_>, candidates: Candidates) -> Result<Policy, Failure> {
    let Candidates { playbooks, correlation, guardrails } = candidates;
    candidate(base, Documents { playbooks, correlation, guardrails }).map_err(|refused| {
        let lines = refused.mistakes.iter().map(|mistake| format!("{}: {}", mistake.pointer, mistake.detail));
        Failure::Invalid(format!("a candidate cannot be used\n{}", lines.collect::<Vec<_>>().join("\n")))
    })
}

fn query(session: &Session, arguments: &SimulateArgs) -> Result<HistoryQuery, Failure> {
    let (Some(start), Some(end)) = (arguments.start, arguments.end) else {
        return Err(Failure::Usage("--direct needs --start and --end".to_owned()));
    };
    let mut sources = std::collections::BTreeSet::new();
    for name in &arguments.source {
        sources.insert(name.parse().map_err(|error| Failure::Usage(format!("--source: {error}")))?);
    }
    // what is still to come is not on record, neither events nor ends
    let (start, end) = (start.resolve(session.now), end.resolve(session.now).min(session.now));
    if start >= end {
        return Err(Failure::Usage("--end must be after --start, and --start in the past".to_owned()));
    }
    Ok(HistoryQuery {
        start,
        end,
        sources,
        victim_ip: arguments.victim.map(Into::into),
        after: None,
        limit: PAGE,
    })
}

/// What is read, in this order.
enum Read {
    /// The safelist as it is now.
    Safelist(Safelist),
    /// The next events, and the corroborating signals up to the last of them.
    Page(Vec<Input>, Vec<Corroboration>),
}

type Record = mpsc::Receiver<Result<Read, Failure>>;

/// Reads ahead of the simulation, on another processor: a thread with a runtime of its own.
fn read(url: StoreUrl, timeout: Duration, query: HistoryQuery, pop: Pop) -> Result<Record, Failure> {
    let (sender, record) = mpsc::channel(AHEAD);
    let failed = |error: std::io::Error| Failure::General(format!("cannot start reading: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let work = move || {
        runtime.block_on(async {
            if let Err(failure) = read_all(&url, timeout, query, pop, &sender).await {
                // a simulation that is gone needs no answer
                let _ = sender.send(Err(failure)).await;
            }
        });
    };
    std::thread::Builder::new().name("reader".to_owned()).spawn(work).map_err(failed)?;
    Ok(record)
}

async fn read_all(
    url: &StoreUrl,
    timeout: Duration,
    query: HistoryQuery,
    pop: Pop,
    to: &mpsc::Sender<Result<Read, Failure>>,
) -> Result<(), Failure> {
    let store = open(url, timeout).await?;
    let safelist = store.safelist().await.map_err(unread)?;
    let mut is_wanted = to.send(Ok(Read::Safelist(safelist))).await.is_ok();
    let mut after: Option<(DateTime<Utc>, _)> = None;
    let mut signals = Signals { pop, start: query.start, after: None };
    while is_wanted {
        let page = store.history(&HistoryQuery { after, ..query.clone() }).await.map_err(unread)?;
        let is_last = page.len() < PAGE as usize;
        after = page.last().map(|event| (event.ingested_at, event.event_id)).or(after);
        // those of the very instant of the last event come with the next page, which holds what shares it
        let end = after.map(|(at, _)| at).filter(|_| !is_last).unwrap_or(query.end);
        let signals = signals.until(store.as_ref(), end).await.map_err(unread)?;
        let page = with_endings(store.as_ref(), page).await.map_err(unread)?;
        is_wanted = to.send(Ok(Read::Page(page, signals))).await.is_ok() && !is_last;
    }
    Ok(())
}

/// The corroborating signals of the record, read as far as the events.
struct Signals {
    pop: Pop,
    start: DateTime<Utc>,
    after: Option<(DateTime<Utc>, SignalId)>,
}

impl Signals {
    /// The next ones before a time.
    async fn until(
        &mut self,
        store: &dyn Store,
        end: DateTime<Utc>,
    ) -> Result<Vec<Corroboration>, StoreError> {
        let mut signals: Vec<Corroboration> = Vec::new();
        loop {
            let (pop, start, after) = (self.pop.clone(), self.start, self.after);
            let query = CorroborationHistoryQuery { pop, start, end, after, limit: PAGE };
            let page = store.corroboration_history(&query).await?;
            let is_last = page.len() < PAGE as usize;
            self.after = page.last().map(|signal| (signal.received_at, signal.signal_id)).or(self.after);
            signals.extend(page);
            if is_last {
                return Ok(signals);
            }
        }
    }
}

/// Opens a database whose schema is up to date: a simulation changes nothing, not even that.
async fn open(url: &StoreUrl, timeout: Duration) -> Result<Arc<dyn Store>, Failure> {
    let options = Options {
        max_connections: 4,
        connect_timeout: timeout,
        statement_timeout: timeout,
        exclusive: false,
    };
    let failed = |error: OpenError| match (&error, url) {
        (OpenError::Unavailable { .. }, StoreUrl::Postgres(_)) => Failure::Connection(error.to_string()),
        _ => Failure::General(error.to_string()),
    };
    let states = migrations::status(url, options).await.map_err(failed)?;
    if states.iter().any(|state| !state.is_applied) {
        return Err(Failure::Invalid(format!(
            "{url} lacks migrations: run `prefixdctl migrations run`, or start a prefixd of this version, first"
        )));
    }
    prefix_store::open(url, options).await.map_err(failed)
}

/// Each event with the end of the mitigation that it made.
async fn with_endings(store: &dyn Store, page: Vec<Event>) -> Result<Vec<Input>, StoreError> {
    let mut made: Vec<MitigationId> = page.iter().filter_map(Actual::has_made).collect();
    made.sort_unstable();
    made.dedup();
    let mut endings: HashMap<MitigationId, Ending> = HashMap::new();
    for ids in made.chunks(ROWS) {
        let rows = store.by_ids(ids).await?;
        endings.extend(rows.iter().filter_map(|row| Some((row.mitigation_id, Ending::of(row)?))));
    }
    let input = |event: Event| {
        let ended = Actual::has_made(&event).and_then(|id| endings.get(&id).copied());
        Input::recorded(event, ended)
    };
    Ok(page.into_iter().map(input).collect())
}

fn unread(error: StoreError) -> Failure {
    match error {
        StoreError::Unavailable(_) => Failure::Connection(error.to_string()),
        error => Failure::General(error.to_string()),
    }
}

/// What is told of the results: as they come for programs, the first ones for people.
struct Told<'a> {
    session: &'a Session,
    only_diff: bool,
    tally: Tally,
    rows: Vec<SimulatedEvent>,
    more: u64,
    /// Text that is not printed yet.
    text: String,
    is_first: bool,
    failure: Option<Failure>,
}

impl<'a> Told<'a> {
    fn new(session: &'a Session, only_diff: bool) -> Self {
        Self {
            session,
            only_diff,
            tally: Tally::default(),
            rows: Vec::new(),
            more: 0,
            text: String::new(),
            is_first: true,
            failure: None,
        }
    }

    fn hear(&mut self, result: &Simulated) {
        let Some(difference) = &result.diff else { return };
        let diff = difference.diff;
        self.tally.count(diff.as_str(), difference.changes.iter().map(|change| change.field));
        let format = self.session.format();
        if diff == Diff::Same && (self.only_diff || format == Format::Table) {
            return;
        }
        let written = match format {
            Format::Json | Format::Yaml => serde_json::to_string(result).map(|line| self.line(&line)),
            Format::Table | Format::Wide if self.rows.len() >= MOST_ROWS => {
                self.more += 1;
                Ok(())
            }
            Format::Table | Format::Wide | Format::Csv => {
                serde_json::to_value(result).and_then(serde_json::from_value).map(|row| self.rows.push(row))
            }
        };
        if let Err(error) = written {
            self.failure = Some(Failure::General(format!("a result cannot be written: {error}")));
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(if self.is_first { "{\"results\":[" } else { ",\n" });
        self.is_first = false;
        self.text.push_str(line);
    }

    /// Prints what need not be kept.
    fn flush(&mut self) -> Result<(), Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        match self.session.format() {
            // each piece ends with a line break, which JSON allows between members
            Format::Json if !self.text.is_empty() => self.session.print(&std::mem::take(&mut self.text)),
            Format::Csv if !self.rows.is_empty() => {
                let text = csv(DIFFERENCES, &self.rows, std::mem::take(&mut self.is_first))?;
                self.rows.clear();
                self.session.print(&text)
            }
            _ => Ok(()),
        }
    }

    fn end(mut self, summary: &Summary) -> Result<Tally, Failure> {
        self.flush()?;
        let body = json!(summary);
        match self.session.format() {
            Format::Json | Format::Yaml => {
                let head = if self.is_first { "{\"results\":[" } else { "" };
                self.text = format!("{}{head}],\"summary\":{body}}}", self.text);
                if self.session.format() == Format::Json {
                    self.session.print(&self.text)?;
                } else {
                    self.session.print_document(self.text.as_bytes())?;
                }
            }
            Format::Csv if self.is_first => self.session.print(&csv(DIFFERENCES, &[], true)?)?,
            Format::Csv => {}
            Format::Table | Format::Wide => {
                self.rows.sort_by_key(|row| row.index);
                let summary: SimulationSummary = serde_json::from_value(body)
                    .map_err(|error| Failure::General(format!("the summary cannot be read: {error}")))?;
                let tally = self.tally;
                let told = || told::summary(self.session.eyes(), &summary, Some(&tally));
                shown(self.session, &self.rows, true, told)?;
                if self.more > 0 {
                    self.session.note(&format!(
                        "{} more are not shown: -o csv or -o json shows all, --source and --victim fewer",
                        self.more
                    ));
                }
            }
        }
        Ok(self.tally)
    }
}
