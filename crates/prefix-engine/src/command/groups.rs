//! Signal groups change because time passes: windows end, and older signals weigh less.

use prefix_core::address::VictimIp;
use prefix_core::id::{GroupId, MitigationId};
use prefix_core::ports::ReadSet;
use prefix_policy::use_cases::{UnitOfWork, act_on_group, close_group, refresh_group};

use crate::caller::Caller;
use crate::commit_queue::{Command, CommandContext};

/// Closes groups whose window is over. What fails is found over again in the next second.
pub(crate) struct CloseGroups(pub(crate) Vec<GroupId>);

impl Command for CloseGroups {
    type Output = ();

    fn caller(&self) -> Option<&Caller> {
        None
    }

    fn reads(&self, _context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.groups.extend(&self.0);
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) {
        self.0.iter().for_each(|id| close_group(uow, *id));
    }

    fn weight(&self) -> usize {
        self.0.len() / 4 + 1
    }
}

fn read_groups(groups: &[(GroupId, VictimIp)], context: &CommandContext<'_>, reads: &mut ReadSet) {
    for (id, victim) in groups {
        reads.groups.insert(*id);
        context.read_victim(*victim, reads);
    }
}

/// Computes the confidence of groups anew. A mean can rise when what was doubtful weighs less, and then it triggers.
pub(crate) struct RefreshGroups(pub(crate) Vec<(GroupId, VictimIp)>);

impl Command for RefreshGroups {
    type Output = ();

    fn caller(&self) -> Option<&Caller> {
        None
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        read_groups(&self.0, context, reads);
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) {
        let caller = Caller::system();
        for (id, _) in &self.0 {
            refresh_group(uow, *id, &caller.author());
        }
    }

    fn weight(&self) -> usize {
        self.0.len()
    }
}

/// Acts on groups that a signal completed while the facts about their victims were not at hand.
pub(crate) struct ActOnGroups {
    pub(crate) groups: Vec<(GroupId, VictimIp)>,
    pub(crate) because: String,
    pub(crate) caller: Caller,
}

impl Command for ActOnGroups {
    /// The mitigations that this made or renewed.
    type Output = Vec<MitigationId>;

    fn caller(&self) -> Option<&Caller> {
        None
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        read_groups(&self.groups, context, reads);
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Self::Output {
        let author = self.caller.author();
        let groups = self.groups.iter();
        groups.filter_map(|(id, _)| act_on_group(uow, *id, &author, &self.because)).collect()
    }

    fn weight(&self) -> usize {
        self.groups.len()
    }
}
