//! What the fake holds, and how a unit of work changes it: all or nothing, like a transaction.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use prefix_core::audit::AuditEntry;
use prefix_core::event::{Event, EventAction};
use prefix_core::id::{MitigationId, PanicId};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::{CustomerId, ExternalEventId, Pop, SourceName};
use prefix_core::panic::PanicScope;
use prefix_core::ports::{
    ChangeSet, Epoch, IdempotencyRecord, QuotaCounts, ReadSet, RequestKey, Retention, Snapshot, StoreError,
};
use prefix_core::safelist::Safelist;
use prefix_core::signal::{GroupStatus, SignalGroup};

use super::access::AccessRows;
use super::shared::SharedState;
use super::signals::Signals;

/// Everything stored.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) mitigations: BTreeMap<MitigationId, Mitigation>,
    pub(super) events: Vec<Event>,
    /// Each entry with the pop in whose chain it stands.
    pub(super) audit: Vec<(Pop, AuditEntry)>,
    pub(super) safelist: Safelist,
    pub(super) panic: BTreeMap<PanicId, PanicScope>,
    pub(super) shared: SharedState,
    pub(super) signals: Signals,
    pub(super) access: AccessRows,
    /// How far retention has come.
    pub(super) horizon: Option<DateTime<Utc>>,
    replies: HashMap<RequestKey, IdempotencyRecord>,
    /// When episodes ended last, and when that was noted.
    ends: HashMap<(SourceName, ExternalEventId), (DateTime<Utc>, DateTime<Utc>)>,
    global: i64,
    pops: BTreeMap<Pop, i64>,
    customers: BTreeMap<CustomerId, i64>,
    companions: BTreeMap<Pop, i64>,
    admitted: Vec<(Pop, i64, u64)>,
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// When a final row was over: a rejected one when it was refused last.
fn closed_at(row: &Mitigation) -> DateTime<Utc> {
    if row.status == Status::Rejected { row.updated_at } else { row.ended_at.unwrap_or(row.updated_at) }
}

