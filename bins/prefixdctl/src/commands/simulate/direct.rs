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
use prefix_core::id::{EventId, GroupId, MitigationId, SignalId};
use prefix_core::name::Pop;
use prefix_core::safelist::Safelist;
use prefix_core::signal::Corroboration;
use prefix_core::store::{CorroborationHistoryQuery, HistoryQuery, StoreError};
use prefix_policy::Policy;
use prefix_policy::simulation::{
    self, Actual, Diff, Input, MitigationEnd, RecordedInput, Simulated, Simulation, Start, Summary, held_in,
    in_order,
};
use prefix_store::{OpenError, Options, StoreUrl, migrations};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

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
    let hears = policy.uses_corroboration();
    let mut record = read(url, session.timeout(), query, settings.pop.clone(), hears)?;
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
        let Read::Page(page) = read else { continue };
        let size = page.iter().filter(|happening| matches!(happening, RecordedInput::Event(_))).count();
        for happening in page {
            simulation.apply(happening, &mut |result| told.hear(&result));
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
    /// What happened next.
    Page(Vec<RecordedInput>),
}

type Reads = mpsc::Receiver<Result<Read, Failure>>;

/// Reads ahead of the simulation, on another processor: a thread with a runtime of its own.
fn read(
    url: StoreUrl,
    timeout: Duration,
    query: HistoryQuery,
    pop: Pop,
    hears: bool,
) -> Result<Reads, Failure> {
    let (sender, record) = mpsc::channel(AHEAD);
    let failed = |error: std::io::Error| Failure::General(format!("cannot start reading: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let work = move || {
        runtime.block_on(async {
            if let Err(failure) = read_all(&url, timeout, query, pop, hears, &sender).await {
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
    hears: bool,
    to: &mpsc::Sender<Result<Read, Failure>>,
) -> Result<(), Failure> {
    let store = open(url, timeout).await?;
    let safelist = store.safelist().await.map_err(unread)?;
    let mut is_wanted = to.send(Ok(Read::Safelist(safelist))).await.is_ok();
    let mut record = Record::new(store.as_ref(), query, pop, hears);
    while is_wanted {
        let page = record.page().await.map_err(unread)?;
        if page.is_empty() {
            break;
        }
        is_wanted = to.send(Ok(Read::Page(page))).await.is_ok();
    }
    Ok(())
}

/// Both records, page by page, and never more of either than a page.
struct Record<'a> {
    store: &'a dyn Store,
    query: HistoryQuery,
    pop: Pop,
    events: VecDeque<Input>,
    last_event: Option<(DateTime<Utc>, EventId)>,
    /// There may be more behind the last one.
    has_events: bool,
    signals: VecDeque<Corroboration>,
    last_signal: Option<(DateTime<Utc>, SignalId)>,
    has_signals: bool,
}

impl<'a> Record<'a> {
    fn new(store: &'a dyn Store, query: HistoryQuery, pop: Pop, hears: bool) -> Self {
        Self {
            store,
            query,
            pop,
            events: VecDeque::new(),
            last_event: None,
            has_events: true,
            signals: VecDeque::new(),
            last_signal: None,
            has_signals: hears,
        }
    }

    /// What happened next, until one of both records has to be read further; empty at the end.
    async fn page(&mut self) -> Result<Vec<RecordedInput>, StoreError> {
        if self.has_events && self.events.is_empty() {
            let query = HistoryQuery { after: self.last_event, ..self.query.clone() };
            let page = self.store.history(&query).await?;
            self.has_events = page.len() == PAGE as usize;
            self.last_event = page.last().map(|event| (event.ingested_at, event.event_id));
            self.events.extend(with_ends(self.store, page).await?);
        }
        if self.has_signals && self.signals.is_empty() {
            let (start, end) = (self.query.start, self.query.end);
            let (pop, after) = (self.pop.clone(), self.last_signal);
            let query = CorroborationHistoryQuery { pop, start, end, after, limit: PAGE };
            let page = self.store.corroboration_history(&query).await?;
            self.has_signals = page.len() == PAGE as usize;
            self.last_signal = page.last().map(|signal| (signal.received_at, signal.signal_id));
            self.signals.extend(page);
        }
        // up to where both are known
        let events = self.events.back().filter(|_| self.has_events).map(event_place);
        let signals = self.signals.back().filter(|_| self.has_signals).map(signal_place);
        let known = events.into_iter().chain(signals).min();
        let is_known = |place: Place| known.is_none_or(|known| place <= known);
        let events = self.events.iter().take_while(|input| is_known(event_place(input))).count();
        let signals = self.signals.iter().take_while(|signal| is_known(signal_place(signal))).count();
        Ok(in_order(self.events.drain(..events).collect(), self.signals.drain(..signals).collect()).collect())
    }
}

type Place = (DateTime<Utc>, Uuid);

fn event_place(input: &Input) -> Place {
    (input.at, input.event_id.map_or_else(Uuid::nil, |id| id.as_uuid()))
}

fn signal_place(signal: &Corroboration) -> Place {
    (signal.received_at, signal.signal_id.as_uuid())
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

/// Recorded events as a simulation takes them: each with what became of the mitigation that it made.
async fn with_ends(store: &dyn Store, page: Vec<Event>) -> Result<Vec<Input>, StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use prefix_core::store::ChangeSet;
    use prefix_testkit::fakes::MemoryStore;
    use prefix_testkit::store_contract::sample;

    #[tokio::test]
    async fn both_records_are_read_as_one_across_the_borders_of_pages() {
        const EVENTS: i64 = 4_500;
        let store = MemoryStore::new();
        // many share their instant, and there are stretches of one kind only
        let events =
            (0..EVENTS).map(|n| Event { ingested_at: sample::at(n / 7), ..sample::event(1) }).collect();
        let corroborations =
            (0..2 * EVENTS).map(|n| sample::corroboration("helper", n / 5 - 400)).collect::<Vec<_>>();
        let changes = ChangeSet { events, corroborations, ..ChangeSet::default() };
        store.transact(&sample::reads(), &mut |_| changes.clone()).await.unwrap();
        let query = HistoryQuery {
            start: sample::at(-500),
            end: sample::at(10_000),
            sources: BTreeSet::new(),
            victim_ip: None,
            after: None,
            limit: PAGE,
        };
        let mut record = Record::new(&store, query, sample::pop(), true);
        let mut places = Vec::new();
        loop {
            let page = record.page().await.unwrap();
            assert!(page.len() <= 2 * PAGE as usize);
            if page.is_empty() {
                break;
            }
            places.extend(page.iter().map(RecordedInput::order));
        }
        assert_eq!(places.len(), 3 * usize::try_from(EVENTS).unwrap());
        assert!(places.is_sorted(), "in one order");
    }
}
