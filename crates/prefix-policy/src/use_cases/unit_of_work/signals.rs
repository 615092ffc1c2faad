//! The signal groups of a unit of work, and the corroborating signals that wait for further ones.

use std::collections::HashMap;

use prefix_core::address::VictimIp;
use prefix_core::id::{GroupId, SignalId};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::VectorName;
use prefix_core::signal::{Corroboration, GroupStatus, SignalGroup};

use super::UnitOfWork;
use super::tracked::Tracked;
use crate::use_cases::corroborate::MOST_NAMED;
use crate::use_cases::groups::close_group;

pub(super) fn by_victim(groups: &[SignalGroup]) -> HashMap<VictimIp, Vec<GroupId>> {
    let mut by_victim: HashMap<VictimIp, Vec<GroupId>> = HashMap::new();
    for group in groups {
        by_victim.entry(group.victim_ip).or_default().push(group.group_id);
    }
    by_victim
}

impl UnitOfWork<'_> {
    /// A signal group that was asked for or made here.
    pub(in crate::use_cases) fn group(&self, id: GroupId) -> Option<&SignalGroup> {
        self.groups.get(&id).map(|tracked| &tracked.row)
    }

    /// The signal groups of this pop that can be joined, oldest first.
    pub(in crate::use_cases) fn all_living_groups(&self) -> Vec<GroupId> {
        let own = self.groups.values().map(|tracked| &tracked.row).filter(|group| group.pop == *self.pop);
        own.filter(|group| self.is_living(group)).map(|group| group.group_id).collect()
    }

    /// Those of a victim.
    pub(in crate::use_cases) fn living_groups(&self, victim: VictimIp) -> Vec<GroupId> {
        let ids = self.groups_by_victim.get(&victim).into_iter().flatten();
        let own = ids.filter_map(|id| self.group(*id)).filter(|group| group.pop == *self.pop);
        own.filter(|group| self.is_living(group)).map(|group| group.group_id).collect()
    }

    /// The signal group that a report of this attack joins: one that a mitigation stands on comes first.
    pub(in crate::use_cases) fn living_group(
        &self,
        victim: VictimIp,
        vector: &VectorName,
    ) -> Option<&SignalGroup> {
        let ids = self.living_groups(victim).into_iter();
        let groups = ids.filter_map(|id| self.group(id)).filter(|group| group.vector == *vector);
        groups.max_by_key(|group| (group.status == GroupStatus::Resolved, group.group_id))
    }

    /// True while its window runs or a mitigation stands on it that is queued or lives.
    fn is_living(&self, group: &SignalGroup) -> bool {
        let stands = |row: &Mitigation| {
            row.status.claims_rule()
                && row.expires_at > self.now
                && row.correlation.as_ref().is_some_and(|known| known.signal_group_id == group.group_id)
        };
        group.is_open(self.now) || (group.met && !self.of_victim(group.victim_ip, stands).is_empty())
    }

    pub(in crate::use_cases) fn insert_group(&mut self, group: SignalGroup) {
        self.groups_by_victim.entry(group.victim_ip).or_default().push(group.group_id);
        self.groups.insert(group.group_id, Tracked::new(group));
    }

    pub(in crate::use_cases) fn edit_group(&mut self, id: GroupId, change: impl FnOnce(&mut SignalGroup)) {
        if let Some(tracked) = self.groups.get_mut(&id) {
            change(tracked.touch(self.stores));
        }
    }

    /// Ends groups of this attack whose window is over, which otherwise happens a timer later.
    pub(in crate::use_cases) fn close_overdue_groups(&mut self, victim: VictimIp, vector: &VectorName) {
        let overdue = |group: &SignalGroup| {
            group.status == GroupStatus::Open && group.victim_ip == victim && group.vector == *vector
        };
        let ids = self.groups_by_victim.get(&victim).into_iter().flatten();
        let ids: Vec<GroupId> = ids.copied().filter(|id| self.group(*id).is_some_and(overdue)).collect();
        for id in ids {
            close_group(self, id);
        }
    }

    /// The corroborating signals that wait for groups yet to come, oldest first.
    pub(in crate::use_cases) fn corroborations(&self) -> impl Iterator<Item = &Corroboration> {
        self.corroborations.values().map(|tracked| &tracked.row)
    }

    /// A corroborating signal joined a group.
    pub(in crate::use_cases) fn note_attached(&mut self, signal: SignalId, group: GroupId) {
        // that it was needed is known; a signal that many groups share is not written anew for each of them
        let tracked = self.corroborations.get_mut(&signal);
        if let Some(tracked) = tracked.filter(|tracked| tracked.row.attached.len() < MOST_NAMED) {
            tracked.touch(self.stores).attached.insert(group);
        }
    }

    /// Keeps a corroborating signal.
    pub(in crate::use_cases) fn put_corroboration(&mut self, signal: Corroboration) {
        self.corroborations.insert(signal.signal_id, Tracked::new(signal));
    }
}
