//! One leader per pop: which instance may change the speaker, and until when.
//!
//! Leadership is a row in storage with an epoch and a lease. This instance counts its lease by the time since boot, from
//! before it asked, and stops a margin earlier, so it has stopped before any other can begin; storage checks the epoch of
//! everything it writes. Another instance waits until the lease is over by the database's clock, which may be set, *and*
//! until it has seen no renewal for a whole term. Storage that is not shared has one instance, which leads from its start
//! to its end. See docs/adr/0008-one-leader-per-pop.md and 0018-the-time-of-storage.md.

mod candidate;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use prefix_core::Clock;
use prefix_core::id::InstanceId;
use prefix_core::ports::{Election, Epoch, HeldLease, Leader, OtherInstance, StoreError};
use prefix_core::speakers::{SpeakerId, Speakers};
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::{info, warn};

pub(crate) use candidate::Candidate;

use crate::mutex::Mutex;
use crate::settings::Settings;
use crate::storage_clock::{HOST_SKEW, StorageClock, off};

/// How long a lease lasts.
const TERM: Duration = Duration::from_secs(4);
/// What is left of a lease in which nothing is begun any more: a call has to reach the speaker before the lease ends.
const MARGIN: Duration = Duration::from_secs(1);
/// After an outage of storage the leader of before has so long to renew its lease: it knows what is announced.
const PRECEDENCE: Duration = Duration::from_millis(2500);
/// An instance whose clock is wrong leaves a vacant leadership for so long to one whose clock is right.
const COURTESY: Duration = Duration::from_millis(2500);
/// After it gave its leadership up because of its clock, it does not do so again for this time.
const YIELD_AGAIN: Duration = Duration::from_mins(1);

/// What this instance may do at the speaker now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaderState {
    /// Everything.
    Leading(Epoch),
    /// It led, its lease is over, and storage does not answer: another instance may lead by now. Only what is right
    /// whoever leads may be done.
    LeaseUncertain(Epoch),
    /// Nothing yet: it prepares to lead, or waits for the answer to its claim.
    Waiting,
    /// Nothing.
    Following,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Role {
    #[default]
    Following,
    /// Elected: rows are to be read and checked.
    Elected(Epoch),
    /// Rows are checked: the speaker's table is to be read.
    RowsChecked(Epoch),
    Leading(Epoch),
}

impl Role {
    fn epoch(self) -> Option<Epoch> {
        match self {
            Self::Following => None,
            Self::Elected(epoch) | Self::RowsChecked(epoch) | Self::Leading(epoch) => Some(epoch),
        }
    }
}

/// The instances of the pop, as of the last election.
#[derive(Clone, Debug, Default)]
pub(crate) struct PopInstances {
    /// Who leads.
    pub(crate) leader: Option<Leader>,
    /// The other living instances.
    pub(crate) others: Vec<OtherInstance>,
}

impl PopInstances {
    /// True if an instance whose clock is right could lead.
    fn has_better_clock(&self) -> bool {
        self.others.iter().any(|other| other.clock_ahead.abs() <= HOST_SKEW)
    }
}

#[derive(Default)]
struct State {
    role: Role,
    /// The speakers whose tables are still to be read in this epoch.
    unread: BTreeSet<SpeakerId>,
    /// The end of the lease in time since boot; `None` = it never ends.
    until: Option<Duration>,
    /// The last claim got no answer.
    unanswered: bool,
    /// Until when it leaves the claim to others, in time since boot.
    yields_until: Option<Duration>,
    /// When it last gave the leadership up because of its clock.
    yielded: Option<Duration>,
    /// The newest lease of another instance, and since when it is known, in time since boot.
    seen: Option<(HeldLease, Duration)>,
    pop: PopInstances,
}

/// What this instance knows of the leadership of its pop.
pub(crate) struct Leadership {
    instance: InstanceId,
    clock: Arc<StorageClock>,
    state: Mutex<State>,
    /// Notified when this instance was elected.
    pub(crate) elected: Notify,
    /// Notified when a speaker's table is to be read: the rows are checked, or it is certain again that this
    /// instance leads. One for each speaker.
    read_table: Vec<Notify>,
    /// Notifies all who wait for a change of the state.
    changed: Notify,
}

