//! One generic request: a command with its claim, its answer and whoever waits for it.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::{DateTime, Utc};
use prefix_core::access::{CredentialId, HeldCredential};
use prefix_core::address::VictimIp;
use prefix_core::clock::ClockFrame;
use prefix_core::flowspec::RouteKey;
use prefix_core::id::{MitigationId, PanicId};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::{ExternalEventId, SourceName};
use prefix_core::ports::{ReadSet, StoreError};
use prefix_core::speakers::{SpeakerId, Speakers};
use prefix_policy::Policy;
use prefix_policy::use_cases::{InstanceFacts, UnitOfWork};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::error::EngineError;
use crate::intent_table::IntentTable;
use crate::panic_state::PanicScopes;
use crate::shared::Shared;

/// From this age on a request that nobody waits for was answered "not stored" by whoever called, and is dropped.
const LONG_WAIT: Duration = Duration::from_secs(25);

/// One change of the written intent.
pub(crate) trait Command: Send + 'static {
    /// What it answers once it is committed.
    type Output: Send + 'static;

    /// Names the facts it needs: without further ones the quotas, the safelist and what is frozen.
    fn reads(&self, _context: &CommandContext<'_>, reads: &mut ReadSet) {
        reads.admission = true;
    }

    /// On whose behalf; nobody's for the daemon's own work. For a caller whose credential has ended it does not run.
    fn caller(&self) -> Option<&Caller>;

    /// Decides and changes. Must give the same answer when it is run again on the same facts.
    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Self::Output;

    /// What is to be done in memory after the commit, or after its failure, and follows from no changed row and no domain
    /// event.
    fn after(self, _result: Result<&Self::Output, &StoreError>, _shared: &Shared)
    where
        Self: Sized,
    {
    }

    /// True if it is dropped once its caller has gone and was told that nothing is stored.
    fn ends_with_caller(&self) -> bool {
        false
    }

    /// True if nothing may be written: it then runs in a transaction of its own, whose changes are dropped.
    fn is_dry_run(&self) -> bool {
        false
    }

    /// How many commands of average size it stands for.
    fn weight(&self) -> usize {
        1
    }
}

/// What a command may look at to name the facts it needs: the policy, and what this instance knows.
pub(crate) struct CommandContext<'a> {
    /// The policy that decides.
    pub(crate) policy: &'a Policy,
    /// The time of the transaction.
    pub(crate) now: DateTime<Utc>,
    /// The frame of that time.
    pub(crate) frame: ClockFrame,
    /// The unfinished rows of this pop, and what was sent to the speaker.
    pub(crate) intents: &'a IntentTable,
    /// What is frozen, as far as this instance knows.
    pub(crate) frozen: &'a PanicScopes,
}

impl CommandContext<'_> {
    /// Those of these rows that are unfinished.
    pub(crate) fn rows(&self, ids: &[MitigationId]) -> impl Iterator<Item = Arc<Mitigation>> {
        ids.iter().filter_map(|id| self.intents.get(*id))
    }

    /// Names the carpets over a victim: those that are known here, and those that another instance may just have made, or an
    /// operator has ended.
    pub(crate) fn read_carpets(&self, victim: VictimIp, reads: &mut ReadSet) {
        reads.victims.extend(self.policy.carpets_around(victim));
        reads.mitigations.extend(self.intents.carpets_over(victim));
    }

    /// Names what is looked at for the hosts of a carpet that ends: they may get rules of their own.
    pub(crate) fn read_hosts(&self, row: &Mitigation, reads: &mut ReadSet) {
        let Some(carpet) = &row.carpet else { return };
        carpet.hosts(self.now).for_each(|host| self.read_victim(host, reads));
    }

    /// Names what a decision about a victim looks at.
    pub(crate) fn read_victim(&self, victim: VictimIp, reads: &mut ReadSet) {
        reads.admission = true;
        reads.victims.insert(victim);
        self.read_carpets(victim, reads);
        reads.customers.extend(self.policy.lookup(victim).map(|owner| owner.customer_id().clone()));
    }
}

