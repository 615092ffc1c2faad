//! A corroborating signal is taken: it joins what it is about, and may complete a quorum.

use std::collections::BTreeSet;
use std::sync::Arc;

use prefix_core::address::VictimIp;
use prefix_core::id::{GroupId, MitigationId, SignalId};
use prefix_core::signal::Corroboration;
use prefix_core::store::{ReadSet, StoreError};
use prefix_policy::use_cases::{self, UnitOfWork};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::reply;
use crate::answer::Answer;
use crate::caller::Caller;
use crate::commit_queue::Command;
use crate::error::EngineError;
use crate::shared::Shared;
use crate::telemetry;

/// What a corroborating signal did, as it is stored for a repetition of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorroborationTaken {
    /// Our identifier.
    pub signal_id: SignalId,
    /// The groups that it joined; empty = it waits for one.
    pub attached_group_ids: Vec<GroupId>,
    /// The mitigations that it completed the quorum of.
    pub mitigation_ids: Vec<MitigationId>,
}

/// A signal that was taken, with the groups that it completed and that came up only meanwhile.
pub(crate) type Taken = (Answer<CorroborationTaken>, Vec<(GroupId, VictimIp)>);

type Reply = Result<Taken, EngineError>;

/// See the module.
pub(crate) struct Corroborate {
    signal: Corroboration,
    /// The victims whose facts are read.
    victims: BTreeSet<VictimIp>,
    caller: Caller,
    reply: oneshot::Sender<Reply>,
    result: Option<Reply>,
}

impl Corroborate {
    pub(crate) fn new(
        signal: Corroboration,
        victims: BTreeSet<VictimIp>,
        caller: Caller,
    ) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        (Self { signal, victims, caller, reply, result: None }, receiver)
    }
}

impl Command for Corroborate {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        reads.open_groups = true;
        reads.victims.extend(self.victims.iter().copied());
        let policy = shared.policy();
        let owners = self.victims.iter().filter_map(|victim| policy.lookup(*victim));
        reads.customers.extend(owners.map(|owner| owner.customer_id().clone()));
        // groups that mitigations stand on can be joined, too
        for row in shared.intents.rows() {
            if let Some(correlation) = &row.correlation {
                reads.mitigations.insert(row.mitigation_id);
                reads.groups.insert(correlation.signal_group_id);
            }
        }
        reply::reads(&self.caller, reads);
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        if let Some(stored) = reply::stored(uow, &self.caller) {
            self.result = Some(stored.map(|value| (Answer { value, replayed: true }, Vec::new())));
            return;
        }
        // it is received when it takes effect, as reports are: then a record tells what came first
        self.signal.received_at = uow.now;
        self.signal.expires_at = uow.now + uow.policy.parts().correlation.window();
        let is_known = |victim| self.victims.contains(&victim);
        let done = use_cases::corroborate(uow, self.signal.clone(), &self.caller.author(), is_known);
        let taken = CorroborationTaken {
            signal_id: self.signal.signal_id,
            attached_group_ids: done.attached,
            mitigation_ids: done.mitigations,
        };
        reply::store(uow, &self.caller, &taken, uow.now);
        self.result = Some(Ok((Answer::first(taken), done.deferred)));
    }

    fn done(self: Box<Self>, shared: &Arc<Shared>, result: Result<(), StoreError>) {
        let answer = match result {
            Ok(()) => {
                self.result.unwrap_or_else(|| Err(EngineError::Internal("a command did not run".into())))
            }
            Err(error) => Err(error.into()),
        };
        if let Ok((Answer { value, replayed: false }, _)) = &answer {
            telemetry::corroboration(&self.signal);
            shared.liveness.reported(&self.signal.source, self.signal.received_at);
            if value.attached_group_ids.is_empty() {
                shared.liveness.waits(&self.signal);
            }
        }
        let _ = self.reply.send(answer);
    }
}
