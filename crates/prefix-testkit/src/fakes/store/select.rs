//! Lists and counts of the fake.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use prefix_core::audit::AuditEntry;
use prefix_core::event::Event;
use prefix_core::mitigation::Mitigation;
use prefix_core::name::SourceName;
use prefix_core::page::{Cursor, Page, PageRequest};
use prefix_core::ports::{
    AuditQuery, Bucket, CorroborationHistoryQuery, EventQuery, HistoryQuery, MitigationQuery, SeriesMetric,
    SeriesQuery,
};
use prefix_core::signal::Corroboration;

use super::state::State;

pub(super) fn page<'a, T: Clone + 'a>(
    rows: impl Iterator<Item = &'a T>,
    request: &PageRequest,
    cursor: impl Fn(&T) -> Cursor,
) -> Page<T> {
    let is_within = |at: DateTime<Utc>| {
        request.start.is_none_or(|start| at >= start) && request.end.is_none_or(|end| at < end)
    };
    let mut rows: Vec<&T> = rows
        .filter(|row| is_within(cursor(row).at))
        .filter(|row| request.cursor.is_none_or(|last| cursor(row) < last))
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(cursor(row)));
    rows.truncate(usize::from(request.limit) + 1);
    Page::from_overfull(rows.into_iter().cloned().collect(), request.limit, cursor)
}

pub(super) fn is<T: PartialEq>(wanted: Option<&T>, value: Option<&T>) -> bool {
    wanted.is_none_or(|wanted| Some(wanted) == value)
}

pub(super) fn mitigations(state: &State, query: &MitigationQuery) -> Page<Mitigation> {
    let matches = |row: &&Mitigation| {
        (query.status.is_empty() || query.status.contains(&row.status))
            && is(query.customer_id.as_ref(), row.customer_id.as_ref())
            && is(query.victim_ip.as_ref(), Some(&row.victim_ip))
            && is(query.vector.as_ref(), Some(&row.vector))
            && is(query.pop.as_ref(), Some(&row.pop))
            && is(query.acknowledged.as_ref(), Some(&row.acknowledged_at.is_some()))
    };
    page(state.mitigations.values().filter(matches), &query.page, |row| Cursor {
        at: row.created_at,
        id: row.mitigation_id.as_uuid(),
    })
}

pub(super) fn events(state: &State, query: &EventQuery) -> Page<Event> {
    let matches = |event: &&Event| {
        is(query.source.as_ref(), Some(&event.report.source))
            && is(query.victim_ip.as_ref(), Some(&event.report.victim_ip))
            && is(query.vector.as_ref(), event.report.vector.as_ref())
    };
    let listed = page(state.events.iter().filter(matches), &query.page, |event| Cursor {
        at: event.ingested_at,
        id: event.event_id.as_uuid(),
    });
    listed.map(|mut event| {
        event.report.raw_details = None;
        event
    })
}

/// Recorded events, oldest first.
pub(super) fn history(state: &State, query: &HistoryQuery) -> Vec<Event> {
    let place = |event: &Event| (event.ingested_at, event.event_id);
    let matches = |event: &&Event| {
        event.ingested_at >= query.start
            && event.ingested_at < query.end
            && (query.sources.is_empty() || query.sources.contains(&event.report.source))
            && is(query.victim_ip.as_ref(), Some(&event.report.victim_ip))
            && query.after.is_none_or(|after| place(event) > after)
    };
    let mut events: Vec<&Event> = state.events.iter().filter(matches).collect();
    events.sort_by_key(|event| place(event));
    let recorded = |event: &Event| {
        let mut event = event.clone();
        event.report.raw_details = None;
        event.decision.trace.clear();
        event
    };
    events.into_iter().take(query.limit as usize).map(recorded).collect()
}

/// Recorded corroborating signals, oldest first.
pub(super) fn corroboration_history(state: &State, query: &CorroborationHistoryQuery) -> Vec<Corroboration> {
    let place = |signal: &Corroboration| (signal.received_at, signal.signal_id);
    let matches = |signal: &&Corroboration| {
        signal.received_by == query.pop
            && signal.received_at >= query.start
            && signal.received_at < query.end
            && query.after.is_none_or(|after| place(signal) > after)
    };
    let mut signals: Vec<&Corroboration> = state.signals.corroborations.values().filter(matches).collect();
    signals.sort_by_key(|signal| place(signal));
    let recorded = |signal: &Corroboration| Corroboration { raw_details: None, ..signal.clone() };
    signals.into_iter().take(query.limit as usize).map(recorded).collect()
}

/// When each source was heard last.
pub(super) fn last_heard(state: &State, sources: &[SourceName]) -> BTreeMap<SourceName, DateTime<Utc>> {
    let events = state.events.iter().map(|event| (&event.report.source, event.ingested_at));
    let signals = state.signals.corroborations.values().map(|row| (&row.source, row.received_at));
    let mut heard = BTreeMap::new();
    for (source, at) in events.chain(signals).filter(|(source, _)| sources.contains(source)) {
        let last = heard.entry(source.clone()).or_insert(at);
        *last = at.max(*last);
    }
    heard
}

pub(super) fn audit(state: &State, query: &AuditQuery) -> Page<AuditEntry> {
    let matches = |entry: &&AuditEntry| {
        is(query.action.as_ref(), Some(&entry.action))
            && is(query.actor_id.as_ref(), entry.actor.id.as_ref())
            && is(query.target_type.as_ref(), entry.target_type.as_ref())
            && is(query.target_id.as_ref(), entry.target_id.as_ref())
    };
    let of_pop = state.audit.iter().filter(|(pop, _)| query.pop.as_ref().is_none_or(|of| of == pop));
    page(of_pop.map(|(_, entry)| entry).filter(matches), &query.page, |entry| Cursor {
        at: entry.timestamp,
        id: entry.audit_id.as_uuid(),
    })
}

pub(super) fn series(state: &State, query: &SeriesQuery) -> Vec<Bucket> {
    let times: Vec<DateTime<Utc>> = match query.metric {
        SeriesMetric::Mitigations => state.mitigations.values().map(|row| row.created_at).collect(),
        SeriesMetric::Events => state.events.iter().map(|event| event.ingested_at).collect(),
    };
    let width = query.bucket.num_microseconds().unwrap_or(i64::MAX).max(1);
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for time in times.into_iter().filter(|time| *time >= query.start && *time < query.end) {
        *counts.entry(time.timestamp_micros().div_euclid(width)).or_default() += 1;
    }
    let bucket = |(number, count): (i64, u64)| {
        let start = DateTime::from_timestamp_micros(number.saturating_mul(width))?;
        Some(Bucket { start, count })
    };
    counts.into_iter().filter_map(bucket).collect()
}
