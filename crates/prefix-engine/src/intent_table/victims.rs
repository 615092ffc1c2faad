//! The rows of victims: those of one address, the carpets over it, and where a source reports an episode.

use std::sync::Arc;

use prefix_core::address::VictimIp;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{CarpetVictim, Mitigation};
use prefix_core::name::{ExternalEventId, SourceName};

use super::IntentTable;

impl IntentTable {
    /// The carpets over an address.
    pub(crate) fn carpets_over(&self, victim: VictimIp) -> Vec<MitigationId> {
        let state = self.state.lock();
        let carpets = state.rows.carpets.iter().filter_map(|id| state.rows.by_id.get(id));
        let over = carpets.filter(|row| row.matching.dst_prefix.contains(victim));
        over.map(|row| row.mitigation_id).collect()
    }

    /// True if there is any carpet.
    pub(crate) fn has_carpets(&self) -> bool {
        !self.state.lock().rows.carpets.is_empty()
    }

    /// The living rows to be compared with a row: those of its victim, or, of a carpet, of every host inside.
    pub(crate) fn living_beside(&self, row: &Mitigation) -> Vec<Arc<Mitigation>> {
        if row.carpet.is_none() {
            return self.living_of(row.victim_ip);
        }
        let state = self.state.lock();
        let inside =
            |other: &&Arc<Mitigation>| other.lives() && row.matching.dst_prefix.contains(other.victim_ip);
        state.rows.by_id.values().filter(inside).cloned().collect()
    }

    /// The victims for which a source claims an episode.
    pub(crate) fn victims_of_episode(&self, source: &SourceName, id: &ExternalEventId) -> Vec<VictimIp> {
        let state = self.state.lock();
        let mut victims: Vec<VictimIp> = Vec::new();
        for row in state.rows.claiming(source, id) {
            let Some(carpet) = &row.carpet else {
                victims.push(row.victim_ip);
                continue;
            };
            let claims = |victim: &CarpetVictim| {
                victim.leases.iter().any(|lease| lease.source == *source && lease.claims_episode(id))
            };
            let of_source = carpet.victims.iter().filter(|(_, victim)| claims(victim));
            victims.extend(of_source.map(|(prefix, _)| VictimIp::from(prefix.network())));
        }
        victims.sort();
        victims.dedup();
        victims
    }
}
