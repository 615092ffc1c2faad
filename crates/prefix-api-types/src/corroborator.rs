//! Sources that only corroborate: what they send, and what waits (http-api.md §7).

use chrono::{DateTime, Utc};
use prefix_api_macros::wire;

use crate::lenient::Always;
use crate::{MitigationId, RawJson, SignalGroupId, SignalId};

/// A corroborating signal. At least one dimension that its source declares (`match_dimensions`) must be there; `pop`
/// alone needs `vector`. Unknown members are ignored; null counts as missing.
#[wire(body)]
#[derive(Default)]
pub struct NewCorroboration {
    /// Who sends it: a source of mode `corroborating`.
    #[schema(min_length = 1, max_length = 1024, example = "netflow")]
    pub source: String,
    /// Only about attacks of this kind.
    #[schema(example = "udp_flood")]
    pub vector: Option<String>,
    /// About this customer.
    #[schema(min_length = 1, max_length = 256)]
    pub customer_id: Option<String>,
    /// About this pop.
    #[schema(example = "fra1")]
    pub pop: Option<String>,
    /// About this service.
    #[schema(min_length = 1, max_length = 256)]
    pub service_id: Option<String>,
    /// About this interface, as the inventory calls it.
    #[schema(min_length = 1, max_length = 256)]
    pub interface: Option<String>,
    /// How sure it is; default of the source.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: Option<f64>,
    /// Anything; stored as it came, never interpreted.
    pub raw_details: Option<RawJson>,
}

/// What a corroborating signal did.
#[wire]
pub struct CorroborationAnswer {
    /// Our identifier.
    pub signal_id: SignalId,
    /// `attached` = it joined at least one group; `cached` = it waits for one.
    #[schema(example = "attached")]
    pub status: String,
    /// The groups that it joined.
    pub attached_group_ids: Vec<SignalGroupId>,
    /// The mitigations that it completed the quorum of.
    pub mitigation_ids: Vec<MitigationId>,
}

/// Which corroborating sources were heard.
#[wire(as = ActivityAnswer)]
pub struct CorroboratorActivity {
    /// From here on.
    pub since: Always<DateTime<Utc>>,
    /// Those that were.
    pub sources: Vec<SourceActivity>,
}

/// When a source was heard.
#[wire]
pub struct SourceActivity {
    pub source: String,
    /// Its newest signal.
    pub last_seen: Always<DateTime<Utc>>,
    /// How many there were.
    pub count: u64,
}

/// The corroborating signals that wait for a group.
#[wire(as = CacheAnswer)]
pub struct CorroboratorCache {
    /// The server's time: what ends before it is over.
    pub now: Always<DateTime<Utc>>,
    /// How many wait, whatever is listed.
    pub total: u64,
    /// How many of each source wait.
    pub by_source: Vec<SourceCount>,
    /// Newest first.
    pub signals: Vec<CachedSignal>,
}

/// How many of a source.
#[wire]
pub struct SourceCount {
    pub source: String,
    pub count: u64,
}

/// A corroborating signal that waits for a group.
#[wire]
pub struct CachedSignal {
    /// Its identifier.
    pub signal_id: SignalId,
    /// Under which name it was sent.
    pub source: String,
    /// Only about attacks of this kind.
    pub vector: Option<String>,
    /// About this customer.
    pub customer_id: Option<String>,
    /// About this pop.
    pub pop: Option<String>,
    /// About this service.
    pub service_id: Option<String>,
    /// About this interface.
    pub interface: Option<String>,
    /// How sure it is.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: Always<f64>,
    /// The weight of its source.
    #[schema(minimum = 0)]
    pub weight: Always<f64>,
    /// When it was received.
    pub ingested_at: Always<DateTime<Utc>>,
    /// Until when groups yet to come take it up.
    pub expires_at: Always<DateTime<Utc>>,
    /// What was sent along, as it came.
    #[serde(default, deserialize_with = "crate::lenient::present")]
    #[schema(required = true)]
    pub raw_details: Always<RawJson>,
    /// The groups that it joined: none while it waits.
    pub attached_group_ids: Vec<SignalGroupId>,
}
