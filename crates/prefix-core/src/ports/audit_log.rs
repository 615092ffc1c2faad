//! The audit log, and the hash chain that proves it complete ([`crate::audit_chain`]).

use async_trait::async_trait;

use super::{Epoch, StoreError};
use crate::audit::AuditEntry;
use crate::audit_chain::ChainHead;
use crate::name::Pop;
use crate::page::{Page, PageRequest};

/// Which audit entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditQuery {
    /// Which page.
    pub page: PageRequest,
    /// In the chain of this pop; `None` = of every pop.
    pub pop: Option<Pop>,
    /// Of this action.
    pub action: Option<String>,
    /// Of this actor.
    pub actor_id: Option<String>,
    /// About this kind of thing.
    pub target_type: Option<String>,
    /// About this thing.
    pub target_id: Option<String>,
}

/// Audit entries, and their places in the chain of their pop.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// A page of audit entries by time.
    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError>;

    /// Seals up to `limit` audit entries of a pop, in the order of their commits; returns how many. Only the leader
    /// of the pop may do it.
    async fn seal_audit(&self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError>;

    /// The newest sealed entry of a pop, as the store noted it apart from the entries.
    async fn audit_chain_head(&self, pop: &Pop) -> Result<Option<ChainHead>, StoreError>;

    /// Up to `limit` sealed audit entries of a pop from number `from` on, in order.
    async fn audit_chain(&self, pop: &Pop, from: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;
}
