//! A corroborating signal is taken: it joins what it is about, and may complete a quorum.

use std::collections::BTreeSet;

use prefix_core::address::VictimIp;
use prefix_core::ports::ReadSet;
use prefix_core::signal::Corroboration;
use prefix_policy::use_cases::{CorroborationTaken, UnitOfWork, corroborate};

use super::repeatable::Repeatable;
use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};

/// Takes a corroborating signal.
pub(crate) struct Corroborate {
    pub(crate) signal: Corroboration,
    /// The victims whose facts are read.
    pub(crate) victims: BTreeSet<VictimIp>,
    pub(crate) caller: Caller,
}

impl Command for Corroborate {
    type Output = CorroborationTaken;

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.admission = true;
        reads.open_groups = true;
        self.victims.iter().for_each(|victim| context.read_victim(*victim, reads));
        // groups that mitigations stand on can be joined, too
        for row in context.intents.rows() {
            if let Some(correlation) = &row.correlation
                && context.policy.may_corroborate(&self.signal, &row, &reads.pop)
            {
                reads.mitigations.insert(row.mitigation_id);
                reads.groups.insert(correlation.signal_group_id);
            }
        }
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> CorroborationTaken {
        // it is received when it takes effect, as reports are: then a record tells what came first
        let mut signal = self.signal.clone();
        signal.received_at = uow.now;
        signal.expires_at = uow.now + uow.policy.parts().correlation.window();
        corroborate(uow, signal, &self.caller.author(), |victim| self.victims.contains(&victim))
    }
}

impl Repeatable for Corroborate {
    fn encode(taken: &CorroborationTaken) -> Option<serde_json::Result<String>> {
        Some(serde_json::to_string(taken))
    }

    fn decode(stored: &str) -> serde_json::Result<CorroborationTaken> {
        serde_json::from_str(stored)
    }
}
