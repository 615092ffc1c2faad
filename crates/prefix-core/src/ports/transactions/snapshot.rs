//! What a unit of work reads: the facts it names beforehand, and the answer.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::IdempotencyRecord;
use crate::access::{ApiToken, CredentialId, Operator};
use crate::address::VictimIp;
use crate::flowspec::RouteKey;
use crate::id::{GroupId, InstanceId, MitigationId, OperatorId};
use crate::mitigation::Mitigation;
use crate::name::{CustomerId, ExternalEventId, Pop, SourceName};
use crate::panic::PanicScope;
use crate::ports::Epoch;
use crate::safelist::Safelist;
use crate::signal::{Corroboration, SignalGroup};

/// Identifies a request that may be repeated (`Idempotency-Key`): the same key of the same principal on the same path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey {
    /// Whose request.
    pub principal: String,
    /// Of which endpoint.
    pub path: String,
    /// The header's value.
    pub key: String,
}

/// The facts that a unit of work needs. Read sets of several commands are merged into one.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each says whether one kind of fact is read")]
pub struct ReadSet {
    /// The pop whose rows and quotas are meant.
    pub pop: Pop,
    /// The time of the unit of work.
    pub now: DateTime<Utc>,
    /// The instance at work: what it commits stands in the feed of the others, and not in its own.
    pub instance: Option<InstanceId>,
    /// Work that only the leader of the pop may do: nothing is stored, and the unit of work ends as
    /// [`Deposed`](crate::ports::StoreError::Deposed), unless this epoch is that of the pop's leader.
    pub leader: Option<Epoch>,
    /// Read quota counters, rate of new rules, safelist and panic scopes, which still hold at the commit.
    pub admission: bool,
    /// Counters of these customers.
    pub customers: BTreeSet<CustomerId>,
    /// These mitigations, of any pop and status.
    pub mitigations: BTreeSet<MitigationId>,
    /// All mitigations of these victims at `pop` that are not final, and the final ones that ended since
    /// `recent_since` or were rejected (last updated) since `rejected_since`.
    pub victims: BTreeSet<VictimIp>,
    /// All mitigations of these rules at `pop` that are not final.
    pub routes: BTreeSet<RouteKey>,
    /// How far back final mitigations of `victims` matter.
    pub recent_since: DateTime<Utc>,
    /// How far back rejected mitigations of `victims` matter.
    pub rejected_since: DateTime<Utc>,
    /// So many of the oldest queued mitigations of `pop`.
    pub queued: u32,
    /// Whether these episodes were ever reported by a ban.
    pub episodes: BTreeSet<(SourceName, ExternalEventId)>,
    /// When these episodes ended last, by the clock of their detector.
    pub ends: BTreeSet<(SourceName, ExternalEventId)>,
    /// Whether these sources ever reported these victims by a ban.
    pub sightings: BTreeSet<(SourceName, VictimIp)>,
    /// Replies stored under these keys.
    pub replies: BTreeSet<RequestKey>,
    /// The open signal groups of `victims` at `pop`, and the groups of the mitigations in the snapshot that are not
    /// final.
    pub victim_groups: bool,
    /// These signal groups.
    pub groups: BTreeSet<GroupId>,
    /// Every open signal group of `pop`.
    pub open_groups: bool,
    /// The newest corroborating signals received by `pop` that are not over at `now`, at most
    /// [`MOST_CORROBORATIONS`].
    pub corroborations: bool,
    /// The stored credentials on whose behalf this is done, each with the access revision at which it was found to be
    /// live. They are live at the commit, or named in [`Snapshot::ended`]: nothing is stored for one whose end was
    /// answered before.
    pub held: BTreeMap<CredentialId, i64>,
    /// Every operator, the deleted ones included, and every token that is not revoked: alone among those that read this,
    /// until the commit.
    pub people: bool,
    /// These operators, the deleted ones included.
    pub operators: BTreeSet<OperatorId>,
}

/// So many corroborating signals are looked at for a new group: the newest ones.
pub const MOST_CORROBORATIONS: u32 = 512;

impl ReadSet {
    /// Nothing yet.
    pub fn new(pop: Pop, now: DateTime<Utc>) -> Self {
        Self {
            pop,
            now,
            instance: None,
            leader: None,
            admission: false,
            customers: BTreeSet::new(),
            mitigations: BTreeSet::new(),
            victims: BTreeSet::new(),
            routes: BTreeSet::new(),
            recent_since: now,
            rejected_since: now,
            queued: 0,
            episodes: BTreeSet::new(),
            ends: BTreeSet::new(),
            sightings: BTreeSet::new(),
            replies: BTreeSet::new(),
            victim_groups: false,
            groups: BTreeSet::new(),
            open_groups: false,
            corroborations: false,
            held: BTreeMap::new(),
            people: false,
            operators: BTreeSet::new(),
        }
    }
}

/// How many main rules take up room ([`Mitigation::counts`]), and how many are new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaCounts {
    /// Of these customers, over all pops.
    pub customers: HashMap<CustomerId, u64>,
    /// Of the pop.
    pub pop: u64,
    /// Companions of the pop: they take up room only at the speaker's peers.
    pub companions: u64,
    /// In all.
    pub global: u64,
    /// Rules of the pop that were let in during the last 60 seconds, counted in whole seconds and never too low.
    pub new_last_minute: u64,
}

/// The facts, as they are inside the transaction.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The mitigations asked for by id, victim, route or queue, each once.
    pub mitigations: Vec<Mitigation>,
    /// The counters; only with `admission`.
    pub quota: QuotaCounts,
    /// The safelist; only with `admission`.
    pub safelist: Safelist,
    /// The panic scopes that are not thawed; only with `admission`.
    pub panic: Arc<Vec<PanicScope>>,
    /// Those of `episodes` that were reported before.
    pub episodes: HashSet<(SourceName, ExternalEventId)>,
    /// The last end of those of `ends` that have one.
    pub ends: HashMap<(SourceName, ExternalEventId), DateTime<Utc>>,
    /// Those of `sightings` that were reported before.
    pub sightings: HashSet<(SourceName, VictimIp)>,
    /// Those of `replies` that are stored.
    pub replies: HashMap<RequestKey, IdempotencyRecord>,
    /// The signal groups asked for by id, victim or pop, each once, oldest first.
    pub groups: Vec<SignalGroup>,
    /// The corroborating signals, oldest first, without their raw details.
    pub corroborations: Vec<Corroboration>,
    /// The access revision; only with `held`.
    pub access_revision: i64,
    /// Those of `held` that have ended.
    pub ended: HashSet<CredentialId>,
    /// The operators and tokens asked for.
    pub people: People,
}

/// Who may log in, and which tokens are live.
#[derive(Clone, Debug, Default)]
pub struct People {
    /// Operators, oldest first.
    pub operators: Vec<Operator>,
    /// Tokens that are not revoked, oldest first.
    pub tokens: Vec<ApiToken>,
}