impl State {
    /// The facts that `reads` names.
    pub(super) fn snapshot(&self, reads: &ReadSet) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut queued: Vec<&Mitigation> = self
            .mitigations
            .values()
            .filter(|row| row.pop == reads.pop && row.status == Status::Queued)
            .collect();
        queued.sort_by_key(|row| (row.created_at, row.mitigation_id));
        queued.truncate(reads.queued as usize);
        let is_wanted = |row: &Mitigation| {
            reads.mitigations.contains(&row.mitigation_id)
                || queued.iter().any(|first| first.mitigation_id == row.mitigation_id)
                || row.pop == reads.pop && (is_of_victim(row, reads) || is_of_route(row, reads))
        };
        snapshot.mitigations = self.mitigations.values().filter(|row| is_wanted(row)).cloned().collect();
        self.access.read(reads, &mut snapshot);
        snapshot.groups = self.signals.groups_for(reads, &snapshot.mitigations);
        snapshot.corroborations = self.signals.corroborations_for(reads);
        if reads.admission {
            snapshot.quota = self.quota(reads);
            snapshot.safelist = self.safelist.clone();
            snapshot.panic = Arc::new(self.frozen());
        }
        for event in self.events.iter().filter(|event| event.report.action == EventAction::Ban) {
            let report = &event.report;
            let sighting = (report.source.clone(), report.victim_ip);
            if reads.sightings.contains(&sighting) {
                snapshot.sightings.insert(sighting);
            }
            let Some(id) = &report.external_event_id else { continue };
            let episode = (report.source.clone(), id.clone());
            if reads.episodes.contains(&episode) {
                snapshot.episodes.insert(episode);
            }
        }
        for episode in &reads.ends {
            if let Some((ended_at, _)) = self.ends.get(episode) {
                snapshot.ends.insert(episode.clone(), *ended_at);
            }
        }
        for key in &reads.replies {
            let stored = self.replies.get(key);
            if let Some(reply) = stored.filter(|reply| reply.created_at > reads.now - IdempotencyRecord::KEPT)
            {
                snapshot.replies.insert(key.clone(), reply.clone());
            }
        }
        snapshot
    }

    /// The quota counters: in all, by pop and by customer; those at zero are left out.
    pub(super) fn counters(&self) -> (i64, BTreeMap<Pop, i64>, BTreeMap<CustomerId, i64>) {
        let (mut pops, mut customers) = (self.pops.clone(), self.customers.clone());
        pops.retain(|_, number| *number != 0);
        customers.retain(|_, number| *number != 0);
        (self.global, pops, customers)
    }

    fn quota(&self, reads: &ReadSet) -> QuotaCounts {
        let second = reads.now.timestamp();
        let recent = self.admitted.iter().filter(|(pop, at, _)| *pop == reads.pop && *at >= second - 60);
        let of_customer = |customer: &CustomerId| count(*self.customers.get(customer).unwrap_or(&0));
        QuotaCounts {
            customers: reads.customers.iter().map(|c| (c.clone(), of_customer(c))).collect(),
            pop: count(*self.pops.get(&reads.pop).unwrap_or(&0)),
            companions: count(*self.companions.get(&reads.pop).unwrap_or(&0)),
            global: count(self.global),
            new_last_minute: recent.map(|(_, _, number)| number).sum(),
        }
    }

    /// Writes everything, or nothing.
    pub(super) fn apply(&mut self, reads: &ReadSet, changes: ChangeSet) -> Result<(), StoreError> {
        self.shared.check(&reads.pop, reads.leader)?;
        self.check(&changes)?;
        let delta = changes.quota_delta();
        let rows = self.next_rows(&changes)?;
        let groups = self.signals.next_groups(&changes)?;
        self.shared.note(reads, rows.iter().map(|row| (row.pop.clone(), row.mitigation_id)));
        self.mitigations.extend(rows.into_iter().map(|row| (row.mitigation_id, row)));
        self.signals.groups.extend(groups.into_iter().map(|group| (group.group_id, group)));
        self.global += delta.global;
        for (pop, by) in delta.pops {
            *self.pops.entry(pop).or_default() += by;
        }
        for (pop, by) in delta.companions {
            *self.companions.entry(pop).or_default() += by;
        }
        for (customer, by) in delta.customers {
            *self.customers.entry(customer).or_default() += by;
        }
        if changes.admitted > 0 {
            let second = reads.now.timestamp();
            self.admitted.retain(|(_, at, _)| *at >= second - 300);
            self.admitted.push((reads.pop.clone(), second, changes.admitted));
        }
        self.store_rest(reads, changes);
        Ok(())
    }

    /// The changed rows as they will be.
    fn next_rows(&self, changes: &ChangeSet) -> Result<Vec<Mitigation>, StoreError> {
        let mut rows = Vec::new();
        for change in &changes.mitigations {
            let mut after = (*change.after).clone();
            let id = after.mitigation_id;
            let stored = self.mitigations.get(&id).map(|row| row.revision);
            after.created_at = after.created_at.trunc_subsecs(6);
            match &change.before {
                Some(before) if stored != Some(before.revision) => {
                    return Err(StoreError::Conflict(format!("{id} is no longer at {}", before.revision)));
                }
                Some(before) => after.revision = before.revision + 1,
                None if stored.is_some() => return Err(StoreError::Invalid(format!("{id} exists"))),
                None => {}
            }
            if after.route.is_none() && after.status != Status::Rejected {
                return Err(StoreError::Invalid(format!("{id} has no rule")));
            }
            rows.push(after);
        }
        Ok(rows)
    }

    fn check(&self, changes: &ChangeSet) -> Result<(), StoreError> {
        Signals::check(changes)?;
        self.access.check(&changes.access)?;
        let refuse = |problem: String| Err(StoreError::Invalid(problem));
        for change in &changes.mitigations {
            let (Some(before), after) = (&change.before, &change.after) else { continue };
            let same = before.mitigation_id == after.mitigation_id
                && before.pop == after.pop
                && before.customer_id == after.customer_id
                && before.victim_ip == after.victim_ip
                && before.vector == after.vector
                && before.created_at == after.created_at;
            if !same {
                return refuse(format!("mitigation {} changes what stays as it was", before.mitigation_id));
            }
        }
        for event in &changes.events {
            if event.report.raw_details.as_ref().is_some_and(|text| text.contains('\0')) {
                return refuse("raw_details contains a NUL character".into());
            }
            if self.events.iter().any(|other| other.event_id == event.event_id) {
                return refuse(format!("event {} exists", event.event_id));
            }
        }
        for entry in &changes.audit {
            let texts = [&entry.actor.id, &entry.target_id, &entry.target_type];
            if entry.action.contains('\0') || texts.into_iter().flatten().any(|text| text.contains('\0')) {
                return refuse("an audit entry contains a NUL character".into());
            }
        }
        for (key, reply) in &changes.replies {
            let lapsed = reply.created_at - IdempotencyRecord::KEPT;
            if self.replies.get(key).is_some_and(|stored| stored.created_at > lapsed) {
                return Err(StoreError::Conflict("the reply is stored already".into()));
            }
        }
        Ok(())
    }

    /// The panic scopes that are not thawed, oldest first.
    pub(super) fn frozen(&self) -> Vec<PanicScope> {
        let mut frozen: Vec<PanicScope> =
            self.panic.values().filter(|scope| scope.thawed.is_none()).cloned().collect();
        frozen.sort_by_key(|scope| (scope.started_at, scope.panic_id));
        frozen
    }

    /// Seals up to `limit` entries of a pop.
    pub(super) fn seal(&mut self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError> {
        let open = self.audit.iter_mut().filter(|(of, entry)| of == pop && entry.seal.is_none());
        let entries = open.map(|(_, entry)| entry).take(limit as usize).collect();
        self.shared.seal(pop, entries, leader)
    }

    fn store_rest(&mut self, reads: &ReadSet, changes: ChangeSet) {
        for mut event in changes.events {
            event.ingested_at = event.ingested_at.trunc_subsecs(6);
            self.events.push(event);
        }
        for mut entry in changes.audit {
            entry.timestamp = entry.timestamp.trunc_subsecs(6);
            self.audit.push((reads.pop.clone(), entry));
        }
        self.access.apply(changes.access);
        self.signals.put(changes.corroborations);
        self.panic.extend(changes.panic_put.into_iter().map(|scope| (scope.panic_id, scope)));
        for (episode, ended_at) in changes.ends {
            let latest = self.ends.get(&episode).map_or(ended_at, |(known, _)| ended_at.max(*known));
            self.ends.insert(episode, (latest, reads.now));
        }
        self.replies.extend(changes.replies);
        if changes.safelist_put.is_empty() && changes.safelist_remove.is_empty() {
            return;
        }
        let mut entries = self.safelist.entries.to_vec();
        entries.retain(|entry| {
            !changes.safelist_remove.contains(&entry.prefix)
                && changes.safelist_put.iter().all(|put| put.prefix != entry.prefix)
        });
        entries.extend(changes.safelist_put);
        entries.sort_by_key(|entry| entry.prefix.to_string());
        self.safelist = Safelist { revision: self.safelist.revision + 1, entries: Arc::new(entries) };
    }

    pub(super) fn unfinished(&self, pop: &Pop) -> Vec<Mitigation> {
        self.mitigations.values().filter(|row| row.pop == *pop && !row.status.is_final()).cloned().collect()
    }

    pub(super) fn prune(&mut self, retention: &Retention, limit: u32) -> u64 {
        let limit = u64::from(limit);
        let mut left = limit;
        let mut kinds = 6;
        // each kind gets the same share, and what one does not use is left to those after it
        let mut share = |gone: u64| {
            left -= gone;
            kinds -= 1;
            left.div_ceil(kinds.max(1))
        };
        let is_old = |at: DateTime<Utc>, before: Option<DateTime<Utc>>| before.is_some_and(|time| at < time);
        let first = limit.div_ceil(6);
        let gone =
            remove(&mut self.replies, first, |reply| is_old(reply.created_at, retention.replies_before));
        let gone =
            remove(&mut self.ends, share(gone), |(_, noted_at)| is_old(*noted_at, retention.events_before));
        let mitigations = &self.mitigations;
        let is_held = |group: &SignalGroup| {
            let row = group.mitigation_id.and_then(|id| mitigations.get(&id));
            group.status == GroupStatus::Open || row.is_some_and(|row| !row.status.is_final())
        };
        let Signals { groups, corroborations } = &mut self.signals;
        let gone = remove(groups, share(gone), |group| {
            is_old(group.window_ends_at, retention.groups_before) && !is_held(group)
        });
        let gone = remove(corroborations, share(gone), |row| {
            is_old(row.expires_at, retention.corroborations_before)
        });
        let gone = remove(&mut self.mitigations, share(gone), |row| {
            row.status.is_final() && is_old(closed_at(row), retention.mitigations_before)
        });
        let mitigations = &self.mitigations;
        let is_needed = |event: &Event| {
            let row = event.mitigation_id.and_then(|id| mitigations.get(&id));
            row.is_some_and(|row| !row.status.is_final())
        };
        let most = share(gone);
        let before = self.events.len();
        let mut gone = 0;
        self.events.retain(|event| {
            let goes = gone < most && is_old(event.ingested_at, retention.events_before) && !is_needed(event);
            gone += u64::from(goes);
            !goes
        });
        share((before - self.events.len()) as u64);
        limit - left
    }
}

