//! What is answered about corroborating signals.

use chrono::{DateTime, Utc};
use prefix_core::id::{GroupId, MitigationId, SignalId};
use prefix_core::name::SourceName;
use prefix_core::page::Page;
use prefix_core::store::{SourceActivity, WaitingCorroborations};
use prefix_engine::CorroborationTaken;
use prefix_engine::view::{CorroborationObject, GroupObject};
use serde::Serialize;
use utoipa::ToSchema;

/// What a corroborating signal did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CorroborationAnswer {
    /// Our identifier.
    #[schema(value_type = uuid::Uuid)]
    signal_id: SignalId,
    /// `attached` = it joined at least one group; `cached` = it waits for one.
    #[schema(value_type = String, example = "attached")]
    status: &'static str,
    /// The groups that it joined.
    #[schema(value_type = Vec<uuid::Uuid>)]
    attached_group_ids: Vec<GroupId>,
    /// The mitigations that it completed the quorum of.
    #[schema(value_type = Vec<uuid::Uuid>)]
    mitigation_ids: Vec<MitigationId>,
}

impl From<&CorroborationTaken> for CorroborationAnswer {
    fn from(taken: &CorroborationTaken) -> Self {
        Self {
            signal_id: taken.signal_id,
            status: if taken.attached_group_ids.is_empty() { "cached" } else { "attached" },
            attached_group_ids: taken.attached_group_ids.clone(),
            mitigation_ids: taken.mitigation_ids.clone(),
        }
    }
}

/// Which corroborating sources were heard.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActivityAnswer {
    /// From here on.
    since: DateTime<Utc>,
    /// Those that were.
    sources: Vec<SourceActivityAnswer>,
}

/// When a source was heard.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SourceActivity)]
struct SourceActivityAnswer {
    #[schema(value_type = String)]
    source: SourceName,
    /// Its newest signal.
    last_seen: DateTime<Utc>,
    /// How many there were.
    count: u64,
}

impl ActivityAnswer {
    /// Shows what was heard since.
    pub(crate) fn new(since: DateTime<Utc>, heard: Vec<SourceActivity>) -> Self {
        let sources = heard.into_iter().map(|one| SourceActivityAnswer {
            source: one.source,
            last_seen: one.last_seen,
            count: one.count,
        });
        Self { since, sources: sources.collect() }
    }
}

/// The corroborating signals that wait for a group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CacheAnswer {
    /// The server's time: what ends before it is over.
    now: DateTime<Utc>,
    /// How many wait, whatever is listed.
    total: u64,
    /// How many of each source wait.
    by_source: Vec<SourceCount>,
    /// Newest first.
    signals: Vec<CorroborationObject>,
}

/// How many of a source.
#[derive(Debug, Serialize, ToSchema)]
struct SourceCount {
    #[schema(value_type = String)]
    source: SourceName,
    count: u64,
}

impl CacheAnswer {
    /// Shows what waits.
    pub(crate) fn new(
        now: DateTime<Utc>,
        waiting: WaitingCorroborations,
        signals: Vec<CorroborationObject>,
    ) -> Self {
        let by_source = waiting.by_source.into_iter().map(|(source, count)| SourceCount { source, count });
        Self { now, total: waiting.total, by_source: by_source.collect(), signals }
    }
}

page!(
    /// A page of signal groups.
    GroupPage, groups: GroupObject
);