impl InstanceFacts for CommandContext<'_> {
    fn was_sent(&self, speaker: SpeakerId, key: &RouteKey) -> bool {
        self.intents.rib(speaker).was_sent(key)
    }

    fn speakers(&self) -> &Speakers {
        &self.intents.speakers
    }

    fn is_panic_pending(&self, id: MitigationId) -> bool {
        self.intents.is_panic_pending(id)
    }

    fn is_thawed(&self, id: PanicId) -> bool {
        self.frozen.is_thawed(id)
    }

    fn victims_of_episode(&self, source: &SourceName, id: &ExternalEventId) -> Vec<VictimIp> {
        self.intents.victims_of_episode(source, id)
    }
}

/// The right to be carried out: the queue takes it, or whoever waits gives it up, whichever is first. What was given up
/// is never stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestClaim(Arc<AtomicBool>);

impl RequestClaim {
    /// True for the first who asks.
    pub(crate) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// The answer to a command, after its commit. Dropping it does not drop the command.
pub(crate) struct Reply<T>(oneshot::Receiver<Result<T, EngineError>>);

impl<T> Future for Reply<T> {
    type Output = Result<T, EngineError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let lost = || EngineError::Internal("the commit queue ended before it answered".into());
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or_else(|_| Err(lost())))
    }
}

/// A request of any answer, as the queue sees it.
pub(super) trait AnyRequest: Send {
    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet);
    /// `ended`: the credentials that have ended.
    fn run(&mut self, uow: &mut UnitOfWork<'_>, ended: &HashSet<CredentialId>);
    /// The transaction was committed, or was not.
    fn done(self: Box<Self>, shared: &Shared, result: Result<(), StoreError>);
    /// True if nobody waits for the answer any more: it was told that nothing is stored, so nothing shall be.
    fn is_abandoned(&self) -> bool;
    fn is_dry_run(&self) -> bool;
    fn weight(&self) -> usize;
}

struct Request<C: Command> {
    command: C,
    arrived: Instant,
    /// Of the last run.
    output: Option<C::Output>,
    /// Its caller's credential has ended.
    has_ended: bool,
    reply: oneshot::Sender<Result<C::Output, EngineError>>,
}

/// A request and the answer to it.
pub(super) fn request<C: Command>(command: C) -> (Box<dyn AnyRequest>, Reply<C::Output>) {
    let (reply, answer) = oneshot::channel();
    (
        Box::new(Request { command, arrived: Instant::now(), output: None, has_ended: false, reply }),
        Reply(answer),
    )
}

impl<C: Command> AnyRequest for Request<C> {
    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        self.command.reads(context, reads);
        if let Some(HeldCredential { id, revision }) = self.command.caller().and_then(|caller| caller.held) {
            let oldest = reads.held.entry(id).or_insert(revision);
            *oldest = revision.min(*oldest);
        }
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>, ended: &HashSet<CredentialId>) {
        let held = self.command.caller().and_then(|caller| caller.held);
        self.has_ended = held.is_some_and(|held| ended.contains(&held.id));
        if self.has_ended {
            self.output = None;
            return;
        }
        self.output = Some(self.command.run(uow));
        uow.hand_over();
    }

    fn done(self: Box<Self>, shared: &Shared, result: Result<(), StoreError>) {
        let Self { command, output, has_ended, reply, .. } = *self;
        if has_ended && result.is_ok() {
            command.after(Err(&StoreError::Invalid("its caller's credential has ended".into())), shared);
            let _ = reply.send(Err(EngineError::CredentialEnded));
            return;
        }
        let not_run = || StoreError::Invalid("a command did not run".into());
        let result = result.and_then(|()| output.ok_or_else(not_run));
        command.after(result.as_ref(), shared);
        // the caller may be gone; what it sent is stored all the same
        let _ = reply.send(result.map_err(EngineError::from));
    }

    fn is_abandoned(&self) -> bool {
        // a client that hung up early may not ask again; one that waited this long was told to
        self.command.ends_with_caller() && self.reply.is_closed() && self.arrived.elapsed() > LONG_WAIT
    }

    fn is_dry_run(&self) -> bool {
        self.command.is_dry_run()
    }

    fn weight(&self) -> usize {
        self.command.weight()
    }
}
