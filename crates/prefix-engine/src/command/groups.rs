//! Signal groups change because time passes: windows end, and older signals weigh less.

use std::sync::Arc;

use prefix_core::id::{GroupId, MitigationId};
use prefix_core::store::{ReadSet, StoreError};
use prefix_policy::use_cases::{self, Author, UnitOfWork};
use tokio::sync::oneshot;

use crate::caller::Caller;
use crate::commit_queue::Command;
use crate::shared::Shared;
use crate::telemetry;

/// Groups whose window may be over.
pub(crate) struct CloseGroups {
    pub(crate) ids: Vec<GroupId>,
}

impl Command for CloseGroups {
    fn reads(&self, _shared: &Shared, reads: &mut ReadSet) {
        reads.groups.extend(self.ids.iter().copied());
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        for id in &self.ids {
            use_cases::close_group(uow, *id);
        }
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, _result: Result<(), StoreError>) {
        // the next second looks again
    }

    fn weight(&self) -> usize {
        self.ids.len() / 4 + 1
    }
}

/// Groups whose confidence is to be computed anew, with their victims.
pub(crate) struct RefreshGroups {
    pub(crate) groups: Vec<(GroupId, prefix_core::address::VictimIp)>,
    refreshed: u64,
}

impl RefreshGroups {
    pub(crate) fn new(groups: Vec<(GroupId, prefix_core::address::VictimIp)>) -> Self {
        Self { groups, refreshed: 0 }
    }
}

impl Command for RefreshGroups {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        // a mean can rise when what was doubtful weighs less, and then it triggers
        reads.admission = true;
        let policy = shared.policy();
        for (id, victim) in &self.groups {
            reads.groups.insert(*id);
            reads.victims.insert(*victim);
            reads.customers.extend(policy.lookup(*victim).map(|owner| owner.customer_id().clone()));
        }
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        let caller = Caller::system();
        let author: Author<'_> = caller.author();
        self.refreshed = 0;
        for (id, _) in &self.groups {
            self.refreshed += u64::from(use_cases::refresh_group(uow, *id, &author));
        }
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, result: Result<(), StoreError>) {
        if result.is_ok() {
            telemetry::groups_refreshed(self.refreshed);
        }
    }

    fn weight(&self) -> usize {
        self.groups.len()
    }
}

/// Groups that a signal completed while the facts about their victims were not at hand.
pub(crate) struct ActOnGroups {
    groups: Vec<(GroupId, prefix_core::address::VictimIp)>,
    because: String,
    caller: Caller,
    reply: oneshot::Sender<Vec<MitigationId>>,
    made: Vec<MitigationId>,
}

impl ActOnGroups {
    pub(crate) fn new(
        groups: Vec<(GroupId, prefix_core::address::VictimIp)>,
        because: String,
        caller: Caller,
    ) -> (Self, oneshot::Receiver<Vec<MitigationId>>) {
        let (reply, receiver) = oneshot::channel();
        (Self { groups, because, caller, reply, made: Vec::new() }, receiver)
    }
}

impl Command for ActOnGroups {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        let policy = shared.policy();
        for (id, victim) in &self.groups {
            reads.groups.insert(*id);
            reads.victims.insert(*victim);
            reads.customers.extend(policy.lookup(*victim).map(|owner| owner.customer_id().clone()));
        }
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        let author = self.caller.author();
        let mut act = |(id, _): &(GroupId, _)| use_cases::act_on_group(uow, *id, &author, &self.because);
        self.made = self.groups.iter().filter_map(&mut act).collect();
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, result: Result<(), StoreError>) {
        if result.is_ok() {
            let _ = self.reply.send(self.made);
        }
    }

    fn weight(&self) -> usize {
        self.groups.len()
    }
}