/// Removes what is meant, at most so much of it; returns how much.
fn remove<M: Kept>(map: &mut M, most: u64, is_meant: impl Fn(&M::Value) -> bool) -> u64 {
    let mut gone = 0;
    map.keep(|value| {
        let goes = gone < most && is_meant(value);
        gone += u64::from(goes);
        !goes
    });
    gone
}

/// A map of either kind.
trait Kept {
    type Value;

    fn keep(&mut self, keep: impl FnMut(&Self::Value) -> bool);
}

impl<K: Ord, V> Kept for BTreeMap<K, V> {
    type Value = V;

    fn keep(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.retain(|_, value| keep(value));
    }
}

impl<K: std::hash::Hash + Eq, V> Kept for HashMap<K, V> {
    type Value = V;

    fn keep(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.retain(|_, value| keep(value));
    }
}

fn is_of_victim(row: &Mitigation, reads: &ReadSet) -> bool {
    if !reads.victims.contains(&row.victim_ip) {
        return false;
    }
    match row.status {
        Status::Rejected => closed_at(row) >= reads.rejected_since,
        status if status.is_final() => closed_at(row) >= reads.recent_since,
        _ => true,
    }
}

fn is_of_route(row: &Mitigation, reads: &ReadSet) -> bool {
    !row.status.is_final() && row.key().is_some_and(|key| reads.routes.contains(&key))
}
