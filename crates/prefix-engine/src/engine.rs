//! The engine's face: one method per use case.

use std::net::IpAddr;
use std::sync::Arc;

use prefix_core::address::Prefix;
use prefix_core::audit::AuditEntry;
use prefix_core::event::{Event, Report};
use prefix_core::id::{EventId, MitigationId};
use prefix_core::name::Pop;
use prefix_core::page::Page;
use prefix_core::safelist::SafelistEntry;
use prefix_core::store::{AuditQuery, Bucket, EventQuery, MitigationQuery, PopStats, SeriesQuery, Totals};
use prefix_core::{Announcer, Clock, Store};
use prefix_policy::{ManualRequest, Policy};

use crate::answer::{
    Answer, BatchItem, BulkItem, Created, EventOutcome, Health, History, MitigationView, PeerView, ReloadReport,
    SafelistAdded,
};
use crate::caller::Caller;
use crate::error::EngineError;
use crate::settings::Settings;

/// What the engine is composed of.
pub struct EngineParts {
    /// Durable storage.
    pub store: Arc<dyn Store>,
    /// The speaker.
    pub announcer: Arc<dyn Announcer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The policy to begin with.
    pub policy: Policy,
    /// What only a restart changes.
    pub settings: Settings,
}

/// The running engine; clones are handles to the same one.
#[derive(Clone)]
pub struct Engine {}

impl Engine {
    /// Loads the written intent, checks it against today's policy, and starts to work.
    pub async fn start(_parts: EngineParts) -> Result<Self, EngineError> {
        todo!()
    }
    /// A detector's event, ban or unban.
    pub async fn ingest(&self, _report: Report, _caller: &Caller) -> Result<Answer<EventOutcome>, EngineError> {
        todo!()
    }
    /// Several events, in order, as if sent alone. One outcome per item.
    pub async fn ingest_batch(
        &self,
        _items: Vec<BatchItem>,
        _caller: &Caller,
    ) -> Result<Answer<Vec<EventOutcome>>, EngineError> {
        todo!()
    }
    /// An operator's rule.
    pub async fn create(&self, _request: ManualRequest, _caller: &Caller) -> Result<Answer<Created>, EngineError> {
        todo!()
    }
    /// Ends a mitigation; repeating it is harmless until it has ended.
    pub async fn withdraw(
        &self,
        _id: MitigationId,
        _reason: &str,
        _caller: &Caller,
    ) -> Result<MitigationView, EngineError> {
        todo!()
    }
    /// Ends several mitigations, each on its own.
    pub async fn withdraw_many(
        &self,
        _ids: Vec<MitigationId>,
        _reason: &str,
        _caller: &Caller,
    ) -> Result<Vec<BulkItem>, EngineError> {
        todo!()
    }
    /// Marks mitigations as seen by the caller.
    pub async fn acknowledge(&self, _ids: Vec<MitigationId>, _caller: &Caller) -> Result<Vec<BulkItem>, EngineError> {
        todo!()
    }
    /// Puts a safelist entry and withdraws what it covers.
    pub async fn safelist_add(&self, _entry: SafelistEntry, _caller: &Caller) -> Result<SafelistAdded, EngineError> {
        todo!()
    }
    /// Removes a safelist entry.
    pub async fn safelist_remove(&self, _prefix: Prefix, _caller: &Caller) -> Result<(), EngineError> {
        todo!()
    }
    /// The safelist, expired entries left out.
    pub async fn safelist(&self) -> Result<Vec<SafelistEntry>, EngineError> {
        todo!()
    }
    /// One mitigation, of any pop.
    pub async fn mitigation(&self, _id: MitigationId) -> Result<MitigationView, EngineError> {
        todo!()
    }
    /// A page of mitigations.
    pub async fn mitigations(&self, _query: &MitigationQuery) -> Result<Page<MitigationView>, EngineError> {
        todo!()
    }
    /// One event.
    pub async fn event(&self, _id: EventId) -> Result<Event, EngineError> {
        todo!()
    }
    /// A page of events.
    pub async fn events(&self, _query: &EventQuery) -> Result<Page<Event>, EngineError> {
        todo!()
    }
    /// A page of audit entries.
    pub async fn audit(&self, _query: &AuditQuery) -> Result<Page<AuditEntry>, EngineError> {
        todo!()
    }
    /// Counts of each pop, the own one always among them, sorted by name.
    pub async fn pops(&self) -> Result<Vec<(Pop, PopStats)>, EngineError> {
        todo!()
    }
    /// Counts of everything.
    pub async fn totals(&self) -> Result<Totals, EngineError> {
        todo!()
    }
    /// A series of counts, gaps filled with 0.
    pub async fn series(&self, _query: &SeriesQuery) -> Result<Vec<Bucket>, EngineError> {
        todo!()
    }
    /// The newest events and mitigations of an address.
    pub async fn history(&self, _ip: IpAddr, _limit: u16) -> Result<History, EngineError> {
        todo!()
    }
    /// The BGP neighbors.
    pub async fn peers(&self) -> Vec<PeerView> {
        todo!()
    }
    /// The state of everything.
    pub async fn health(&self) -> Health {
        todo!()
    }
    /// True while storage answered when last asked and the engine is not going down; asks storage now.
    pub async fn ready(&self) -> Result<(), EngineError> {
        todo!()
    }
    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        todo!()
    }
    /// Replaces the policy and withdraws what no longer passes; more than 10 rules or 10 % of them only with `force`.
    pub async fn reload(&self, _policy: Policy, _force: bool, _caller: &Caller) -> Result<ReloadReport, EngineError> {
        todo!()
    }
    /// Writes an audit entry of its own, e.g. for a refused request.
    pub async fn record(&self, _entry: AuditEntry) -> Result<(), EngineError> {
        todo!()
    }
    /// Own pop and the other settings.
    pub fn settings(&self) -> &Settings {
        todo!()
    }
    /// Finishes what was accepted, takes no more, and stops every task.
    pub async fn shutdown(&self) {
        todo!()
    }
}
