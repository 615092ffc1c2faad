//! Carpets in a simulation: looked at each second while there is something to look at.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use prefix_core::address::VictimIp;
use prefix_core::mitigation::Mitigation;
use prefix_core::speakers::Speakers;

use super::Simulation;
use super::event_queue::{Timer, next_second};
use super::outcome::Simulated;
use crate::use_cases::{CarpetArea, tend_carpet};

/// What a quota, the rate of new rules or a quiet period refused is tried again after this time, as in the daemon.
const SOON: TimeDelta = TimeDelta::seconds(3);
/// What any other guardrail refused.
const LATER: TimeDelta = TimeDelta::seconds(60);

impl Simulation {
    pub(super) fn tend_carpets(&mut self, sink: &mut dyn FnMut(Simulated)) {
        let (policy, now) = (self.start.policy.clone(), self.now);
        self.refused.retain(|_, until| *until > now);
        let areas = {
            let rows: Vec<&Mitigation> = self.state.unfinished().collect();
            policy.carpets_due(&rows, Speakers::one(), now)
        };
        for area in areas.into_iter().filter(|area| !self.refused.contains_key(area)).collect::<Vec<_>>() {
            let victims = self.concerned(&area);
            let refusal = self.in_unit_of_work_on(&victims, sink, |uow| tend_carpet(uow, &area));
            if let Some(refusal) = refusal {
                let rest = if refusal.guardrail.is_temporary() { SOON } else { LATER };
                self.refused.insert(area, now + rest);
            }
            victims.into_iter().for_each(|victim| self.look_at(victim, true));
        }
        let next = self.refused.values().min().copied().unwrap_or(now).max(next_second(now));
        if self.state.has_carpets() {
            self.event_queue.plan(Timer::Carpets, next_second(now));
        } else if !self.refused.is_empty() {
            self.event_queue.plan(Timer::Carpets, next);
        }
    }

    /// Every victim about which something is looked at in an area.
    fn concerned(&self, area: &CarpetArea) -> Vec<VictimIp> {
        let network = VictimIp::from(area.prefix.network());
        let mut victims: BTreeSet<VictimIp> =
            self.state.around(network, &self.start.policy).into_iter().collect();
        for row in self.state.unfinished().filter(|row| area.prefix.contains(row.victim_ip)) {
            victims.insert(row.victim_ip);
            let hosts = row.carpet.iter().flat_map(|carpet| carpet.all_hosts());
            victims.extend(hosts);
        }
        victims.into_iter().collect()
    }
}
