//! When rows expire, and when not-after times are to be renewed.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use prefix_core::flowspec::RouteKey;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Status};

use super::{IntentTable, State, route_keys};

/// Rows by the time at which something is due.
type Due = BTreeSet<(DateTime<Utc>, MitigationId)>;

/// Deadlines and renewals.
#[derive(Default)]
pub(super) struct Schedule {
    deadlines: Due,
    renewals: Due,
    renew_at: HashMap<MitigationId, DateTime<Utc>>,
    /// Rows whose end is being written: each once, however often it is found to be due.
    expiring: HashSet<MitigationId>,
    /// Rows whose end was passed on to the speaker, and which end that was.
    pub(super) over: HashMap<MitigationId, DateTime<Utc>>,
}

impl Schedule {
    /// Removes every deadline and renewal.
    pub(super) fn clear(&mut self) {
        self.deadlines.clear();
        self.clear_renewals();
    }

    pub(super) fn clear_renewals(&mut self) {
        self.renewals.clear();
        self.renew_at.clear();
    }

    pub(super) fn add_deadline(&mut self, row: &Mitigation) {
        if row.lives() || row.status == Status::Queued {
            self.deadlines.insert((row.expires_at, row.mitigation_id));
        }
    }

    pub(super) fn remove_deadline(&mut self, row: &Mitigation) {
        self.deadlines.remove(&(row.expires_at, row.mitigation_id));
    }
}

fn take_due(due: &mut Due, now: DateTime<Utc>, limit: usize) -> Vec<MitigationId> {
    let mut ids = Vec::new();
    while ids.len() < limit && due.first().is_some_and(|(at, _)| *at <= now) {
        ids.extend(due.pop_first().map(|(_, id)| id));
    }
    ids
}

impl IntentTable {
    /// The next time at which a row expires or a not-after time is to be renewed.
    pub(crate) fn next_deadline(&self) -> Option<DateTime<Utc>> {
        let Schedule { deadlines, renewals, .. } = &self.state.lock().schedule;
        [deadlines, renewals].into_iter().filter_map(|due| due.first().map(|(at, _)| *at)).min()
    }

    /// Takes up to `limit` rows whose time is over off the list of deadlines. Also returns the routes of those that are
    /// taken for the first time: those of the others were passed on already.
    pub(crate) fn take_expired(
        &self,
        now: DateTime<Utc>,
        limit: usize,
    ) -> (Vec<MitigationId>, Vec<RouteKey>) {
        let mut state = self.state.lock();
        let State { rows, schedule, .. } = &mut *state;
        let mut ids = take_due(&mut schedule.deadlines, now, limit);
        let mut keys = Vec::new();
        for row in ids.iter().filter_map(|id| rows.by_id.get(id)) {
            if schedule.over.insert(row.mitigation_id, row.expires_at) != Some(row.expires_at) {
                keys.extend(row.key());
            }
        }
        ids.retain(|id| schedule.expiring.insert(*id));
        (ids, keys)
    }

    /// Takes the routes whose not-after time is to be renewed off the list.
    pub(crate) fn take_renewals(&self, now: DateTime<Utc>) -> Vec<RouteKey> {
        let mut state = self.state.lock();
        let State { rows, schedule, .. } = &mut *state;
        let ids = take_due(&mut schedule.renewals, now, usize::MAX);
        for id in &ids {
            schedule.renew_at.remove(id);
        }
        ids.into_iter().filter_map(|id| rows.by_id.get(&id)).flat_map(|row| route_keys(row)).collect()
    }

    /// The end of a row was written, or not: one that still claims its rule gets its deadline back, at the earliest at
    /// `at` if it is over. That happens when storage failed, and when the clock was set back meanwhile.
    pub(crate) fn expire_ended(&self, id: MitigationId, now: DateTime<Utc>, at: DateTime<Utc>) {
        let mut state = self.state.lock();
        let State { rows, schedule, .. } = &mut *state;
        schedule.expiring.remove(&id);
        let end = rows.by_id.get(&id).filter(|row| row.status.claims_rule()).map(|row| row.expires_at);
        if end.is_none_or(|end| end > now) {
            schedule.over.remove(&id);
        }
        if let Some(end) = end {
            schedule.deadlines.insert((if end > now { end } else { at }, id));
        }
        self.deadline_moved.notify_one();
    }
}

impl State {
    /// When the route of a former rule is due again: at its not-after time.
    fn former_time(&self, row: &Mitigation) -> Option<DateTime<Utc>> {
        let former = row.progress.former.as_ref().filter(|_| row.lives())?;
        Some(self.adj_rib_out.confirmed(&former.key()?)?.tags.not_after.time())
    }

    /// Half of the step's TTL before the announced not-after time, if the row lasts longer than that.
    pub(super) fn renewal_time(&self, row: &Mitigation) -> Option<DateTime<Utc>> {
        let announced = self.adj_rib_out.confirmed(&row.key()?)?.tags.not_after.time();
        let lasts = row.lives() && !row.dry_run && row.expires_at > announced;
        lasts.then(|| announced - row.ttl.delta() / 2)
    }

    /// Plans the next renewal of a row anew.
    pub(super) fn plan_renewal(&mut self, id: MitigationId) {
        if let Some(at) = self.schedule.renew_at.remove(&id) {
            self.schedule.renewals.remove(&(at, id));
        }
        let row = self.rows.by_id.get(&id);
        if let Some(at) =
            row.and_then(|row| self.renewal_time(row).into_iter().chain(self.former_time(row)).min())
        {
            self.schedule.renewals.insert((at, id));
            self.schedule.renew_at.insert(id, at);
        }
    }

    /// Plans the next renewals of the rows that name a route anew.
    pub(super) fn plan_renewals(&mut self, key: &RouteKey) {
        let ids: Vec<MitigationId> = self.rows.of_route(key).map(|row| row.mitigation_id).collect();
        for id in ids {
            self.plan_renewal(id);
        }
    }
}
