//! The way to who may do what.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use prefix_core::access::{
    ApiToken, Credential, CredentialDigest, CredentialId, LoginSession, Operator, Preferences, Username,
};
use prefix_core::id::{OperatorId, SessionId};
use prefix_core::ports::{Access, AccessState, StoreError};
use prefix_testkit::fakes::MemoryStore;

use super::Mortal;

#[async_trait]
impl Access for Mortal<MemoryStore> {
    async fn access_state(&self) -> Result<AccessState, StoreError> {
        self.served(self.port.access_state()).await
    }

    async fn credentials(&self, digests: &[CredentialDigest]) -> Result<(i64, Vec<Credential>), StoreError> {
        self.served(self.port.credentials(digests)).await
    }

    async fn operators(&self) -> Result<Vec<Operator>, StoreError> {
        self.served(self.port.operators()).await
    }

    async fn operator_named(&self, name: &Username) -> Result<Option<Operator>, StoreError> {
        self.served(self.port.operator_named(name)).await
    }

    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.served(self.port.tokens()).await
    }

    async fn sessions(&self, of: Option<OperatorId>) -> Result<Vec<(LoginSession, Operator)>, StoreError> {
        self.served(self.port.sessions(of)).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<(LoginSession, Operator)>, StoreError> {
        self.served(self.port.session(id)).await
    }

    async fn preferences(&self, principal: &str) -> Result<Option<Preferences>, StoreError> {
        self.served(self.port.preferences(principal)).await
    }

    async fn note_uses(&self, uses: &[(CredentialId, DateTime<Utc>)]) -> Result<(), StoreError> {
        self.served(self.port.note_uses(uses)).await
    }

    async fn prune_sessions(&self, idle_since: DateTime<Utc>, now: DateTime<Utc>) -> Result<u64, StoreError> {
        self.served(self.port.prune_sessions(idle_since, now)).await
    }
}
