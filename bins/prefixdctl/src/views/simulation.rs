//! Simulated events as rows.

use crate::output::{Cell, Column, Shown, Tone};
use crate::views::events::status;
use prefix_client::{ActualOutcome, DecidedRule, Diff, SimulatedEvent};

fn rule(rule: Option<&DecidedRule>) -> Cell {
    Cell::optional(rule.and_then(|rule| rule.flow.as_ref()))
}

fn action(rule: Option<&DecidedRule>) -> Cell {
    let Some(rule) = rule else { return Cell::Empty };
    let rates = [rule.rate_bps.map(|rate| rate.to_string()), rule.rate_pps.map(|rate| rate.to_string())];
    let words = rule.action_type.iter().map(ToString::to_string).chain(rates.into_iter().flatten());
    Cell::text(words.collect::<Vec<_>>().join(" "))
}

fn actual(row: &SimulatedEvent) -> Option<&ActualOutcome> {
    row.actual.as_ref()
}

/// What is different, `field: was -> would be`.
fn changes(row: &SimulatedEvent) -> Cell {
    let word = |value: &serde_json::Value| match value {
        serde_json::Value::Null => "none".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let change = |change: &prefix_client::SimulatedChange| {
        format!("{}: {} -> {}", change.field, word(&change.actual), word(&change.simulated))
    };
    let changes: Vec<String> = row.changes.iter().map(change).collect();
    if changes.is_empty() { Cell::Empty } else { Cell::Text(changes.join("; ")) }
}

fn diff(row: &SimulatedEvent) -> Cell {
    let Some(diff) = &row.diff else { return Cell::Empty };
    let tone = match diff {
        Diff::Same => Tone::Dim,
        Diff::Added => Tone::Good,
        Diff::Missing => Tone::Bad,
        Diff::Changed | Diff::Other(_) => Tone::Warn,
    };
    Cell::Toned(tone, diff.to_string())
}

fn exact_time(row: &SimulatedEvent) -> Cell {
    Cell::text(row.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

/// The columns of recorded events, beside what was done.
pub(crate) const DIFFERENCES: &[Column<SimulatedEvent>] = &[
    Column::new("event", Shown::Always, |row| Cell::optional(row.event_id)),
    Column::new("at", Shown::Table, exact_time),
    Column::new("at", Shown::Wide, |row| Cell::time(Some(row.at))),
    Column::new("diff", Shown::Always, diff),
    Column::new("was", Shown::Wide, |row| status(actual(row).map(|actual| &actual.status))),
    Column::new("would_be", Shown::Wide, |row| status(Some(&row.status))),
    Column::new("changes", Shown::Table, changes),
    Column::new("guardrail", Shown::Wide, |row| Cell::optional(row.guardrail.as_ref())),
    Column::new("flow_was", Shown::Wide, |row| rule(actual(row).and_then(|actual| actual.rule.as_ref()))),
    Column::new("flow", Shown::Wide, |row| rule(row.rule.as_ref())),
    Column::new("action_was", Shown::Wide, |row| action(actual(row).and_then(|actual| actual.rule.as_ref()))),
    Column::new("action", Shown::Wide, |row| action(row.rule.as_ref())),
    Column::new("duration_was", Shown::Wide, |row| {
        Cell::optional(actual(row).and_then(|actual| actual.duration_seconds))
    }),
    Column::new("duration", Shown::Wide, |row| Cell::optional(row.duration_seconds)),
];

/// The columns of events that never happened.
pub(crate) const SIMULATED: &[Column<SimulatedEvent>] = &[
    Column::new("index", Shown::Always, |row| Cell::text(row.index)),
    Column::new("at", Shown::Table, exact_time),
    Column::new("at", Shown::Wide, |row| Cell::time(Some(row.at))),
    Column::new("status", Shown::Always, |row| status(Some(&row.status))),
    Column::new("guardrail", Shown::Always, |row| Cell::optional(row.guardrail.as_ref())),
    Column::new("flow", Shown::Always, |row| rule(row.rule.as_ref())),
    Column::new("action", Shown::Always, |row| action(row.rule.as_ref())),
    Column::new("duration", Shown::Always, |row| Cell::optional(row.duration_seconds)),
    Column::new("end_reason", Shown::Wide, |row| Cell::optional(row.end_reason.as_ref())),
];
