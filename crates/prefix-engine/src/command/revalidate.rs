//! Stored intents are checked against today's policy.

use prefix_core::id::MitigationId;
use prefix_core::ports::ReadSet;
use prefix_policy::use_cases::{UnitOfWork, revalidate};

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};
use crate::engine::PolicyChange;

/// Ends those of these mitigations that no longer pass.
pub(crate) struct Revalidate {
    ids: Vec<MitigationId>,
    caller: Caller,
    conclusion: Option<Conclusion>,
}

/// What changed the policy, written down together with the last of what that withdraws.
pub(crate) struct Conclusion {
    pub(crate) change: PolicyChange,
    /// By whom.
    pub(crate) caller: Caller,
    /// What was withdrawn before.
    pub(crate) earlier: Vec<MitigationId>,
}

impl Revalidate {
    /// A check that the daemon makes by itself.
    pub(crate) fn new(ids: Vec<MitigationId>) -> Self {
        Self::asked_by(Caller::system(), ids)
    }

    /// A check because of what somebody changed.
    pub(crate) fn asked_by(caller: Caller, ids: Vec<MitigationId>) -> Self {
        Self { ids, caller, conclusion: None }
    }

    /// The last check after a change of the policy, with who changed it.
    pub(crate) fn concluding(ids: Vec<MitigationId>, conclusion: Conclusion) -> Self {
        Self { conclusion: Some(conclusion), ..Self::new(ids) }
    }
}

impl Command for Revalidate {
    /// What is withdrawn.
    type Output = Vec<MitigationId>;

    fn caller(&self) -> Option<&Caller> {
        None
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(&self.ids);
        // companions end with their parent, whichever command names them
        for row in context.rows(&self.ids) {
            reads.victims.insert(row.victim_ip);
            context.read_hosts(&row, reads);
        }
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Self::Output {
        let author = self.caller.author();
        let withdrawn: Vec<_> = self.ids.iter().copied().filter(|id| revalidate(uow, *id, &author)).collect();
        if let Some(Conclusion { change, caller, earlier }) = &self.conclusion {
            let all = [earlier.as_slice(), &withdrawn].concat();
            uow.audit(change.clone().entry(uow.now, caller, &all));
        }
        withdrawn
    }

    fn weight(&self) -> usize {
        self.ids.len()
    }
}
