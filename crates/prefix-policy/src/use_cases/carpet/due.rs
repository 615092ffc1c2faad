//! Where a carpet is due, seen from the rows that an instance has in memory: cheap, and repeated each second.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use prefix_core::address::{Prefix, VictimIp};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Mitigation;
use prefix_core::speakers::Speakers;

use super::give_back::is_due;
use super::{CarpetArea, knows, stands};
use crate::decide::HostSet;
use crate::policy::Policy;

impl Policy {
    /// Whether there can be carpets at all, with what was made by an earlier policy.
    fn knows_carpets(&self, rows: &[&Mitigation]) -> bool {
        !self.parts().playbooks.carpets().is_empty() || rows.iter().any(|row| row.carpet.is_some())
    }

    /// The areas among the unfinished rows of a pop where something is due.
    pub fn carpets_due(
        &self,
        rows: &[&Mitigation],
        speakers: &Speakers,
        now: DateTime<Utc>,
    ) -> Vec<CarpetArea> {
        if !self.knows_carpets(rows) {
            return Vec::new();
        }
        let mut found: BTreeSet<CarpetArea> = BTreeSet::new();
        let carpets: Vec<&Mitigation> = rows
            .iter()
            .copied()
            .filter(|row| row.carpet.is_some() && row.lives() && row.expires_at > now)
            .collect();
        let mut companions: HashMap<MitigationId, Vec<&Mitigation>> = HashMap::new();
        for row in rows.iter().filter(|row| row.status.claims_rule()) {
            row.parent_id.into_iter().for_each(|parent| companions.entry(parent).or_default().push(row));
        }
        for carpet in &carpets {
            let area = CarpetArea { prefix: carpet.matching.dst_prefix, vector: carpet.vector.clone() };
            let is_returning = carpet.carpet.as_ref().is_some_and(|known| known.returning);
            let has_work = || {
                stands(carpet, speakers)
                    && rows
                        .iter()
                        .any(|row| area.wants(row, now) && takes_in(carpet, row, &area, &companions))
            };
            if is_returning || is_due(carpet, now) || has_work() {
                found.insert(area);
            }
        }
        found.extend(self.enough_victims(rows, &carpets, now));
        found.into_iter().collect()
    }

    /// The areas without a carpet in which enough different victims are wanted.
    fn enough_victims(
        &self,
        rows: &[&Mitigation],
        carpets: &[&Mitigation],
        now: DateTime<Utc>,
    ) -> Vec<CarpetArea> {
        let mut victims: BTreeMap<CarpetArea, (u32, BTreeSet<VictimIp>)> = BTreeMap::new();
        if self.parts().playbooks.carpets().is_empty() {
            return Vec::new();
        }
        for row in rows {
            let Some(customer) = &row.customer_id else { continue };
            for vector in row.vectors() {
                let Some((entry, len)) = self.carpet_entry(vector, customer, row.victim_ip.family()) else {
                    continue;
                };
                let Ok(prefix) = Prefix::truncated(row.victim_ip.ip(), len) else { continue };
                let area = CarpetArea { prefix, vector: vector.clone() };
                if area.wants(row, now) {
                    let (_, known) =
                        victims.entry(area).or_insert_with(|| (entry.min_victims, BTreeSet::new()));
                    known.insert(row.victim_ip);
                }
            }
        }
        let is_enough = |(least, known): &(u32, BTreeSet<VictimIp>)| {
            known.len() >= usize::try_from(*least).unwrap_or(usize::MAX)
        };
        let is_held = |area: &CarpetArea| {
            carpets.iter().any(|carpet| carpet.is_carpet_over(area.prefix, Some(&area.vector)))
        };
        victims
            .into_iter()
            .filter(|(area, victims)| is_enough(victims) && !is_held(area))
            .map(|(area, _)| area)
            .collect()
    }
}

/// Whether a carpet takes this host rule in, or does not know its victim yet.
fn takes_in(
    carpet: &Mitigation,
    host: &Mitigation,
    area: &CarpetArea,
    companions: &HashMap<MitigationId, Vec<&Mitigation>>,
) -> bool {
    let (Some(route), Some(known)) = (&carpet.route, &carpet.carpet) else { return false };
    if host.customer_id != carpet.customer_id {
        return false;
    }
    let companions = companions.get(&host.mitigation_id).cloned().unwrap_or_default();
    let set = HostSet { main: host, companions };
    !knows(known, host) || set.is_done_by(route, &carpet.action, &area.vector)
}
