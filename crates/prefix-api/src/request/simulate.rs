//! What is to be simulated (http-api.md §10): events that never happened, or a part of what is recorded.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::name::SourceName;

use super::event::{Draft, event};
use crate::fields::Fields;
use crate::json::Tree;
use crate::pointer::Pointer;
use crate::problem::FieldError;
use crate::value;

/// So many events may be made up in one request.
const MOST_EVENTS: usize = 1_000;
/// So many sources may be named.
const MOST_SOURCES: usize = 1_000;

/// A part of what is recorded.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// Received from here on.
    pub(crate) start: DateTime<Utc>,
    /// Received before.
    pub(crate) end: DateTime<Utc>,
    /// Of these sources; empty = all.
    pub(crate) sources: BTreeSet<SourceName>,
    /// Against this address.
    pub(crate) victim_ip: Option<VictimIp>,
}

/// See the module.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// Made up; each has its time.
    Events(Vec<Draft>),
    /// Recorded.
    History(Recorded),
}

/// Reads a request but for the candidate documents, which are not the schema's.
pub(crate) fn simulate(tree: &Tree) -> Result<Wanted, Vec<FieldError>> {
    let root = Pointer::root();
    let mut fields = Fields::open(tree, root)?;
    match (fields.has("events"), fields.has("history")) {
        (true, false) => {
            let items = fields.required_items("events", MOST_EVENTS);
            fields.finish(|| Some(()))?;
            let list = root.member("events");
            let mut errors = Vec::new();
            let mut drafts = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                let at = list.index(index);
                match timed(item, at) {
                    Ok(draft) => drafts.push(draft),
                    Err(mistakes) => errors.extend(mistakes),
                }
            }
            if errors.is_empty() { Ok(Wanted::Events(drafts)) } else { Err(errors) }
        }
        (false, true) => {
            let recorded = fields.object("history", |history| {
                let start = history.required("start", value::time);
                let end = history.required("end", value::time);
                if start.zip(end).is_some_and(|(start, end)| end <= start) {
                    history.error("end", "must be after start");
                }
                let sources = history.list("sources", MOST_SOURCES, value::parsed).into_iter().collect();
                let victim_ip = history.optional("victim_ip", value::address);
                Some(Recorded { start: start?, end: end?, sources, victim_ip })
            });
            fields.finish(|| recorded.map(Wanted::History))
        }
        (both, _) => {
            let detail =
                if both { "give events or history, not both" } else { "events or history is required" };
            fields.error("events", detail);
            fields.finish(|| None)
        }
    }
}

/// An event with its time: there is no time of receipt.
fn timed(item: &Tree, at: Pointer<'_>) -> Result<Draft, Vec<FieldError>> {
    let mut fields = Fields::open_but(item, at, None)?;
    let timestamp = fields.required("timestamp", value::time);
    let timed = fields.finish(|| timestamp);
    match (timed, event(item, at, timestamp.unwrap_or_default())) {
        (Ok(_), draft) => draft,
        (Err(errors), Ok(_)) => Err(errors),
        (Err(mut errors), Err(more)) => {
            errors.extend(
                more.into_iter()
                    .filter(|error| !errors.iter().any(|e| e.pointer == error.pointer))
                    .collect::<Vec<_>>(),
            );
            Err(errors)
        }
    }
}
