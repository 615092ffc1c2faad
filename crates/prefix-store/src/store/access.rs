//! Who may do what: reads, and what is noted beside every unit of work.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use prefix_core::access::{
    ApiToken, Credential, CredentialDigest, CredentialId, LoginSession, Operator, Preferences, Username,
};
use prefix_core::id::{OperatorId, SessionId};
use prefix_core::ports::{Access, AccessState, StoreError};

use super::{Database, Lane, SqlStore};
use crate::executor::Executor;
use crate::queries::access;
use crate::row::{OperatorRow, PreferencesRow, SessionRow, TokenRow};
use crate::sql_type::Id;

#[async_trait]
impl<D: Database> Access for SqlStore<D> {
    async fn access_state(&self) -> Result<AccessState, StoreError> {
        let row = self.one(Lane::Engine, access::state()).await?;
        Ok(row.map_or_else(AccessState::default, |row| AccessState {
            revision: row.revision,
            has_admin: row.has_admin,
        }))
    }

    async fn credentials(&self, digests: &[CredentialDigest]) -> Result<(i64, Vec<Credential>), StoreError> {
        let digests: Vec<Vec<u8>> = digests.iter().map(|digest| digest.as_bytes().to_vec()).collect();
        let (tokens, sessions) =
            (access::tokens_by_digest(digests.clone()), access::sessions_by_digest(digests));
        let read = self.database.read(Lane::Engine, move |connection| {
            let read = async move {
                // first: what ends in between has a newer one
                let revision = connection.fetch_one(access::revision()).await?;
                let tokens = connection.fetch_all(tokens).await?;
                Ok((revision, tokens, connection.fetch_all(sessions).await?))
            };
            read.boxed()
        });
        let (revision, tokens, sessions) = read.await?;
        let tokens =
            tokens.into_iter().map(|row| row.parse().map(|token| Credential::Token(Box::new(token))));
        let login = |(session, operator)| Credential::Login(Box::new(session), Box::new(operator));
        let logins = sessions.into_iter().map(|row| row.parse().map(login));
        let found = tokens.chain(logins).collect::<Result<_, _>>()?;
        Ok((revision.map_or(0, |row| row.revision), found))
    }

    async fn operators(&self) -> Result<Vec<Operator>, StoreError> {
        self.all(Lane::People, access::operators()).await?.into_iter().map(OperatorRow::parse).collect()
    }

    async fn operator_named(&self, name: &Username) -> Result<Option<Operator>, StoreError> {
        self.one(Lane::People, access::operator_named(name.key())).await?.map(OperatorRow::parse).transpose()
    }

    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.all(Lane::People, access::tokens()).await?.into_iter().map(TokenRow::parse).collect()
    }

    async fn sessions(&self, of: Option<OperatorId>) -> Result<Vec<(LoginSession, Operator)>, StoreError> {
        let sql = access::sessions(of.map(|id| Id(id.as_uuid())));
        self.all(Lane::People, sql).await?.into_iter().map(SessionRow::parse).collect()
    }

    async fn session(&self, id: SessionId) -> Result<Option<(LoginSession, Operator)>, StoreError> {
        self.one(Lane::People, access::session(Id(id.as_uuid()))).await?.map(SessionRow::parse).transpose()
    }

    async fn preferences(&self, principal: &str) -> Result<Option<Preferences>, StoreError> {
        self.one(Lane::People, access::preferences(principal)).await?.map(PreferencesRow::parse).transpose()
    }

    async fn note_uses(&self, uses: &[(CredentialId, DateTime<Utc>)]) -> Result<(), StoreError> {
        for (id, at) in uses {
            self.database
                .execute(match id {
                    CredentialId::Token(id) => access::note_token(Id(id.as_uuid()), (*at).into()),
                    CredentialId::Session(id) => access::note_session(Id(id.as_uuid()), (*at).into()),
                })
                .await?;
        }
        Ok(())
    }

    async fn prune_sessions(&self, idle_since: DateTime<Utc>, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let idle = self.database.execute(access::prune_idle(idle_since.into())).await?;
        let over = self.database.execute(access::prune_over(now.into())).await?;
        Ok((idle + over) as u64)
    }
}
