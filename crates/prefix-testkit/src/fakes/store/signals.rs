//! Signal groups, corroborating signals and sources of the fake.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use prefix_core::address::VictimIp;
use prefix_core::id::{GroupId, SignalId};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::{Pop, SourceName, VectorName};
use prefix_core::page::{Cursor, Page};
use prefix_core::ports::{
    ChangeSet, GroupQuery, MOST_CORROBORATIONS, ReadSet, SignalReads, SourceActivity, StoreError,
    WaitingCorroborations,
};
use prefix_core::signal::{Corroboration, GroupStatus, SignalGroup};

use super::MemoryStore;
use super::select::{is, page};

/// Of whom at most one group is open.
type Key<'a> = (&'a Pop, VictimIp, &'a VectorName);

fn key(group: &SignalGroup) -> Key<'_> {
    (&group.pop, group.victim_ip, &group.vector)
}

fn is_open(group: &SignalGroup) -> bool {
    group.status == GroupStatus::Open
}

fn place(signal: &Corroboration) -> (DateTime<Utc>, SignalId) {
    (signal.received_at, signal.signal_id)
}

/// Everything stored about signals.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    pub(super) groups: BTreeMap<GroupId, SignalGroup>,
    pub(super) corroborations: BTreeMap<SignalId, Corroboration>,
}

impl Signals {
    /// The groups that `reads` names, with those of these mitigations.
    pub(super) fn groups_for(&self, reads: &ReadSet, mitigations: &[Mitigation]) -> Vec<SignalGroup> {
        let unfinished = mitigations.iter().filter(|row| !row.status.is_final());
        let named: BTreeSet<GroupId> =
            unfinished.filter_map(|row| Some(row.correlation.as_ref()?.signal_group_id)).collect();
        let is_wanted = |group: &&SignalGroup| {
            let is_open_here = is_open(group) && group.pop == reads.pop;
            reads.groups.contains(&group.group_id)
                || reads.open_groups && is_open_here
                || reads.victim_groups && is_open_here && reads.victims.contains(&group.victim_ip)
                || reads.victim_groups && named.contains(&group.group_id)
        };
        let mut groups: Vec<SignalGroup> = self.groups.values().filter(is_wanted).cloned().collect();
        groups.sort_by_key(|group| (group.created_at, group.group_id));
        groups
    }

    /// The corroborating signals that `reads` names.
    pub(super) fn corroborations_for(&self, reads: &ReadSet) -> Vec<Corroboration> {
        if !reads.corroborations {
            return Vec::new();
        }
        let is_live =
            |signal: &&Corroboration| signal.received_by == reads.pop && signal.expires_at > reads.now;
        let mut live: Vec<&Corroboration> = self.corroborations.values().filter(is_live).collect();
        live.sort_by_key(|signal| place(signal));
        let most = usize::try_from(MOST_CORROBORATIONS).unwrap_or(usize::MAX);
        let newest = live.into_iter().rev().take(most).rev();
        newest.map(|signal| Corroboration { raw_details: None, ..signal.clone() }).collect()
    }

    /// The changed groups as they will be.
    pub(super) fn next_groups(&self, changes: &ChangeSet) -> Result<Vec<SignalGroup>, StoreError> {
        let mut groups = Vec::new();
        for change in &changes.groups {
            let mut after = (*change.after).clone();
            let id = after.group_id;
            let stored = self.groups.get(&id).map(|group| group.revision);
            after.created_at = after.created_at.trunc_subsecs(6);
            after.window_ends_at = after.window_ends_at.trunc_subsecs(6);
            match &change.before {
                Some(before) if !is_same(before, &change.after) => {
                    return Err(StoreError::Invalid(format!(
                        "signal group {id} changes what stays as it was"
                    )));
                }
                Some(before) if stored != Some(before.revision) => {
                    return Err(StoreError::Conflict(format!("{id} is no longer at {}", before.revision)));
                }
                Some(before) => after.revision = before.revision + 1,
                None if stored.is_some() => return Err(StoreError::Invalid(format!("{id} exists"))),
                None => {}
            }
            groups.push(after);
        }
        let changed: HashSet<GroupId> = groups.iter().map(|group| group.group_id).collect();
        let others =
            self.groups.values().filter(|group| is_open(group) && !changed.contains(&group.group_id));
        let mut open: HashSet<Key<'_>> = others.map(key).collect();
        for group in groups.iter().filter(|group| is_open(group)) {
            if !open.insert(key(group)) {
                return Err(StoreError::Conflict(format!("{} is not the only open one", group.group_id)));
            }
        }
        Ok(groups)
    }

    /// Nothing that a real store would refuse.
    pub(super) fn check(changes: &ChangeSet) -> Result<(), StoreError> {
        let raw = changes.corroborations.iter().filter_map(|signal| signal.raw_details.as_ref());
        if raw.into_iter().any(|text| text.contains('\0')) {
            return Err(StoreError::Invalid("raw_details contains a NUL character".into()));
        }
        Ok(())
    }

