//! Events as rows.

use crate::output::{Cell, Column, Shown, Tone};
use prefix_client::{Event, EventAnswer, EventStatus};

fn event_tone(status: &EventStatus) -> Tone {
    match status {
        EventStatus::Accepted | EventStatus::Extended => Tone::Good,
        EventStatus::Rejected => Tone::Bad,
        EventStatus::Withdrawn | EventStatus::Released => Tone::Dim,
        EventStatus::Queued
        | EventStatus::Held
        | EventStatus::AcceptedNoPlaybook
        | EventStatus::AcceptedNoMitigation
        | EventStatus::NoActiveMitigation
        | EventStatus::NotFound
        | EventStatus::Other(_) => Tone::Warn,
    }
}

pub(super) fn status(status: Option<&EventStatus>) -> Cell {
    status.map_or(Cell::Empty, |status| Cell::Toned(event_tone(status), status.to_string()))
}

/// The address or the whole prefix.
pub(crate) fn attacked(event: &Event) -> String {
    event.victim_prefix.map_or_else(|| event.victim_ip.to_string(), |prefix| prefix.to_string())
}

/// The columns of events.
pub(crate) const EVENTS: &[Column<Event>] = &[
    Column::new("id", Shown::Always, |row| Cell::text(row.event_id)),
    Column::new("received", Shown::Always, |row| Cell::time(row.ingested_at)),
    Column::new("timestamp", Shown::Wide, |row| Cell::time(row.event_timestamp)),
    Column::new("source", Shown::Always, |row| Cell::text(&row.source)),
    Column::new("external_id", Shown::Wide, |row| Cell::optional(row.external_event_id.as_ref())),
    Column::new("victim", Shown::Always, |row| Cell::text(attacked(row))),
    Column::new("vector", Shown::Always, |row| Cell::optional(row.vector.as_ref())),
    Column::new("protocol", Shown::Wide, |row| Cell::optional(row.protocol.as_ref())),
    Column::new("bps", Shown::Table, |row| Cell::optional(row.bps)),
    Column::new("bps", Shown::Wide, |row| Cell::optional(row.bps.map(|rate| rate.0))),
    Column::new("pps", Shown::Wide, |row| Cell::optional(row.pps.map(|rate| rate.0))),
    Column::new("ports", Shown::Wide, |row| Cell::list(&row.top_dst_ports)),
    Column::new("confidence", Shown::Wide, |row| Cell::optional(row.confidence)),
    Column::new("action", Shown::Always, |row| Cell::optional(row.action.as_ref())),
    Column::new("status", Shown::Always, |row| status(row.status.as_ref())),
    Column::new("mitigation", Shown::Wide, |row| Cell::optional(row.mitigation_id)),
    Column::new("signal_group", Shown::Wide, |row| Cell::optional(row.signal_group_id)),
];

/// The columns of the answer to one event.
pub(crate) const ANSWER: &[Column<EventAnswer>] = &[
    Column::new("event", Shown::Always, |row| Cell::text(row.event_id)),
    Column::new("external_id", Shown::Wide, |row| Cell::optional(row.external_event_id.as_ref())),
    Column::new("status", Shown::Always, |row| status(Some(&row.status))),
    Column::new("mitigation", Shown::Always, |row| Cell::optional(row.mitigation_id)),
    Column::new("mitigation_status", Shown::Always, |row| Cell::optional(row.mitigation_status.as_ref())),
    Column::new("signal_group", Shown::Wide, |row| Cell::optional(row.signal_group_id)),
    Column::new("guardrail", Shown::Wide, |row| Cell::optional(row.guardrail.as_ref())),
];
