//! What is to be simulated (http-api.md §10): events that never happened, or a part of what is recorded.

use prefix_core::ports::HistoryQuery;
use prefix_diagnostics::{Diagnostic, KeyPath, Members, Node};

use super::event::{Draft, event};
use crate::value;

/// So many events may be made up in one request.
const MOST_EVENTS: usize = 1_000;
/// So many sources may be named.
const MOST_SOURCES: usize = 1_000;

/// The most recorded events over HTTP.
const MOST_RECORDED: u32 = 100_000;

/// What is to be simulated.
#[derive(Debug)]
pub(crate) enum SimulationBody {
    /// Made up; each has its time.
    Events(Vec<Draft>),
    /// Recorded.
    History(HistoryQuery),
}

/// Reads a request but for the candidate documents, which are not the schema's.
pub(crate) fn simulate(node: &Node) -> Result<SimulationBody, Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    for document in ["playbooks", "correlation", "guardrails"] {
        members.accept(document);
    }
    match (members.has("events"), members.has("history")) {
        (true, false) => {
            let items = members.required_items("events", MOST_EVENTS);
            members.finish(|| Some(()))?;
            let list = KeyPath::from("events");
            let (mut drafts, mut errors) = (Vec::with_capacity(items.len()), Vec::new());
            for (index, item) in items.iter().enumerate() {
                match timed(item, &list.index(index)) {
                    Ok(draft) => drafts.push(draft),
                    Err(found) => errors.extend(found),
                }
            }
            if errors.is_empty() { Ok(SimulationBody::Events(drafts)) } else { Err(errors) }
        }
        (false, true) => {
            let recorded = members.object("history", |history| {
                let start = history.required("start", value::time);
                let end = history.required("end", value::time);
                if start.zip(end).is_some_and(|(start, end)| end <= start) {
                    history.error("end", "must be after start");
                }
                let sources = history.list("sources", MOST_SOURCES, value::parsed).into_iter().collect();
                let victim_ip = history.optional("victim_ip", value::address);
                let (start, end, limit) = (start?, end?, MOST_RECORDED);
                Some(HistoryQuery { start, end, sources, victim_ip, after: None, limit })
            });
            members.finish(|| recorded.map(SimulationBody::History))
        }
        (both, _) => {
            let detail =
                if both { "give events or history, not both" } else { "events or history is required" };
            members.error("events", detail);
            members.finish(|| None)
        }
    }
}

/// An event with its time: there is no time of receipt.
fn timed(item: &Node, at: &KeyPath) -> Result<Draft, Vec<Diagnostic>> {
    // an event is read as intake reads it
    let mut members = Members::open(item, at.clone())?.tolerant();
    let timestamp = members.required("timestamp", value::time);
    let timed = members.finish(|| timestamp);
    match (timed, event(item, at.clone(), timestamp.unwrap_or_default())) {
        (Ok(_), draft) => draft,
        (Err(errors), Ok(_)) => Err(errors),
        (Err(mut errors), Err(more)) => {
            let known = errors.len();
            for error in more {
                if !errors[..known].iter().any(|known| known.path == error.path) {
                    errors.push(error);
                }
            }
            Err(errors)
        }
    }
}