    /// Puts corroborating signals; the raw details of those that are known stay.
    pub(super) fn put(&mut self, signals: Vec<Corroboration>) {
        for mut signal in signals {
            signal.received_at = signal.received_at.trunc_subsecs(6);
            signal.expires_at = signal.expires_at.trunc_subsecs(6);
            if let Some(known) = self.corroborations.get(&signal.signal_id) {
                signal.raw_details.clone_from(&known.raw_details);
            }
            self.corroborations.insert(signal.signal_id, signal);
        }
    }
}

/// True if nothing changes that stays as it was.
fn is_same(before: &SignalGroup, after: &SignalGroup) -> bool {
    before.group_id == after.group_id
        && key(before) == key(after)
        && before.created_at == after.created_at
        && before.window_ends_at == after.window_ends_at
}

#[async_trait]
impl SignalReads for MemoryStore {
    async fn groups(&self, query: &GroupQuery) -> Result<Page<SignalGroup>, StoreError> {
        self.read(|state| {
            let matches = |group: &&SignalGroup| {
                (query.status.is_empty() || query.status.contains(&group.status))
                    && is(query.pop.as_ref(), Some(&group.pop))
                    && is(query.victim_ip.as_ref(), Some(&group.victim_ip))
                    && is(query.vector.as_ref(), Some(&group.vector))
            };
            page(state.signals.groups.values().filter(matches), &query.page, |group| Cursor {
                at: group.created_at,
                id: group.group_id.as_uuid(),
            })
        })
    }

    async fn group(&self, id: GroupId) -> Result<Option<SignalGroup>, StoreError> {
        self.read(|state| state.signals.groups.get(&id).cloned())
    }

    async fn open_groups(&self, pop: &Pop, limit: u32) -> Result<Vec<SignalGroup>, StoreError> {
        self.read(|state| {
            let mut open: Vec<SignalGroup> = state
                .signals
                .groups
                .values()
                .filter(|group| is_open(group) && group.pop == *pop)
                .cloned()
                .collect();
            open.sort_by_key(|group| (group.window_ends_at, group.group_id));
            open.truncate(limit as usize);
            open
        })
    }

    async fn waiting_corroborations(
        &self,
        pop: &Pop,
        now: DateTime<Utc>,
        source: Option<&SourceName>,
        limit: u32,
    ) -> Result<(WaitingCorroborations, Vec<Corroboration>), StoreError> {
        self.read(|state| {
            let waits = |signal: &&Corroboration| {
                signal.received_by == *pop && signal.expires_at > now && signal.attached.is_empty()
            };
            let mut rows: Vec<&Corroboration> = state.signals.corroborations.values().filter(waits).collect();
            let mut counts =
                WaitingCorroborations { total: rows.len() as u64, ..WaitingCorroborations::default() };
            for row in &rows {
                *counts.by_source.entry(row.source.clone()).or_default() += 1;
            }
            rows.retain(|row| source.is_none_or(|source| row.source == *source));
            rows.sort_by_key(|row| std::cmp::Reverse(place(row)));
            (counts, rows.into_iter().take(limit as usize).cloned().collect())
        })
    }

    async fn corroborator_activity(
        &self,
        pop: &Pop,
        since: DateTime<Utc>,
    ) -> Result<Vec<SourceActivity>, StoreError> {
        self.read(|state| {
            let mut activity: BTreeMap<&SourceName, (DateTime<Utc>, u64)> = BTreeMap::new();
            let is_meant = |row: &&Corroboration| row.received_by == *pop && row.received_at >= since;
            for row in state.signals.corroborations.values().filter(is_meant) {
                let (last_seen, count) = activity.entry(&row.source).or_insert((row.received_at, 0));
                *last_seen = row.received_at.max(*last_seen);
                *count += 1;
            }
            let of_source = |(source, (last_seen, count)): (&SourceName, _)| SourceActivity {
                source: source.clone(),
                last_seen,
                count,
            };
            activity.into_iter().map(of_source).collect()
        })
    }

    async fn last_heard(
        &self,
        sources: &[SourceName],
    ) -> Result<BTreeMap<SourceName, DateTime<Utc>>, StoreError> {
        self.read(|state| {
            let events = state.events.iter().map(|event| (&event.report.source, event.ingested_at));
            let signals = state.signals.corroborations.values().map(|row| (&row.source, row.received_at));
            let mut heard = BTreeMap::new();
            for (source, at) in events.chain(signals).filter(|(source, _)| sources.contains(source)) {
                let last = heard.entry(source.clone()).or_insert(at);
                *last = at.max(*last);
            }
            heard
        })
    }
}
