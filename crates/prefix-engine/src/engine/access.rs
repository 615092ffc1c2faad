//! Who may do what: credentials of requests, operators, sessions, tokens and preferences.

mod login;

use chrono::{DateTime, Utc};
use prefix_access::{
    Act, Change, HashingError, NewOperator, NewSecret, NewToken, Password, Refused, change_password,
    change_role, create, create_token, delete, end_session, revoke_token,
};
use prefix_core::access::{
    ApiToken, CredentialDigest, CredentialId, LoginSession, Operator, Preferences, Role, Username,
};
use prefix_core::audit::{AuditAction, AuditEntry};
use prefix_core::id::{OperatorId, SessionId, TokenId};
use prefix_core::ports::{AccessChanges, ChangeSet, People, ReadSet};
use serde_json::json;

use super::Engine;
use crate::access::{AccessSettings, KnownCredential};
use crate::caller::Caller;
use crate::error::EngineError;
pub use login::LoginAttempt;

/// A password to be changed.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// Whose.
    pub operator_id: OperatorId,
    /// The new one.
    pub new: Password,
    /// The one before, which whoever changes their own has to know.
    pub current: Option<Password>,
}

/// A token to be made, before it has a secret.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Its name.
    pub name: prefix_core::name::TokenName,
    /// What its holder may do.
    pub role: Role,
    /// The only sources; empty = any.
    pub sources: std::collections::BTreeSet<prefix_core::name::SourceName>,
    /// The only addresses; empty = any.
    pub allowed_cidrs: Vec<prefix_core::address::Prefix>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

/// How long whoever finds the queue of passwords full is to wait.
const BUSY_SECONDS: u64 = 2;

impl From<Refused> for EngineError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::UsernameTaken(detail) => Self::UsernameTaken(detail),
            Refused::NotAllowed(detail) => Self::NotAllowed(detail),
            Refused::AdminExists => Self::NotAllowed(refused.to_string()),
            Refused::NotFound(detail) => Self::NotFound(detail),
            Refused::WrongPassword => Self::WrongPassword,
        }
    }
}

impl From<HashingError> for EngineError {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy => Self::TooManyLogins { detail: error.to_string(), seconds: BUSY_SECONDS },
            HashingError::Failed => Self::Internal(error.to_string()),
        }
    }
}

/// What a unit of work about access reads.
enum Facts {
    Everybody,
    One(OperatorId),
    Nothing,
}

impl Engine {
    /// Follows stored credentials from now on. Without it none is known.
    pub fn follow_access(&self, settings: AccessSettings) {
        self.running.shared.access.follow(settings, self.running.stop.clone());
    }

    /// The stored credential of this digest, if it is live; an error if that cannot be known.
    pub async fn credential(&self, digest: CredentialDigest) -> Result<Option<KnownCredential>, EngineError> {
        self.running.shared.access.find(digest).await
    }

    /// Whether storage holds an operator of role admin, as it was last read.
    pub fn has_admin(&self) -> bool {
        self.running.shared.access.has_admin()
    }

    /// What the configuration says of credentials.
    pub fn access_settings(&self) -> AccessSettings {
        self.running.shared.access.settings()
    }

    fn act(&self, caller: &Caller) -> Act {
        Act {
            now: self.now(),
            actor: caller.actor.clone(),
            operator: caller.operator.or(caller.on_behalf),
            address: caller.address,
            request_id: caller.request_id.clone(),
        }
    }