impl Leadership {
    pub(crate) fn new(instance: InstanceId, clock: Arc<StorageClock>, speakers: &Speakers) -> Self {
        Self {
            instance,
            clock,
            state: Mutex::default(),
            elected: Notify::new(),
            read_table: speakers.ids().map(|_| Notify::new()).collect(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn instance(&self) -> InstanceId {
        self.instance
    }

    /// What may be done now: to be called right before it is done.
    pub(crate) fn state(&self) -> LeaderState {
        let now = self.clock.since_boot();
        let state = self.state.lock();
        let holds = || state.until.is_none_or(|until| now + MARGIN < until);
        match state.role {
            Role::Following => LeaderState::Following,
            Role::Leading(epoch) if holds() => LeaderState::Leading(epoch),
            Role::Leading(epoch) if state.unanswered => LeaderState::LeaseUncertain(epoch),
            Role::Elected(_) | Role::RowsChecked(_) | Role::Leading(_) => LeaderState::Waiting,
        }
    }

    /// The same at one of the speakers: nothing is done there before its table was read. Where one of several does not
    /// answer, the others are not held up.
    pub(crate) fn state_at(&self, speaker: SpeakerId) -> LeaderState {
        match self.state() {
            LeaderState::Leading(_) | LeaderState::LeaseUncertain(_) if self.is_unread(speaker) => {
                LeaderState::Waiting
            }
            state => state,
        }
    }

    fn is_unread(&self, speaker: SpeakerId) -> bool {
        self.state.lock().unread.contains(&speaker)
    }

    /// The epoch, while it is certain that this instance leads.
    pub(crate) fn leading(&self) -> Option<Epoch> {
        match self.state() {
            LeaderState::Leading(epoch) => Some(epoch),
            _ => None,
        }
    }

    /// The epoch, if this instance leads at a speaker once the answer to its claim is in.
    pub(crate) async fn settled(&self, speaker: SpeakerId) -> Option<Epoch> {
        while self.state_at(speaker) == LeaderState::Waiting {
            self.changed(Duration::from_millis(100)).await;
        }
        self.leading()
    }

    /// The epoch, while this instance leads as far as it knows: also when storage does not answer.
    pub(crate) fn in_charge(&self) -> Option<Epoch> {
        match self.state.lock().role {
            Role::Leading(epoch) => Some(epoch),
            _ => None,
        }
    }

    /// The epoch in which this instance was elected and has not been replaced, as far as it knows: storage decides
    /// whether what it writes still counts.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.state.lock().role.epoch()
    }

    /// The epoch for which rows are still to be checked.
    pub(crate) fn to_prepare(&self) -> Option<Epoch> {
        match self.state.lock().role {
            Role::Elected(epoch) => Some(epoch),
            _ => None,
        }
    }

    /// The epoch for which this speaker's table is still to be read.
    pub(crate) fn table_to_read(&self, speaker: SpeakerId) -> Option<Epoch> {
        let state = self.state.lock();
        match state.role {
            Role::RowsChecked(epoch) | Role::Leading(epoch) if state.unread.contains(&speaker) => Some(epoch),
            _ => None,
        }
    }

    /// Rows are checked.
    pub(crate) fn rows_checked(&self, epoch: Epoch) {
        {
            let mut state = self.state.lock();
            if state.role == Role::Elected(epoch) {
                state.unread = (0..self.read_table.len()).map(SpeakerId).collect();
            }
        }
        self.advance(Role::Elected(epoch), Role::RowsChecked(epoch));
        self.notify_read_table();
    }

    fn notify_read_table(&self) {
        self.read_table.iter().for_each(Notify::notify_one);
    }

    /// Notified when the table of this speaker is to be read.
    pub(crate) fn read_table(&self, speaker: SpeakerId) -> &Notify {
        &self.read_table[speaker.0]
    }

    /// A speaker's table was read: from now on this instance leads there. It leads with the first one.
    pub(crate) fn table_read(&self, epoch: Epoch, speaker: SpeakerId) {
        {
            let mut state = self.state.lock();
            if state.role.epoch() == Some(epoch) {
                state.unread.remove(&speaker);
            }
        }
        self.advance(Role::RowsChecked(epoch), Role::Leading(epoch));
        self.changed.notify_waiters();
    }

    fn advance(&self, from: Role, to: Role) {
        let mut state = self.state.lock();
        if state.role == from {
            state.role = to;
            drop(state);
            self.changed.notify_waiters();
        }
    }

    /// Storage says that a later epoch has begun.
    pub(crate) fn deposed(&self, epoch: Epoch) {
        let mut state = self.state.lock();
        if state.role.epoch() == Some(epoch) {
            state.role = Role::Following;
            drop(state);
            warn!(epoch = epoch.0, "another instance leads this pop: this one announces nothing any more");
            self.changed.notify_waiters();
        }
    }

    /// Returns at the next change of the state, or after `at_most`.
    pub(crate) async fn changed(&self, at_most: Duration) {
        // a lease that runs out notifies nobody
        let _ = timeout(at_most, self.changed.notified()).await;
    }

    /// The instances of the pop.
    pub(crate) fn pop(&self) -> PopInstances {
        self.state.lock().pop.clone()
    }

    /// True if another instance lived at the last election: it takes over when this one stops.
    pub(crate) fn has_others(&self) -> bool {
        !self.state.lock().pop.others.is_empty()
    }

    /// What is wrong with the instances of the pop, for people.
    pub(crate) fn problems(&self, settings: &Settings) -> Vec<String> {
        let pop = self.pop();
        let mut problems = Vec::new();
        for other in &pop.others {
            if other.configuration != settings.configuration {
                problems.push(format!(
                    "instance {} of pop {} runs with another configuration: give both the same files and restart the one with the older ones",
                    other.instance, settings.pop
                ));
            }
            if other.clock_ahead.abs() > HOST_SKEW {
                problems.push(format!(
                    "the clock of instance {} is {}",
                    other.instance,
                    off(other.clock_ahead)
                ));
            }
        }
        if let Some(leader) = &pop.leader
            && let Some(problem) = incompatibility(leader, settings)
        {
            problems.push(problem);
        }
        if matches!(self.state(), LeaderState::LeaseUncertain(_)) {
            problems.push(
                "storage does not answer, so this instance cannot know whether it still leads its pop: rules leave on time, but none is announced until storage is back".into(),
            );
        }
        problems
    }

    /// True if it is to be elected when no instance leads.
    fn is_candidate(&self) -> bool {
        let (now, is_valid) = (self.clock.since_boot(), self.clock.is_valid());
        let state = self.state.lock();
        is_valid && !state.unanswered && state.yields_until.is_none_or(|until| now >= until)
    }

    /// The lease of another instance that was not renewed for a whole term; a machine whose clock is wrong waits longer, if
    /// there is one whose clock is right.
    fn unrenewed(&self) -> Option<HeldLease> {
        let (now, ahead) = (self.clock.since_boot(), self.clock.host_ahead());
        let state = self.state.lock();
        let gives_way = ahead.abs() > HOST_SKEW && state.pop.has_better_clock();
        let patience = if gives_way { TERM + COURTESY } else { TERM };
        let (lease, since) = state.seen?;
        (now >= since + patience).then_some(lease)
    }

    /// When the leader that this instance follows last renewed its lease, in time since boot; `None` if none leads.
    fn leader_seen(&self) -> Option<Duration> {
        let state = self.state.lock();
        state.pop.leader.as_ref()?;
        state.seen.map(|(_, since)| since)
    }

    /// True, at most once a minute, if this instance leads although its clock is wrong and another one's is right. From
    /// then on it leaves the leadership to others for a while.
    fn gives_way(&self) -> bool {
        let (now, ahead) = (self.clock.since_boot(), self.clock.host_ahead());
        let mut state = self.state.lock();
        let is_recent = state.yielded.is_some_and(|at| now < at + YIELD_AGAIN);
        let leads = matches!(state.role, Role::Leading(_));
        let gives_way = leads && !is_recent && ahead.abs() > HOST_SKEW && state.pop.has_better_clock();
        if gives_way {
            state.yielded = Some(now);
            state.yields_until = Some(now + TERM);
        }
        gives_way
    }

    /// Follows the result of an election that was `asked` for and answered at these times since boot. `wanted`: whether
    /// this instance wanted to lead.
    fn follow(&self, election: Election, asked: Duration, shared_storage: bool, wanted: bool) {
        let now = self.clock.since_boot();
        let won = election.won_by(self.instance).filter(|_| wanted);
        let mut state = self.state.lock();
        let held = state.role.epoch();
        let was_unanswered = std::mem::take(&mut state.unanswered);
        if was_unanswered {
            state.yields_until = Some(now + PRECEDENCE);
        }
        if state.seen.map(|(lease, _)| lease) != election.lease {
            state.seen = election.lease.map(|lease| (lease, now));
        }
        state.pop = PopInstances { leader: election.leader, others: election.others };
        match won {
            Some(epoch) => {
                state.until = shared_storage.then(|| asked + TERM);
                if held != Some(epoch) {
                    state.role = Role::Elected(epoch);
                    drop(state);
                    info!(epoch = epoch.0, "this instance leads its pop now");
                    self.elected.notify_one();
                    self.changed.notify_waiters();
                } else if was_unanswered {
                    drop(state);
                    // what the speaker lost meanwhile could not be announced
                    self.notify_read_table();
                    self.changed.notify_waiters();
                }
            }
            None => {
                drop(state);
                if let Some(epoch) = held {
                    self.deposed(epoch);
                }
            }
        }
    }

    /// A claim got no answer.
    fn unanswered(&self, error: &StoreError) {
        let mut state = self.state.lock();
        if !state.unanswered && state.role != Role::Following {
            warn!(%error, "the leadership of the pop cannot be renewed");
        }
        state.unanswered = true;
    }
}

/// Why an instance with these settings cannot work beside this leader.
fn incompatibility(leader: &Leader, settings: &Settings) -> Option<String> {
    let who = format!("instance {} leads pop {}", leader.instance, settings.pop);
    if leader.mode != settings.mode.as_str() {
        return Some(format!(
            "{who} in mode {}, and this one has mode {}: all instances of a pop have the same; stop the others first, or set the same mode here",
            leader.mode,
            settings.mode.as_str()
        ));
    }
    if leader.speaker != settings.speaker_address {
        return Some(format!(
            "{who} with the speaker {}, and this one has {}: all instances of a pop share one speaker; set the same bgp.gobgp_grpc or bgp.speakers, or give this site a pop of its own",
            leader.speaker, settings.speaker_address
        ));
    }
    None
}
