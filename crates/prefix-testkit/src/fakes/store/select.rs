//! Lists and counts of the fake.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use prefix_core::audit::AuditEntry;
use prefix_core::audit_chain::ChainHead;
use prefix_core::event::Event;
use prefix_core::id::{EventId, MitigationId, PanicId};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::{CustomerId, Pop};
use prefix_core::page::{Cursor, Page, PageRequest};
use prefix_core::panic::PanicScope;
use prefix_core::ports::{
    AuditLog, AuditQuery, Bucket, CorroborationHistoryQuery, Epoch, EventQuery, History, HistoryQuery,
    MitigationQuery, PopStats, Reads, SeriesMetric, SeriesQuery, Statistics, StoreError, Totals,
};
use prefix_core::safelist::Safelist;
use prefix_core::signal::Corroboration;

use super::MemoryStore;
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

#[async_trait]
impl Reads for MemoryStore {
    async fn unfinished(&self, pop: &Pop) -> Result<Vec<Mitigation>, StoreError> {
        self.read(|state| state.unfinished(pop))
    }

    async fn unfinished_ids(
        &self,
        pop: Option<&Pop>,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<MitigationId>, StoreError> {
        let is_meant = |row: &&Mitigation| {
            !row.status.is_final()
                && pop.is_none_or(|pop| row.pop == *pop)
                && customer.is_none_or(|customer| row.customer_id.as_ref() == Some(customer))
        };
        self.read(|state| state.mitigations.values().filter(is_meant).map(|row| row.mitigation_id).collect())
    }

    async fn mitigation(&self, id: MitigationId) -> Result<Option<Mitigation>, StoreError> {
        self.read(|state| state.mitigations.get(&id).cloned())
    }

    async fn mitigations(&self, query: &MitigationQuery) -> Result<Page<Mitigation>, StoreError> {
        self.read(|state| {
            page(state.mitigations.values().filter(|row| query.matches(row)), &query.page, |row| Cursor {
                at: row.created_at,
                id: row.mitigation_id.as_uuid(),
            })
        })
    }

    async fn by_ids(&self, ids: &[MitigationId]) -> Result<Vec<Mitigation>, StoreError> {
        self.read(|state| ids.iter().filter_map(|id| state.mitigations.get(id).cloned()).collect())
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        self.read(|state| state.events.iter().find(|event| event.event_id == id).cloned())
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<Event>, StoreError> {
        self.read(|state| {
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
        })
    }

    async fn safelist(&self) -> Result<Safelist, StoreError> {
        self.read(|state| state.safelist.clone())
    }

    async fn panic_scopes(&self) -> Result<Vec<PanicScope>, StoreError> {
        self.read(State::frozen)
    }

    async fn panic_scope(&self, id: PanicId) -> Result<Option<PanicScope>, StoreError> {
        self.read(|state| state.panic.get(&id).cloned())
    }
}

#[async_trait]
impl Statistics for MemoryStore {
    async fn stats(&self) -> Result<BTreeMap<Pop, PopStats>, StoreError> {
        self.read(|state| {
            let mut stats: BTreeMap<Pop, PopStats> = BTreeMap::new();
            for row in state.mitigations.values() {
                let of_pop = stats.entry(row.pop.clone()).or_default();
                of_pop.total += 1;
                of_pop.active += u64::from(row.status.lives() || row.status == Status::Withdrawing);
            }
            stats
        })
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.read(|state| Totals {
            mitigations: state.mitigations.len() as u64,
            events: state.events.len() as u64,
        })
    }

    async fn series(&self, query: &SeriesQuery) -> Result<Vec<Bucket>, StoreError> {
        self.read(|state| {
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
        })
    }
}

#[async_trait]
impl History for MemoryStore {
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<Event>, StoreError> {
        self.read(|state| {
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
        })
    }

    async fn corroboration_history(
        &self,
        query: &CorroborationHistoryQuery,
    ) -> Result<Vec<Corroboration>, StoreError> {
        self.read(|state| {
            let place = |signal: &Corroboration| (signal.received_at, signal.signal_id);
            let matches = |signal: &&Corroboration| {
                signal.received_by == query.pop
                    && signal.received_at >= query.start
                    && signal.received_at < query.end
                    && query.after.is_none_or(|after| place(signal) > after)
            };
            let mut signals: Vec<&Corroboration> =
                state.signals.corroborations.values().filter(matches).collect();
            signals.sort_by_key(|signal| place(signal));
            let recorded = |signal: &Corroboration| Corroboration { raw_details: None, ..signal.clone() };
            signals.into_iter().take(query.limit as usize).map(recorded).collect()
        })
    }
}

#[async_trait]
impl AuditLog for MemoryStore {
    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError> {
        self.read(|state| {
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
        })
    }

    async fn seal_audit(&self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError> {
        self.change(|state, _| state.seal(pop, leader, limit))?
    }

    async fn audit_chain_head(&self, pop: &Pop) -> Result<Option<ChainHead>, StoreError> {
        self.read(|state| state.shared.head(pop))
    }

    async fn audit_chain(&self, pop: &Pop, from: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(|state| {
            let of_pop = state.audit.iter().filter(|(of, _)| of == pop).map(|(_, entry)| entry);
            let mut sealed: Vec<AuditEntry> =
                of_pop.filter(|entry| entry.seal.is_some_and(|seal| seal.seq >= from)).cloned().collect();
            sealed.sort_by_key(|entry| entry.seal.map(|seal| seal.seq));
            sealed.truncate(limit as usize);
            sealed
        })
    }
}
