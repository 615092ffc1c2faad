//! Carpets are made, take the place of host rules, and give back.

use prefix_core::guardrail::Refusal;
use prefix_core::mitigation::Mitigation;
use prefix_core::ports::ReadSet;
use prefix_policy::use_cases::{CarpetArea, UnitOfWork, tend_carpet};

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};

/// The most areas of one transaction.
pub(crate) const MOST: usize = 16;

/// Does what is due in these areas.
pub(crate) struct TendCarpets(pub(crate) Vec<CarpetArea>);

impl Command for TendCarpets {
    /// What was refused, and where.
    type Output = Vec<(CarpetArea, Refusal)>;

    fn caller(&self) -> Option<&Caller> {
        None
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.admission = true;
        let rows = context.intents.rows();
        for area in &self.0 {
            let network = area.prefix.network().into();
            context.read_victim(network, reads);
            let concerned = |row: &&Mitigation| {
                area.prefix.contains(row.victim_ip)
                    && (row.vector == area.vector || row.is_about(&area.vector))
            };
            for row in rows.iter().map(AsRef::as_ref).filter(concerned) {
                // the facts about each host: it may get its rule back
                reads.mitigations.insert(row.mitigation_id);
                reads.victims.insert(row.victim_ip);
                reads.customers.extend(row.customer_id.clone());
                if row.matching.dst_prefix == area.prefix {
                    context.read_hosts(row, reads);
                }
            }
        }
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Self::Output {
        let tended = self.0.iter().map(|area| (area, tend_carpet(uow, area)));
        tended.filter_map(|(area, refusal)| Some((area.clone(), refusal?))).collect()
    }

    fn weight(&self) -> usize {
        self.0.len() * 16
    }
}
