//! Several instances of one pop: who leads, and who else is there.
//!
//! Leadership is a row with an epoch that grows each time the leader changes. The lease is counted by the database's
//! clock; a leader counts its own time from before it asked, so it stops before anybody else can begin. The database's
//! clock alone ends no lease, because it may be set: whoever takes over has also seen no renewal for a whole term.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::clock::ClockFrame;
use crate::id::InstanceId;
use crate::name::Pop;

/// Counts the leaders of a pop. A transaction of a leader is refused once a later epoch has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

/// What an instance says of itself, each second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidacy {
    /// The pop it belongs to.
    pub pop: Pop,
    /// Which instance it is.
    pub instance: InstanceId,
    /// The speaker it announces to.
    pub speaker: String,
    /// Its mode, in the word of the configuration.
    pub mode: String,
    /// Hash of its configuration, in hex: instances of a pop shall have the same.
    pub configuration: String,
    /// Its own clock, at the time of asking.
    pub clock: DateTime<Utc>,
    /// The epoch in which it leads already; `None` if it does not.
    pub held: Option<Epoch>,
    /// How long the lease shall last.
    pub term: Duration,
    /// False: it only reports itself and asks who leads.
    pub wants_to_lead: bool,
    /// The lease of another instance of which it has seen no renewal for a whole term by its own clock: it may take this
    /// one over, and no other that was not given back.
    pub unrenewed: Option<HeldLease>,
    /// The frame of its time. That of a leader is stored; `None` leaves it as it is.
    pub frame: Option<ClockFrame>,
}

/// A lease as it is stored: each renewal makes another one of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLease {
    /// Of which leader.
    pub epoch: Epoch,
    /// When it ends by the database's clock.
    pub until: DateTime<Utc>,
}

/// A reading of storage's clock during a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// What it showed.
    pub time: DateTime<Utc>,
    /// It was read no earlier than so long after the call began,
    pub after: Duration,
    /// and no later than this; `None` = before the call had ended.
    pub before: Option<Duration>,
}

impl ClockReading {
    /// Read at some moment during the call.
    pub fn at_some_time(time: DateTime<Utc>) -> Self {
        Self { time, after: Duration::ZERO, before: None }
    }
}

/// Another instance of the same pop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherInstance {
    /// Which one.
    pub instance: InstanceId,
    /// Hash of its configuration, in hex.
    pub configuration: String,
    /// How much its clock is ahead of the database's.
    pub clock_ahead: TimeDelta,
}

/// Who leads a pop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Which instance.
    pub instance: InstanceId,
    /// In which epoch.
    pub epoch: Epoch,
    /// The speaker it announces to.
    pub speaker: String,
    /// Its mode.
    pub mode: String,
}

/// What came of a candidacy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// Who leads now; `None` if nobody does, which only happens to one that does not want to lead itself.
    pub leader: Option<Leader>,
    /// The other instances of the pop that reported themselves within the last ten seconds.
    pub others: Vec<OtherInstance>,
    /// How much the candidate's clock is ahead of the database's.
    pub clock_ahead: TimeDelta,
    /// The lease as it is stored, over or not; `None` if nobody ever led, or it was given back.
    pub lease: Option<HeldLease>,
    /// The frame of the pop, as the last leader has stored it.
    pub frame: ClockFrame,
    /// A reading of the database's clock.
    pub clock: ClockReading,
}

impl Election {
    /// The epoch, if this instance leads.
    pub fn won_by(&self, instance: InstanceId) -> Option<Epoch> {
        self.leader.as_ref().filter(|leader| leader.instance == instance).map(|leader| leader.epoch)
    }
}

/// Which instance of a pop announces.
#[async_trait]
pub trait Leadership: Send + Sync {
    /// True if several instances can work on this storage at the same time.
    fn is_shared(&self) -> bool;

    /// Reports an instance, and takes or renews the leadership of its pop if nobody else has it: after a crash the
    /// same instance has it again at once, another one when the lease is over by the database's clock and is the one that
    /// [was not renewed](Candidacy::unrenewed). A new leader has a new, higher epoch. Every claim reads the database's
    /// clock.
    async fn claim(&self, candidacy: &Candidacy) -> Result<Election, StoreError>;

    /// Gives the leadership back, so that nobody has to wait for the end of the lease, and reports the instance gone.
    async fn resign(&self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) -> Result<(), StoreError>;
}
