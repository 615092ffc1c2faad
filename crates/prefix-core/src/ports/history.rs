//! The recording that a simulation replays: stored events and corroborating signals, oldest first.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::address::VictimIp;
use crate::event::Event;
use crate::id::{EventId, SignalId};
use crate::name::{Pop, SourceName};
use crate::signal::Corroboration;

/// Recorded events, oldest first: what a simulation reads.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryQuery {
    /// Received from here on, inclusive.
    pub start: DateTime<Utc>,
    /// Received before, exclusive.
    pub end: DateTime<Utc>,
    /// Of these sources; empty = all.
    pub sources: BTreeSet<SourceName>,
    /// Against this address.
    pub victim_ip: Option<VictimIp>,
    /// Those after this event, which was the last one of the answer before.
    pub after: Option<(DateTime<Utc>, EventId)>,
    /// At most so many.
    pub limit: u32,
}

/// Recorded corroborating signals, oldest first: what a simulation hears beside the events.
#[derive(Clone, Debug, PartialEq)]
pub struct CorroborationHistoryQuery {
    /// Received by this pop.
    pub pop: Pop,
    /// Received from here on, inclusive.
    pub start: DateTime<Utc>,
    /// Received before, exclusive.
    pub end: DateTime<Utc>,
    /// Those after this signal, which was the last one of the answer before.
    pub after: Option<(DateTime<Utc>, SignalId)>,
    /// At most so many.
    pub limit: u32,
}

/// What was received, in the order of receipt.
#[async_trait]
pub trait History: Send + Sync {
    /// Recorded events by time of receipt, oldest first, without their raw details and the traces of their decisions.
    /// Fewer than the query's limit come only at the end of the recording.
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<Event>, StoreError>;

    /// Recorded corroborating signals of a pop by time of receipt, oldest first, without their raw details. Fewer than
    /// the query's limit come only at the end of the recording.
    async fn corroboration_history(
        &self,
        query: &CorroborationHistoryQuery,
    ) -> Result<Vec<Corroboration>, StoreError>;
}
