//! Operators and tokens in the database itself, without the daemon: for the first admin, and for whoever has none left.
//! The same decisions as the daemon's, each in one transaction, audited like its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use prefix_access::{
    Act, Change, NewOperator, NewSecret, NewToken, Password, Refused, create, create_first_admin,
    create_token, hash,
};
use prefix_core::Store;
use prefix_core::access::{ApiToken, Operator, Role, Username};
use prefix_core::address::Prefix;
use prefix_core::audit::Actor;
use prefix_core::id::{OperatorId, TokenId};
use prefix_core::name::{Pop, SourceName, TokenName};
use prefix_core::ports::{ChangeSet, People, ReadSet};

use secrecy::ExposeSecret;

use crate::database::Database;
use crate::error::DirectError;
use crate::panic::user;

/// The database as the place of operators and tokens.
#[derive(Debug, Clone)]
pub struct AccessDatabase {
    pub(crate) database: Database,
    pub(crate) pop: Pop,
    /// The shortest password that the daemon would take.
    pub password_min_length: usize,
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct TokenWish {
    /// Its name.
    pub name: TokenName,
    /// What its holder may do.
    pub role: Role,
    /// The only sources; required for a detector.
    pub sources: BTreeSet<SourceName>,
    /// The only addresses; empty = any.
    pub allowed_cidrs: Vec<Prefix>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A token that was made, and its secret.
#[derive(Debug)]
pub struct MadeToken {
    /// What is stored.
    pub token: ApiToken,
    /// The secret.
    secret: NewSecret,
}

impl MadeToken {
    /// The token itself, to be shown this once.
    pub fn text(&self) -> &str {
        self.secret.secret.expose_secret()
    }
}

impl AccessDatabase {
    /// Whether there is an admin already.
    pub async fn has_admin(&self, timeout: Duration) -> Result<bool, DirectError> {
        Ok(self.database.open(timeout).await?.access_state().await?.has_admin)
    }

    /// Creates an operator; `first`: only if there is no admin, whoever else tries at the same moment.
    pub async fn create_operator(
        &self,
        (username, role): (Username, Role),
        password: &Password,
        first: bool,
        timeout: Duration,
    ) -> Result<Operator, DirectError> {
        let store = self.database.open(timeout).await?;
        let password = hash(password).map_err(|error| DirectError::Secret(error.to_string()))?;
        let act = act();
        let new = NewOperator { operator_id: OperatorId::generate_at(act.now), username, role, password };
        let decide = if first { create_first_admin } else { create };
        self.change(&store, &act, |people| decide(people, &act, new.clone())).await
    }

    /// Makes a token.
    pub async fn create_token(&self, wish: TokenWish, timeout: Duration) -> Result<MadeToken, DirectError> {
        let store = self.database.open(timeout).await?;
        let secret = NewSecret::token().map_err(|error| DirectError::Secret(error.to_string()))?;
        let act = act();
        let new = NewToken {
            token_id: TokenId::generate_at(act.now),
            name: wish.name,
            role: wish.role,
            sources: wish.sources,
            allowed_cidrs: wish.allowed_cidrs,
            expires_at: wish.expires_at,
            digest: secret.digest,
            prefix: secret.prefix.clone(),
        };
        let token = self.change(&store, &act, |people| create_token(people, &act, new.clone())).await?;
        Ok(MadeToken { token, secret })
    }

    async fn change<T: Send>(
        &self,
        store: &Arc<dyn Store>,
        act: &Act,
        mut decide: impl FnMut(&People) -> Result<Change<T>, Refused> + Send,
    ) -> Result<T, DirectError> {
        let reads = ReadSet { people: true, ..ReadSet::new(self.pop.clone(), act.now) };
        let mut outcome = None;
        let mut run = |snapshot: prefix_core::ports::Snapshot| match decide(&snapshot.people) {
            Ok(change) => {
                outcome = Some(Ok(change.value));
                ChangeSet { access: change.access, audit: change.audit, ..ChangeSet::default() }
            }
            Err(refused) => {
                outcome = Some(Err(refused));
                ChangeSet::default()
            }
        };
        store.transact(&reads, &mut run).await?;
        outcome.ok_or(DirectError::NoRecord)?.map_err(DirectError::from)
    }
}

fn act() -> Act {
    // no name of an operator has a colon: nobody of the API is meant
    let actor = Actor::operator(format!("direct:{}", user()));
    Act { now: Utc::now(), actor, operator: None, address: None, request_id: String::new() }
}
