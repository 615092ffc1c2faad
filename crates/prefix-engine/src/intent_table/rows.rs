//! The rows by identifier, route and victim, and the last revisions of those that ended lately.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use prefix_core::address::VictimIp;
use prefix_core::decision::Decision;
use prefix_core::flowspec::RouteKey;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::{ExternalEventId, SourceName};
use prefix_core::ports::ReadSet;

use super::route_keys;

/// So many rows that ended are remembered: many more than can end while one answer of storage is under way.
const REMEMBERED: usize = 10_000;

/// The unfinished rows with their indexes.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) by_id: HashMap<MitigationId, Arc<Mitigation>>,
    pub(super) by_key: HashMap<RouteKey, Vec<MitigationId>>,
    by_victim: HashMap<VictimIp, Vec<MitigationId>>,
    /// By source and episode.
    by_claim: HashMap<(SourceName, ExternalEventId), Vec<MitigationId>>,
    pub(super) queued: u64,
    /// Those that stand for a whole prefix.
    pub(super) carpets: BTreeSet<MitigationId>,
    /// How many routes more than one row names.
    shared: usize,
    /// The last revisions of rows that ended lately: an older state that was read meanwhile must not bring one back.
    ended: HashMap<MitigationId, i64>,
    ended_in_order: VecDeque<MitigationId>,
}

impl Rows {
    /// The rows that name a route.
    pub(super) fn of_route(&self, key: &RouteKey) -> impl Iterator<Item = &Arc<Mitigation>> {
        self.by_key.get(key).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    pub(super) fn of_victim(&self, victim: VictimIp) -> impl Iterator<Item = &Arc<Mitigation>> {
        self.by_victim.get(&victim).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    /// The rows on which a source claims an episode.
    pub(super) fn claiming(
        &self,
        source: &SourceName,
        id: &ExternalEventId,
    ) -> impl Iterator<Item = &Arc<Mitigation>> {
        let ids = self.by_claim.get(&(source.clone(), id.clone()));
        ids.into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    /// True if a newer revision of this row is known.
    pub(super) fn is_outdated(&self, row: &Mitigation) -> bool {
        let held = self.by_id.get(&row.mitigation_id).map(|held| held.revision);
        let known = held.max(self.ended.get(&row.mitigation_id).copied());
        known.is_some_and(|revision| revision > row.revision)
    }

    /// Notes the revision of a row that ended.
    pub(super) fn remember_end(&mut self, row: &Mitigation) {
        if self.ended.insert(row.mitigation_id, row.revision).is_none() {
            self.ended_in_order.push_back(row.mitigation_id);
            if self.ended_in_order.len() > REMEMBERED
                && let Some(oldest) = self.ended_in_order.pop_front()
            {
                self.ended.remove(&oldest);
            }
        }
    }

    /// Adds an unfinished row that is not there.
    pub(super) fn insert(&mut self, mut row: Mitigation) {
        // explanations are read from the store; kept here they would be most of the memory
        row.decision = Decision::open();
        let id = row.mitigation_id;
        for key in route_keys(&row) {
            let ids = self.by_key.entry(key).or_default();
            ids.push(id);
            self.shared += usize::from(ids.len() == 2);
        }
        self.by_victim.entry(row.victim_ip).or_default().push(id);
        for claim in claims(&row) {
            self.by_claim.entry(claim).or_default().push(id);
        }
        self.queued += u64::from(row.status == Status::Queued);
        self.carpets.extend(row.carpet.is_some().then_some(id));
        self.by_id.insert(id, Arc::new(row));
    }

    pub(super) fn remove(&mut self, id: MitigationId) -> Option<Arc<Mitigation>> {
        let row = self.by_id.remove(&id)?;
        for key in route_keys(&row) {
            let was_shared = self.by_key.get(&key).is_some_and(|ids| ids.len() > 1);
            unlink(&mut self.by_key, &key, id);
            let is_shared = self.by_key.get(&key).is_some_and(|ids| ids.len() > 1);
            self.shared -= usize::from(was_shared && !is_shared);
        }
        unlink(&mut self.by_victim, &row.victim_ip, id);
        for claim in claims(&row) {
            unlink(&mut self.by_claim, &claim, id);
        }
        self.queued -= u64::from(row.status == Status::Queued);
        self.carpets.remove(&id);
        Some(row)
    }

    /// Adds to what a unit of work reads the rows that share a rule with one that it reads.
    pub(super) fn read_sharers(&self, reads: &mut ReadSet) {
        if self.shared == 0 {
            return;
        }
        let of_victims = reads.victims.iter().flat_map(|victim| self.of_victim(*victim));
        let named = reads.mitigations.iter().filter_map(|id| self.by_id.get(id));
        let keys = of_victims.chain(named).flat_map(|row| route_keys(row));
        let sharers: Vec<MitigationId> = keys
            .filter_map(|key| self.by_key.get(&key))
            .filter(|ids| ids.len() > 1)
            .flatten()
            .copied()
            .collect();
        reads.mitigations.extend(sharers);
    }

    /// Forgets what ended: storage may know nothing of it.
    pub(super) fn forget_ended(&mut self) {
        self.ended.clear();
        self.ended_in_order.clear();
    }

    /// Removes every row and returns them. What ended stays remembered.
    pub(super) fn clear(&mut self) -> HashMap<MitigationId, Arc<Mitigation>> {
        self.by_key.clear();
        self.by_victim.clear();
        self.by_claim.clear();
        self.queued = 0;
        self.carpets.clear();
        self.shared = 0;
        std::mem::take(&mut self.by_id)
    }
}

/// The episodes that the sources of a row claim.
fn claims(row: &Mitigation) -> impl Iterator<Item = (SourceName, ExternalEventId)> {
    // what a carpet shows as leases are sums without episodes
    let of_victims = row.carpet.iter().flat_map(|carpet| carpet.leases());
    row.leases.iter().chain(of_victims).flat_map(|lease| {
        let ids = lease.claims.iter().filter_map(|claim| claim.event_id.clone());
        ids.map(|id| (lease.source.clone(), id))
    })
}

/// Removes one identifier from an index, and the entry if it was the last.
fn unlink<K: Eq + std::hash::Hash>(index: &mut HashMap<K, Vec<MitigationId>>, key: &K, id: MitigationId) {
    if let Some(ids) = index.get_mut(key) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}
