//! Signal groups, their signals, and what corroborates them, as rows.

use crate::output::{Cell, Column, Shown, Tone};
use prefix_client::{
    CachedSignal, CorroborationAnswer, GroupSignal, GroupStatus, SignalGroup, SourceActivity,
};

fn status(status: &GroupStatus) -> Cell {
    let tone = match status {
        GroupStatus::Resolved => Tone::Good,
        GroupStatus::Expired => Tone::Dim,
        GroupStatus::Open | GroupStatus::Other(_) => Tone::Warn,
    };
    Cell::Toned(tone, status.to_string())
}

/// At most three digits after the point: more is noise.
fn number(value: Option<f64>) -> Cell {
    Cell::optional(value.map(|value| (value * 1000.0).round() / 1000.0))
}

/// The columns of signal groups.
pub(crate) const GROUPS: &[Column<SignalGroup>] = &[
    Column::new("id", Shown::Always, |row| Cell::text(row.group_id)),
    Column::new("pop", Shown::Wide, |row| Cell::optional(row.pop.as_ref())),
    Column::new("created", Shown::Always, |row| Cell::time(row.created_at)),
    Column::new("victim", Shown::Always, |row| Cell::text(row.victim_ip)),
    Column::new("vector", Shown::Always, |row| Cell::optional(row.vector.as_ref())),
    Column::new("status", Shown::Always, |row| status(&row.status)),
    Column::new("met", Shown::Always, |row| Cell::text(row.corroboration_met)),
    Column::new("sources", Shown::Always, |row| Cell::optional(row.source_count)),
    Column::new("confidence", Shown::Always, |row| number(row.derived_confidence)),
    Column::new("window_ends", Shown::Always, |row| Cell::time(row.window_expires_at)),
    Column::new("playbook", Shown::Wide, |row| Cell::optional(row.playbook_name.as_ref())),
    Column::new("customers", Shown::Wide, |row| Cell::list(&row.primary_dimensions.customer_ids)),
    Column::new("services", Shown::Wide, |row| Cell::list(&row.primary_dimensions.service_ids)),
    Column::new("interfaces", Shown::Wide, |row| Cell::list(&row.primary_dimensions.interfaces)),
];

/// The columns of the signals of a group.
pub(crate) const GROUP_SIGNALS: &[Column<GroupSignal>] = &[
    Column::new("signal", Shown::Always, |row| Cell::text(row.event_id)),
    Column::new("received", Shown::Always, |row| Cell::time(row.ingested_at)),
    Column::new("source", Shown::Always, |row| Cell::optional(row.source.as_ref())),
    Column::new("identity", Shown::Wide, |row| Cell::optional(row.identity.as_ref())),
    Column::new("weight", Shown::Always, |row| number(row.source_weight)),
    Column::new("confidence", Shown::Always, |row| number(row.confidence)),
    Column::new("corroborating", Shown::Always, |row| Cell::text(row.is_corroborating)),
];

/// The columns of the answer to a corroborating signal.
pub(crate) const CORROBORATED: &[Column<CorroborationAnswer>] = &[
    Column::new("signal", Shown::Always, |row| Cell::text(row.signal_id)),
    Column::new("status", Shown::Always, |row| {
        let tone = if row.status == "attached" { Tone::Good } else { Tone::Warn };
        Cell::Toned(tone, row.status.clone())
    }),
    Column::new("groups", Shown::Always, |row| Cell::list(&row.attached_group_ids)),
    Column::new("mitigations", Shown::Always, |row| Cell::list(&row.mitigation_ids)),
];

/// The columns of what was heard.
pub(crate) const SOURCE_ACTIVITY: &[Column<SourceActivity>] = &[
    Column::new("source", Shown::Always, |row| Cell::text(&row.source)),
    Column::new("last_seen", Shown::Always, |row| Cell::time(row.last_seen)),
    Column::new("count", Shown::Always, |row| Cell::text(row.count)),
];

/// The columns of what waits.
pub(crate) const CACHED_SIGNALS: &[Column<CachedSignal>] = &[
    Column::new("signal", Shown::Always, |row| Cell::text(row.signal_id)),
    Column::new("received", Shown::Always, |row| Cell::time(row.ingested_at)),
    Column::new("expires", Shown::Always, |row| Cell::time(row.expires_at)),
    Column::new("source", Shown::Always, |row| Cell::text(&row.source)),
    Column::new("vector", Shown::Always, |row| Cell::optional(row.vector.as_ref())),
    Column::new("customer", Shown::Always, |row| Cell::optional(row.customer_id.as_ref())),
    Column::new("pop", Shown::Always, |row| Cell::optional(row.pop.as_ref())),
    Column::new("service", Shown::Always, |row| Cell::optional(row.service_id.as_ref())),
    Column::new("interface", Shown::Always, |row| Cell::optional(row.interface.as_ref())),
    Column::new("confidence", Shown::Always, |row| number(row.confidence)),
    Column::new("weight", Shown::Wide, |row| number(row.weight)),
];
