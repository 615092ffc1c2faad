//! Mitigations, events, the safelist and the panic scopes as they are committed.

use async_trait::async_trait;

use super::StoreError;
use crate::address::{Prefix, VictimIp};
use crate::event::Event;
use crate::flowspec::ActionType;
use crate::id::{EventId, MitigationId, PanicId};
use crate::mitigation::{Mitigation, Status};
use crate::name::{CustomerId, Pop, SourceName, VectorName};
use crate::page::{Page, PageRequest};
use crate::panic::PanicScope;
use crate::safelist::Safelist;

/// Which mitigations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MitigationQuery {
    /// Which page.
    pub page: PageRequest,
    /// Of one of these statuses; empty = any.
    pub status: Vec<Status>,
    /// Of this customer.
    pub customer_id: Option<CustomerId>,
    /// For this address.
    pub victim_ip: Option<VictimIp>,
    /// Of this kind.
    pub vector: Option<VectorName>,
    /// Of this pop; `None` = every pop.
    pub pop: Option<Pop>,
    /// Acknowledged, or not.
    pub acknowledged: Option<bool>,
    /// With a lease of this source.
    pub source: Option<SourceName>,
    /// With an action of this type.
    pub action_type: Option<ActionType>,
    /// For an address within this prefix.
    pub within: Option<Prefix>,
}

impl MitigationQuery {
    /// Whether a row is of those that are asked for, on whatever page it is.
    pub fn matches(&self, row: &Mitigation) -> bool {
        let Self {
            page: _,
            status,
            customer_id,
            victim_ip,
            vector,
            pop,
            acknowledged,
            source,
            action_type,
            within,
        } = self;
        (status.is_empty() || status.contains(&row.status))
            && (customer_id.is_none() || row.customer_id == *customer_id)
            && victim_ip.is_none_or(|victim| row.victim_ip == victim)
            && vector.as_ref().is_none_or(|vector| row.vector == *vector)
            && pop.as_ref().is_none_or(|pop| row.pop == *pop)
            && acknowledged.is_none_or(|wanted| row.acknowledged_at.is_some() == wanted)
            && source.as_ref().is_none_or(|source| row.lease(source).is_some())
            && action_type.is_none_or(|wanted| row.action.action_type() == wanted)
            && within.is_none_or(|prefix| prefix.contains(row.victim_ip))
    }
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventQuery {
    /// Which page.
    pub page: PageRequest,
    /// Of this source.
    pub source: Option<SourceName>,
    /// Against this address.
    pub victim_ip: Option<VictimIp>,
    /// Of this kind.
    pub vector: Option<VectorName>,
}

/// What is stored, read outside of a unit of work. Lists are newest first.
#[async_trait]
pub trait Reads: Send + Sync {
    /// Every mitigation of a pop that is not final (queued, pending, active, escalated, withdrawing).
    async fn unfinished(&self, pop: &Pop) -> Result<Vec<Mitigation>, StoreError>;

    /// The mitigations that are not final, of a pop (`None` = every pop) and of a customer (`None` = everybody).
    async fn unfinished_ids(
        &self,
        pop: Option<&Pop>,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<MitigationId>, StoreError>;

    /// One mitigation, of any pop.
    async fn mitigation(&self, id: MitigationId) -> Result<Option<Mitigation>, StoreError>;

    /// A page of mitigations by time of creation.
    async fn mitigations(&self, query: &MitigationQuery) -> Result<Page<Mitigation>, StoreError>;

    /// These mitigations, of any pop and status; those that do not exist are left out.
    async fn by_ids(&self, ids: &[MitigationId]) -> Result<Vec<Mitigation>, StoreError>;

    /// One event.
    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError>;

    /// A page of events by time of receipt, without their raw details, which can be a megabyte each.
    async fn events(&self, query: &EventQuery) -> Result<Page<Event>, StoreError>;

    /// The safelist as it is now, expired entries included.
    async fn safelist(&self) -> Result<Safelist, StoreError>;

    /// The panic scopes that are not thawed, oldest first.
    async fn panic_scopes(&self) -> Result<Vec<PanicScope>, StoreError>;

    /// One panic scope, thawed or not.
    async fn panic_scope(&self, id: PanicId) -> Result<Option<PanicScope>, StoreError>;
}
