//! Reads about who may do what, and what is noted of credentials beside every unit of work.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::access::{
    ApiToken, Credential, CredentialDigest, CredentialId, LoginSession, Operator, Preferences, Username,
};
use crate::id::{OperatorId, SessionId};

/// What every instance follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessState {
    /// Rises whenever a credential ends or shrinks.
    pub revision: i64,
    /// Whether there is an operator of role admin.
    pub has_admin: bool,
}

/// Operators, sessions, tokens and preferences.
#[async_trait]
pub trait Access: Send + Sync {
    /// The access revision, and whether there is an admin. Cheap: it is asked for several times a second.
    async fn access_state(&self) -> Result<AccessState, StoreError>;

    /// Those of these credentials that are not revoked or ended, whatever the time, as of this access revision or a later one.
    async fn credentials(&self, digests: &[CredentialDigest]) -> Result<(i64, Vec<Credential>), StoreError>;

    /// Every operator that is not deleted, oldest first.
    async fn operators(&self) -> Result<Vec<Operator>, StoreError>;

    /// The operator of this name, regardless of case, unless it is deleted.
    async fn operator_named(&self, name: &Username) -> Result<Option<Operator>, StoreError>;

    /// Every token, oldest first.
    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError>;

    /// Every session of an operator, or of all, oldest first, with the operator.
    async fn sessions(&self, of: Option<OperatorId>) -> Result<Vec<(LoginSession, Operator)>, StoreError>;

    /// One session, with its operator.
    async fn session(&self, id: SessionId) -> Result<Option<(LoginSession, Operator)>, StoreError>;

    /// What a principal prefers, by its key.
    async fn preferences(&self, principal: &str) -> Result<Option<Preferences>, StoreError>;

    /// Notes when credentials were used last. An older time than the stored one changes nothing.
    async fn note_uses(&self, uses: &[(CredentialId, DateTime<Utc>)]) -> Result<(), StoreError>;

    /// Forgets sessions that were not used since `idle_since`, or are over at `now`. Returns how many.
    async fn prune_sessions(&self, idle_since: DateTime<Utc>, now: DateTime<Utc>) -> Result<u64, StoreError>;
}
