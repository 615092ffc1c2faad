//! When rows expire, and when not-after times are to be renewed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use prefix_core::flowspec::RouteKey;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::speakers::SpeakerId;

use super::{IntentTable, State, route_keys};

/// Rows, or paths, by the time at which something is due.
type Due<T> = BTreeSet<(DateTime<Utc>, T)>;

/// The path of a row at one speaker.
type AtSpeaker = (MitigationId, SpeakerId);

/// Deadlines and renewals.
#[derive(Default)]
pub(super) struct Schedule {
    deadlines: Due<MitigationId>,
    /// Each speaker renews by what it has confirmed: one that cannot be reached holds up none of the others.
    renewals: Due<AtSpeaker>,
    renew_at: HashMap<AtSpeaker, DateTime<Utc>>,
    /// Rows whose end is being written: each once, however often it is found to be due.
    expiring: HashSet<MitigationId>,
    /// Rows whose end was passed on to the speaker, and which end that was.
    pub(super) over: HashMap<MitigationId, DateTime<Utc>>,
}

impl Schedule {
    /// Removes every deadline and renewal.
    pub(super) fn clear(&mut self) {
        self.deadlines.clear();
        self.renewals.clear();
        self.renew_at.clear();
    }

    pub(super) fn clear_renewals(&mut self, of: SpeakerId) {
        self.renewals.retain(|(_, (_, speaker))| *speaker != of);
        self.renew_at.retain(|(_, speaker), _| *speaker != of);
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

fn take_due<T: Ord>(due: &mut Due<T>, now: DateTime<Utc>, limit: usize) -> Vec<T> {
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
        let (deadline, renewal) = (deadlines.first().map(|(at, _)| *at), renewals.first().map(|(at, _)| *at));
        deadline.into_iter().chain(renewal).min()
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

    /// Takes the routes whose not-after time is to be renewed off the list, for each speaker.
    pub(crate) fn take_renewals(&self, now: DateTime<Utc>) -> BTreeMap<SpeakerId, Vec<RouteKey>> {
        let mut state = self.state.lock();
        let State { rows, schedule, .. } = &mut *state;
        let mut keys: BTreeMap<SpeakerId, Vec<RouteKey>> = BTreeMap::new();
        for path in take_due(&mut schedule.renewals, now, usize::MAX) {
            schedule.renew_at.remove(&path);
            let (id, speaker) = path;
            keys.entry(speaker)
                .or_default()
                .extend(rows.by_id.get(&id).into_iter().flat_map(|row| route_keys(row)));
        }
        keys
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
    fn former_time(&self, speaker: SpeakerId, row: &Mitigation) -> Option<DateTime<Utc>> {
        let former = row.progress.former.as_ref().filter(|_| row.lives())?;
        Some(self.rib(speaker).confirmed(&former.key()?)?.tags.not_after.time())
    }

    /// Half of the step's TTL before the not-after time that this speaker announces, if the row lasts longer than that.
    pub(super) fn renewal_time(&self, speaker: SpeakerId, row: &Mitigation) -> Option<DateTime<Utc>> {
        let announced = self.rib(speaker).confirmed(&row.key()?)?.tags.not_after.time();
        let lasts = row.lives() && !row.dry_run && row.expires_at > announced;
        lasts.then(|| announced - row.ttl.delta() / 2)
    }

    /// Plans the next renewals of a row anew, at every speaker.
    pub(super) fn plan_renewal(&mut self, id: MitigationId) {
        self.speakers.ids().for_each(|speaker| self.plan_renewal_at(speaker, id));
    }

    fn plan_renewal_at(&mut self, speaker: SpeakerId, id: MitigationId) {
        let path = (id, speaker);
        if let Some(at) = self.schedule.renew_at.remove(&path) {
            self.schedule.renewals.remove(&(at, path));
        }
        let times = |row| self.renewal_time(speaker, row).into_iter().chain(self.former_time(speaker, row));
        if let Some(at) = self.rows.by_id.get(&id).and_then(|row| times(row).min()) {
            self.schedule.renewals.insert((at, path));
            self.schedule.renew_at.insert(path, at);
        }
    }

    /// Plans the next renewals of the rows that name a route anew.
    pub(super) fn plan_renewals(&mut self, speaker: SpeakerId, key: &RouteKey) {
        let ids: Vec<MitigationId> = self.rows.of_route(key).map(|row| row.mitigation_id).collect();
        for id in ids {
            self.plan_renewal_at(speaker, id);
        }
    }
}
