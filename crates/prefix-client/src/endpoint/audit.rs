//! The audit trail.

use crate::client::Client;
use crate::error::ApiError;

use crate::operation;
use crate::page::Paged;
use crate::query::{AuditQuery, ChainQuery};
use crate::reply::Reply;
use crate::transport::Call;
use prefix_api_types::{AuditEntry, ChainVerdict, Page};

impl Client {
    /// The first page of entries.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Reply<Page<AuditEntry>>, ApiError> {
        self.call(Call::new(operation::AUDIT_LIST).query(query.pairs())).await
    }

    /// All entries, page by page.
    pub fn all_audit(&self, query: &AuditQuery) -> Paged<AuditEntry> {
        Paged::new(self, operation::AUDIT_LIST, query.pairs())
    }

    /// Checks the chain of the answering instance's pop.
    pub async fn verify_audit(&self, query: &ChainQuery) -> Result<Reply<ChainVerdict>, ApiError> {
        self.call(Call::new(operation::AUDIT_VERIFY).query(query.pairs())).await
    }
}
