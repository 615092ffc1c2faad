//! `simulate`: what another configuration would do with made-up events, or would have done with recorded ones.

mod direct;
mod summary;
mod writer;

use crate::commands::events::batch::events;
use crate::exit::{Exit, Failure};
use crate::explain;
use crate::files::{document, name, text};
use crate::human::Moment;
use crate::output::Format;
use crate::progress::Progress;
use crate::session::Session;
use crate::views::{DIFFERENCES, SIMULATED};
use clap::Args;
use prefix_client::{Diff, EventStatus, NewEvent, Reply, SimulatedEvent, Simulation};
use prefix_direct::Documents;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use summary::{Tally, summary};

/// The most made-up events of one request.
const MOST_EVENTS: usize = 1_000;

/// What is run through which configuration.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Made-up events, each with its timestamp: a JSON array, {"events": []} or JSON lines; - for stdin
    #[arg(long, value_name = "FILE", required_unless_present = "start", conflicts_with_all = ["start", "end", "source", "victim", "direct"])]
    events: Option<PathBuf>,
    /// Recorded events from this time on: RFC 3339, or how long ago (2h, 7d)
    #[arg(long, value_name = "TIME", requires = "end")]
    start: Option<Moment>,
    /// Recorded events before this time
    #[arg(long, value_name = "TIME", requires = "start")]
    end: Option<Moment>,
    /// Only recorded events of this detector; may be repeated
    #[arg(long)]
    source: Vec<String>,
    /// Only recorded events on this address
    #[arg(long, value_name = "IP")]
    victim: Option<IpAddr>,
    /// Playbooks to try (YAML or JSON) instead of those that run
    #[arg(long, value_name = "FILE")]
    playbooks: Option<PathBuf>,
    /// Terms of correlation to try
    #[arg(long, value_name = "FILE")]
    correlation: Option<PathBuf>,
    /// Guardrails to try: the section of prefixd.yaml, with or without its name
    #[arg(long, value_name = "FILE")]
    guardrails: Option<PathBuf>,
    /// Show only what would be different
    #[arg(long)]
    only_diff: bool,
    /// Exit 1 if anything would be different
    #[arg(long)]
    fail_on_diff: bool,
    /// Read the storage itself (needs --config, not the API), however many events there are
    #[arg(long)]
    direct: bool,
}

impl SimulateArgs {
    fn candidates(&self) -> Result<Documents, Failure> {
        let document = |file: &Option<PathBuf>| file.as_deref().map(document).transpose();
        let guardrails = document(&self.guardrails)?.map(|mut value| match value.get_mut("guardrails") {
            Some(section) => section.take(),
            None => value,
        });
        Ok(Documents {
            playbooks: document(&self.playbooks)?,
            correlation: document(&self.correlation)?,
            guardrails,
        })
    }

    fn exit(&self, tally: &Tally) -> Exit {
        if self.fail_on_diff && tally.differences() > 0 { Exit::General } else { Exit::Ok }
    }
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, arguments: &SimulateArgs) -> Result<Exit, Failure> {
    let candidates = arguments.candidates()?;
    if arguments.direct {
        return direct::run(session, arguments, candidates).await;
    }
    let mut request = match &arguments.events {
        Some(file) => of_file(file)?,
        None => of_record(session, arguments),
    };
    let Documents { playbooks, correlation, guardrails } = candidates;
    for (name, document) in
        [("playbooks", playbooks), ("correlation", correlation), ("guardrails", guardrails)]
    {
        request.extend(document.map(|document| (name.to_owned(), document)));
    }
    let reply = ask(session, &request).await?;
    let tally = Tally::of(&reply.value.results);
    show(session, &reply, arguments.only_diff, request.contains_key("history"))?;
    Ok(arguments.exit(&tally))
}

/// What would become of an event, instead of sending it.
pub(crate) async fn rehearse(session: &Session, event: &NewEvent, explained: bool) -> Result<Exit, Failure> {
    let request = Map::from_iter([("events".to_owned(), json!([event]))]);
    let reply = ask(session, &request).await?;
    show(session, &reply, false, false)?;
    let result = reply.value.results.first().filter(|_| explained && session.format() == Format::Table);
    if let Some((result, decision)) = result.and_then(|result| Some((result, result.decision.as_ref()?))) {
        let waits = result.status == EventStatus::Queued;
        session.print(&format!("\n{}", explain::decision(session.eyes(), decision, waits)))?;
    }
    session.note("dry run: nothing was sent; the simulation begins with no living mitigation");
    Ok(Exit::Ok)
}

