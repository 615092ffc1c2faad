//! Mitigations as rows.

use crate::output::{Cell, Column, Shown, Tone};
use prefix_client::{ActionType, Mitigation, MitigationStatus};

/// The colour of a status.
pub(crate) fn mitigation_tone(status: &MitigationStatus) -> Tone {
    match status {
        MitigationStatus::Active => Tone::Good,
        MitigationStatus::Rejected => Tone::Bad,
        MitigationStatus::Withdrawn | MitigationStatus::Expired => Tone::Dim,
        MitigationStatus::Escalated
        | MitigationStatus::Queued
        | MitigationStatus::Pending
        | MitigationStatus::Withdrawing
        | MitigationStatus::Other(_) => Tone::Warn,
    }
}

/// The action with what belongs to it: `police 10 Mbit/s`, `redirect 65000:100`.
pub(crate) fn action(mitigation: &Mitigation) -> String {
    let mut text = mitigation.action_type.as_ref().map(ToString::to_string).unwrap_or_default();
    let facts = [
        mitigation.rate_bps.map(|rate| rate.to_string()),
        mitigation.rate_pps.map(|rate| rate.to_string()),
        mitigation.redirect_to.clone(),
        mitigation.dscp_mark.map(|mark| mark.to_string()),
    ];
    // `discard` is rate 0 on the wire; saying so would only confuse.
    if mitigation.action_type != Some(ActionType::Discard) {
        for fact in facts.into_iter().flatten() {
            text.push(' ');
            text.push_str(&fact);
        }
    }
    text
}

fn sources(mitigation: &Mitigation) -> impl Iterator<Item = &str> {
    mitigation.leases.iter().map(|lease| lease.source.as_str())
}

fn status(mitigation: &Mitigation) -> Cell {
    Cell::Toned(mitigation_tone(&mitigation.status), mitigation.status.to_string())
}

/// In the table a rehearsed rule says so, since it is counted like a real one.
fn status_for_eyes(mitigation: &Mitigation) -> Cell {
    if mitigation.dry_run {
        Cell::Toned(Tone::Warn, format!("{} (dry-run)", mitigation.status))
    } else {
        status(mitigation)
    }
}

/// A rule that is gone has no time to live any more.
fn expires_for_eyes(mitigation: &Mitigation) -> Cell {
    if mitigation.status.is_final() { Cell::Empty } else { Cell::time(mitigation.expires_at) }
}

/// The columns of mitigations.
pub(crate) const MITIGATIONS: &[Column<Mitigation>] = &[
    Column::new("id", Shown::Always, |row| Cell::text(row.mitigation_id)),
    Column::new("pop", Shown::Wide, |row| Cell::text(&row.pop)),
    Column::new("status", Shown::Table, status_for_eyes),
    Column::new("status", Shown::Wide, status),
    Column::new("end_reason", Shown::Wide, |row| Cell::optional(row.end_reason.as_ref())),
    Column::new("guardrail", Shown::Wide, |row| Cell::optional(row.guardrail.as_ref())),
    Column::new("customer", Shown::Wide, |row| Cell::optional(row.customer_id.as_ref())),
    Column::new("service", Shown::Wide, |row| Cell::optional(row.service_id.as_ref())),
    Column::new("victim", Shown::Wide, |row| Cell::text(row.victim_ip)),
    Column::new("victims", Shown::Wide, |row| Cell::optional(row.victims.as_ref().map(|held| held.count))),
    Column::new("vector", Shown::Wide, |row| Cell::optional(row.vector.as_ref())),
    Column::new("flow", Shown::Always, |row| Cell::optional(row.flow.as_ref())),
    Column::new("action", Shown::Table, |row| Cell::text(action(row))),
    Column::new("action", Shown::Wide, |row| Cell::optional(row.action_type.as_ref())),
    Column::new("rate_bps", Shown::Wide, |row| Cell::optional(row.rate_bps.map(|rate| rate.0))),
    Column::new("rate_pps", Shown::Wide, |row| Cell::optional(row.rate_pps.map(|rate| rate.0))),
    Column::new("redirect_to", Shown::Wide, |row| Cell::optional(row.redirect_to.as_ref())),
    Column::new("dscp_mark", Shown::Wide, |row| Cell::optional(row.dscp_mark)),
    Column::new("playbook", Shown::Wide, |row| Cell::optional(row.playbook.as_ref())),
    Column::new("step", Shown::Always, |row| Cell::text(row.step)),
    Column::new("sources", Shown::Always, |row| Cell::list(sources(row))),
    Column::new("announced", Shown::Wide, |row| Cell::text(row.bgp.announced)),
    Column::new("peers", Shown::Wide, |row| Cell::text(row.bgp.peers_established)),
    Column::new("created", Shown::Wide, |row| Cell::time(row.created_at)),
    Column::new("expires", Shown::Table, expires_for_eyes),
    Column::new("expires", Shown::Wide, |row| Cell::time(row.expires_at)),
    Column::new("withdrawn", Shown::Wide, |row| Cell::time(row.withdrawn_at)),
    Column::new("acknowledged_by", Shown::Wide, |row| Cell::optional(row.acknowledged_by.as_ref())),
    Column::new("dry_run", Shown::Wide, |row| Cell::text(row.dry_run)),
    Column::new("reason", Shown::Wide, |row| Cell::optional(row.reason.as_ref())),
];