    /// Decides and writes in one transaction, unless the caller's own credential has ended.
    async fn change_access<T: Send>(
        &self,
        caller: &Caller,
        facts: Facts,
        mut decide: impl FnMut(&People) -> Result<Change<T>, Refused> + Send,
    ) -> Result<T, EngineError> {
        self.check_time()?;
        self.running.open_commit_queue()?;
        let shared = &self.running.shared;
        let mut reads = ReadSet::new(shared.settings.pop.clone(), self.now());
        reads.instance = Some(shared.leadership.instance());
        reads.held.extend(caller.held.map(|held| (held.id, held.revision)));
        match facts {
            Facts::Everybody => reads.people = true,
            Facts::One(id) => {
                reads.operators.insert(id);
            }
            Facts::Nothing => {}
        }
        let (mut outcome, mut shrinks) = (None, false);
        let mut run = |snapshot: prefix_core::ports::Snapshot| {
            if caller.held.is_some_and(|held| snapshot.ended.contains(&held.id)) {
                outcome = Some(Err(EngineError::CredentialEnded));
                return ChangeSet::default();
            }
            match decide(&snapshot.people) {
                Ok(change) => {
                    outcome = Some(Ok(change.value));
                    if caller.dry_run {
                        return ChangeSet::default();
                    }
                    shrinks = change.access.shrinks();
                    ChangeSet { access: change.access, audit: change.audit, ..ChangeSet::default() }
                }
                Err(refused) => {
                    outcome = Some(Err(refused.into()));
                    ChangeSet::default()
                }
            }
        };
        shared.store.transact(&reads, &mut run).await?;
        shared.to_seal.notify_one();
        if shrinks && let Err(error) = shared.access.refresh().await {
            tracing::debug!(%error, "what has ended is noticed a moment later");
        }
        outcome.unwrap_or_else(|| Err(EngineError::Internal("a decision about access was not made".into())))
    }

    /// Whether the credential of the caller is still live, as storage has it now: for what is done beside storage.
    pub async fn confirm(&self, caller: &Caller) -> Result<(), EngineError> {
        if caller.held.is_none() {
            return Ok(());
        }
        let nothing = || Change { value: (), access: AccessChanges::default(), audit: Vec::new() };
        self.change_access(caller, Facts::Nothing, |_| Ok(nothing())).await
    }

    /// Every operator that is not deleted, oldest first.
    pub async fn operators(&self) -> Result<Vec<Operator>, EngineError> {
        Ok(self.running.shared.store.operators().await?)
    }

    /// Creates an operator.
    pub async fn create_operator(
        &self,
        username: Username,
        role: Role,
        password: Password,
        caller: &Caller,
    ) -> Result<Operator, EngineError> {
        let password = self.running.shared.access.hasher()?.hash(password).await?;
        let act = self.act(caller);
        let new = NewOperator { operator_id: OperatorId::generate_at(act.now), username, role, password };
        self.change_access(caller, Facts::Everybody, |people| create(people, &act, new.clone())).await
    }

    /// Deletes an operator, with the logins and tokens of that operator.
    pub async fn delete_operator(&self, id: OperatorId, caller: &Caller) -> Result<(), EngineError> {
        let act = self.act(caller);
        self.change_access(caller, Facts::Everybody, |people| delete(people, &act, id)).await
    }

    /// Gives an operator another role.
    pub async fn change_role(
        &self,
        id: OperatorId,
        role: Role,
        caller: &Caller,
    ) -> Result<Operator, EngineError> {
        let act = self.act(caller);
        self.change_access(caller, Facts::Everybody, |people| change_role(people, &act, id, role)).await
    }

    /// Gives an operator another password. Whoever changes their own proves to know the one before.
    pub async fn change_password(&self, change: PasswordChange, caller: &Caller) -> Result<(), EngineError> {
        let access = &self.running.shared.access;
        let id = change.operator_id;
        let is_own = caller.operator == Some(id);
        let mut verified = None;
        if is_own {
            let all = self.running.shared.store.operators().await?;
            let hash = all.into_iter().find(|one| one.operator_id == id).and_then(|one| one.password);
            let name = caller.actor.name().to_owned();
            let reserved = access.throttle.reserve(&name, caller.address, true);
            let reservation = reserved.map_err(|wait| EngineError::TooManyLogins {
                detail: "too many wrong passwords; wait before the next one".to_owned(),
                seconds: wait.as_secs() + 1,
            })?;
            let Some(current) = change.current else { return Err(EngineError::WrongPassword) };
            let is_right = access.hasher()?.verify(current, hash.clone()).await;
            if !is_right.inspect_err(|_| access.throttle.take_back(&reservation))? {
                return Err(EngineError::WrongPassword);
            }
            access.throttle.succeeded(&reservation);
            verified = hash;
        }
        let password = access.hasher()?.hash(change.new).await?;
        let spared = match caller.held.map(|held| held.id) {
            Some(CredentialId::Session(session)) if is_own => Some(session),
            _ => None,
        };
        let act = self.act(caller);
        let decide =
            |people: &People| change_password(people, &act, id, password.clone(), verified.as_ref(), spared);
        self.change_access(caller, Facts::Everybody, decide).await
    }