/// What would become of the events of a file, instead of sending them.
pub(crate) async fn rehearse_file(session: &Session, file: &Path) -> Result<Exit, Failure> {
    let mut request = of_file(file)?;
    // an event without a time is received when it is sent
    let now = json!(session.now);
    for event in request.get_mut("events").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(event) = event.as_object_mut() {
            event.entry("timestamp").or_insert_with(|| now.clone());
        }
    }
    let reply = ask(session, &request).await?;
    show(session, &reply, false, false)?;
    session.note("dry run: nothing was sent; the simulation begins with no living mitigation");
    Ok(Exit::Ok)
}

fn of_file(file: &Path) -> Result<Map<String, Value>, Failure> {
    let text = text(file)?;
    let invalid = |problem: String| Failure::Invalid(format!("{}: {problem}", name(file)));
    let found = events(&text).map_err(|error| invalid(error.to_string()))?;
    match found.len() {
        0 => return Err(invalid("holds no event".to_owned())),
        1..=MOST_EVENTS => {}
        count => {
            return Err(invalid(format!("holds {count} events, a simulation takes at most {MOST_EVENTS}")));
        }
    }
    let events: Result<Vec<Value>, _> = found.iter().map(|event| serde_json::from_str(event.get())).collect();
    let events = events.map_err(|error| invalid(error.to_string()))?;
    Ok(Map::from_iter([("events".to_owned(), Value::Array(events))]))
}

fn of_record(session: &Session, arguments: &SimulateArgs) -> Map<String, Value> {
    let time = |moment: Option<Moment>| moment.map(|moment| moment.resolve(session.now));
    let history = json!({
        "start": time(arguments.start),
        "end": time(arguments.end),
        "sources": arguments.source,
        "victim_ip": arguments.victim,
    });
    Map::from_iter([("history".to_owned(), history)])
}

/// The server does all at once, so the bar only tells that it goes on.
async fn ask(session: &Session, request: &Map<String, Value>) -> Result<Reply<Simulation>, Failure> {
    let client = session.client()?;
    Ok(Progress::during(session, "simulating", client.simulate(request)).await?)
}

fn is_different(result: &SimulatedEvent) -> bool {
    result.diff.as_ref().is_some_and(|diff| *diff != Diff::Same)
}

fn show(
    session: &Session,
    reply: &Reply<Simulation>,
    only_diff: bool,
    recorded: bool,
) -> Result<(), Failure> {
    if matches!(session.format(), Format::Json | Format::Yaml) {
        let body = if only_diff { without_same(&reply.body)? } else { reply.body.to_vec() };
        session.print_document(&body)?;
        return Ok(());
    }
    let mut rows = reply.value.results.clone();
    // a thousand lines that say "same" would hide the one that does not
    if only_diff || (recorded && session.format() == Format::Table) {
        rows.retain(is_different);
    }
    let tally = recorded.then(|| Tally::of(&reply.value.results));
    shown(session, &rows, recorded, || summary(session.eyes(), &reply.value.summary, tally.as_ref()))
}

/// The summary first, then the rows.
fn shown(
    session: &Session,
    rows: &[SimulatedEvent],
    recorded: bool,
    head: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if session.format() != Format::Csv {
        session.print(&head())?;
        if rows.is_empty() {
            return Ok(());
        }
        session.print("\n")?;
    }
    session.print_rows(if recorded { DIFFERENCES } else { SIMULATED }, rows)
}

/// The body without the results that are the same.
fn without_same(body: &[u8]) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: serde_json::Error| Failure::General(format!("the answer is no JSON: {error}"));
    let mut body: Value = serde_json::from_slice(body).map_err(unreadable)?;
    if let Some(results) = body.get_mut("results").and_then(Value::as_array_mut) {
        results.retain(|result| result["diff"].as_str().is_none_or(|diff| diff != "same"));
    }
    serde_json::to_vec(&body).map_err(unreadable)
}
