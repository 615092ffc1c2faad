//! The carpets of a simulation: which victims are facts about each other.

use prefix_core::address::VictimIp;
use prefix_core::mitigation::Mitigation;

use super::SimulationState;
use crate::policy::Policy;

impl SimulationState {
    /// What is a fact about a victim: itself first, and the first address of every carpet that is over it, or may have been.
    pub(in crate::simulation) fn around(&self, victim: VictimIp, policy: &Policy) -> Vec<VictimIp> {
        let mut all = vec![victim];
        let over = self.carpets.values().filter(|prefix| prefix.contains(victim));
        let over = over.map(|prefix| VictimIp::from(prefix.network()));
        for around in policy.carpets_around(victim).into_iter().chain(over) {
            if !all.contains(&around) {
                all.push(around);
            }
        }
        all
    }

    /// True if there is any carpet.
    pub(in crate::simulation) fn has_carpets(&self) -> bool {
        !self.carpets.is_empty()
    }

    /// Every row that has not ended.
    pub(in crate::simulation) fn unfinished(&self) -> impl Iterator<Item = &Mitigation> {
        let rows = self.victims.values().flat_map(|known| known.rows.iter());
        rows.filter(|row| !row.status.is_final())
    }
}
