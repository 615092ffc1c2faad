//! Several instances of one pop: who leads, and who else is there.
//!
//! Leadership is a row with an epoch that grows each time the leader changes. The lease is counted by the database's
//! clock; a leader counts its own time from before it asked, so it stops before anybody else can begin.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::StoreError;
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
    /// same instance has it again at once, another one when the lease is over. A new leader has a new, higher epoch.
    async fn claim(&self, candidacy: &Candidacy) -> Result<Election, StoreError>;

    /// Gives the leadership back, so that nobody has to wait for the end of the lease, and reports the instance gone.
    async fn resign(&self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) -> Result<(), StoreError>;
}