    /// Sessions that are not over: of one operator, or of all.
    pub async fn sessions(
        &self,
        of: Option<OperatorId>,
    ) -> Result<Vec<(LoginSession, Operator)>, EngineError> {
        let (now, idle) = (self.now(), self.access_settings().session_idle);
        let mut sessions = self.running.shared.store.sessions(of).await?;
        sessions.retain(|(session, _)| session.is_live(now, idle));
        Ok(sessions)
    }

    /// Ends a session: one's own, or with `of_anybody` whosesoever.
    pub async fn end_session(
        &self,
        id: SessionId,
        of_anybody: bool,
        caller: &Caller,
    ) -> Result<(), EngineError> {
        let found = self.running.shared.store.session(id).await?;
        let found = found.filter(|(session, _)| of_anybody || caller.operator == Some(session.operator_id));
        let Some((session, operator)) = found else {
            return Err(EngineError::NotFound(format!("there is no session {id}")));
        };
        let act = self.act(caller);
        self.change_access(caller, Facts::Nothing, |_| Ok(end_session(&act, &session, &operator))).await
    }

    /// Every token, oldest first.
    pub async fn tokens(&self) -> Result<Vec<ApiToken>, EngineError> {
        Ok(self.running.shared.store.tokens().await?)
    }

    /// Makes a token: what is stored, and the secret, which nobody can ask for again.
    pub async fn create_token(
        &self,
        request: TokenRequest,
        caller: &Caller,
    ) -> Result<(ApiToken, NewSecret), EngineError> {
        let secret = NewSecret::token().map_err(|error| EngineError::Internal(error.to_string()))?;
        let act = self.act(caller);
        let latest = self.access_settings().token_max_age.map(|age| act.now + age);
        if let (Some(latest), Some(wanted)) = (latest, request.expires_at)
            && wanted > latest
        {
            return Err(EngineError::NotAllowed(format!(
                "expires_at is beyond http.auth.token_max_age_days: {} at the latest",
                latest.format("%Y-%m-%dT%H:%M:%SZ")
            )));
        }
        if request.expires_at.is_some_and(|end| end <= act.now) {
            return Err(EngineError::NotAllowed("expires_at is in the past".to_owned()));
        }
        let new = NewToken {
            token_id: TokenId::generate_at(act.now),
            name: request.name,
            role: request.role,
            sources: request.sources,
            allowed_cidrs: request.allowed_cidrs,
            expires_at: request.expires_at.or(latest),
            digest: secret.digest,
            prefix: secret.prefix.clone(),
        };
        let decide = |people: &People| create_token(people, &act, new.clone());
        let token = self.change_access(caller, Facts::Everybody, decide).await?;
        Ok((token, secret))
    }

    /// Revokes a token: after this nothing is stored with it, on any instance.
    pub async fn revoke_token(&self, id: TokenId, caller: &Caller) -> Result<(), EngineError> {
        let act = self.act(caller);
        self.change_access(caller, Facts::Everybody, |people| revoke_token(people, &act, id)).await
    }

    /// What a principal prefers, by its key.
    pub async fn preferences(&self, principal: &str) -> Result<Preferences, EngineError> {
        Ok(self.running.shared.store.preferences(principal).await?.unwrap_or_default())
    }

    /// Keeps what a principal prefers.
    pub async fn set_preferences(
        &self,
        principal: &str,
        preferences: &Preferences,
        caller: &Caller,
    ) -> Result<(), EngineError> {
        let act = self.act(caller);
        let mut details = json!({"preferences": preferences});
        details["request_id"] = json!(act.request_id);
        details["address"] = json!(act.address);
        let entry = AuditEntry::new(act.now, act.actor.clone(), AuditAction::PreferencesUpdate, details);
        let entry = entry.on("preferences", act.actor.name());
        let decide = |_: &People| {
            let put = vec![(principal.to_owned(), preferences.clone())];
            let access = AccessChanges { preferences: put, ..AccessChanges::default() };
            Ok(Change { value: (), access, audit: vec![entry.clone()] })
        };
        self.change_access(caller, Facts::Nothing, decide).await
    }
}
