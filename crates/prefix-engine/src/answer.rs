//! What the use cases answer.

use std::time::Duration;

use chrono::{DateTime, Utc};
use prefix_core::announcer::Peer;
use prefix_core::event::Event;
use prefix_core::guard::GuardStatus;
use prefix_core::id::{InstanceId, MitigationId};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::{CustomerId, Pop, SpeakerName};
use prefix_core::panic::PanicScope;
use prefix_core::platform::Platform;
use prefix_policy::use_cases::InvalidItem;

/// An answer that may be the repetition of an earlier one.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// The answer.
    pub value: T,
    /// True if it was given before, to the same `Idempotency-Key`.
    pub replayed: bool,
}

impl<T> Answer<T> {
    /// A first answer.
    pub fn first(value: T) -> Self {
        Self { value, replayed: false }
    }
}

/// An item of a batch as the API read it: a report, or why it is none.
pub type BatchItem = Result<prefix_core::event::Report, InvalidItem>;

/// A mitigation with what only the running daemon knows.
#[derive(Clone, Debug, PartialEq)]
pub struct MitigationView {
    /// The row.
    pub mitigation: Mitigation,
    /// Its rule is wanted at the speaker: it lives and is not of a dry run.
    pub intended: bool,
    /// Established sessions that carry the family of its rule.
    pub peers_established: u32,
    /// A living rule of the same victim that routers apply first (RFC 8955 §5.1).
    pub shadowed_by: Option<MitigationId>,
    /// False if the row was read from memory, which holds no explanations.
    pub explained: bool,
}

/// A manual mitigation.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// As it is after the wait for the speaker.
    pub view: MitigationView,
    /// True if the same rule lived already and was changed in place.
    pub replaced: bool,
}

/// A withdrawn mitigation, as it is after the wait for the speaker.
pub type Withdrawn = MitigationView;

/// One item of a bulk operation.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkItem {
    /// Which one.
    pub mitigation_id: MitigationId,
    /// Its status now, or why nothing was done.
    pub result: Result<Status, String>,
}

/// Mitigations that an operator has seen.
pub type Acknowledged = Vec<BulkItem>;

/// What is known about an address.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Newest first.
    pub events: Vec<Event>,
    /// Newest first.
    pub mitigations: Vec<MitigationView>,
}

/// A BGP neighbor, by the speaker and the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerView {
    /// The name in `bgp.neighbors`, else its address.
    pub name: String,
    /// With which of several speakers it has this session; `None` = with the only one, or with none.
    pub speaker: Option<SpeakerName>,
    /// What the speaker says of it.
    pub peer: Peer,
    /// Own rules that go to it: every announced rule of a family that it carries.
    pub announced_rules: u64,
    /// What its platform makes of them.
    pub router: RouterView,
}

/// What a router makes of our rules, as far as `bgp.neighbors` tells its platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouterView {
    /// Its platform.
    pub platform: Platform,
    /// The entries of its filter memory that the announced rules take, as computed; 0 where nothing is known of it.
    pub entries: u64,
    /// How many it has for our rules; `None` = not known.
    pub max_entries: Option<u64>,
    /// What it does not do as announced, in words.
    pub problems: Vec<String>,
}

impl RouterView {
    /// The entries that our rules take and those that there are, if that is too few.
    pub fn excess(&self) -> Option<(u64, u64)> {
        self.max_entries.filter(|most| self.entries > *most).map(|most| (self.entries, most))
    }
}

/// The speaker as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Not asked yet, or not needed.
    Unknown,
    /// It answers.
    Connected,
    /// It does not.
    Disconnected(String),
}

/// The state of the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Own pop.
    pub pop: Pop,
    /// Storage answers; otherwise why not.
    pub database: Result<(), String>,
    /// The speaker.
    pub speaker: Speaker,
    /// Its neighbors.
    pub peers: Vec<PeerView>,
    /// Active and escalated mitigations of the pop.
    pub active: u64,
    /// Pending mitigations of the pop.
    pub pending: u64,
    /// Queued mitigations of the pop.
    pub queued: u64,
    /// `withdrawing` for longer than `bgp.withdraw_alarm_seconds`.
    pub withdraw_stuck: u64,
    /// FlowSpec paths without our owner tag.
    pub foreign_rules: u64,
    /// How long the engine has run.
    pub uptime: Duration,
    /// When its policy was loaded.
    pub config_loaded_at: DateTime<Utc>,
    /// The dead man's guard, as last seen; `None` where nobody watches for one.
    pub guard: Option<GuardStatus>,
    /// Which instance of the pop announces.
    pub leader: LeaderView,
    /// Something is frozen by a panic.
    pub panic_frozen: bool,
    /// Storage or speaker fails, every BGP session is down, a withdraw is stuck, or the guard is silent.
    pub degraded: bool,
    /// What is wrong, in words; empty when all is well.
    pub problems: Vec<String>,
}

/// What to freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicRequest {
    /// Why.
    pub reason: String,
    /// Only this pop; `None` = every pop.
    pub pop: Option<Pop>,
    /// Only this customer; `None` = everybody.
    pub customer_id: Option<CustomerId>,
}

/// A panic that is on.
#[derive(Clone, Debug, PartialEq)]
pub struct PanicStarted {
    /// What is frozen.
    pub scope: PanicScope,
    /// How many mitigations of the scope had not ended.
    pub rules: u64,
    /// So many of them have ended by now.
    pub withdrawn: u64,
    /// So many wait for the speaker's confirmation that their rule is gone.
    pub withdrawing: u64,
    /// Which mitigations those of `rules` are, oldest first.
    pub affected: Vec<MitigationId>,
}

/// What is frozen.
#[derive(Clone, Debug, PartialEq)]
pub struct PanicState {
    /// True if anything is.
    pub frozen: bool,
    /// The scopes, oldest first.
    pub scopes: Vec<PanicScope>,
}

impl PanicState {
    pub(crate) fn of(scopes: Vec<PanicScope>) -> Self {
        Self { frozen: !scopes.is_empty(), scopes }
    }
}

/// Which instance of the pop announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderView {
    /// True if it is this one.
    pub is_leader: bool,
    /// Which one it is, as far as is known.
    pub instance: Option<InstanceId>,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// Withdrawn because they no longer pass.
    pub withdrawn: Vec<MitigationId>,
}
