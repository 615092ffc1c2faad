//! Operators, tokens, sessions and preferences of the fake.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use prefix_core::access::{
    ApiToken, Credential, CredentialDigest, CredentialId, LoginSession, Operator, Preferences, Username,
};
use prefix_core::id::{OperatorId, SessionId, TokenId};
use prefix_core::ports::{
    Access, AccessChanges, AccessState, EndedSessions, People, ReadSet, Snapshot, StoreError,
};

use super::MemoryStore;

/// Who may do what.
#[derive(Clone, Debug, Default)]
pub(super) struct AccessRows {
    revision: i64,
    operators: BTreeMap<OperatorId, Operator>,
    tokens: BTreeMap<TokenId, ApiToken>,
    sessions: BTreeMap<SessionId, LoginSession>,
    preferences: BTreeMap<String, Preferences>,
}

impl AccessRows {
    fn is_live(&self, id: CredentialId) -> bool {
        match id {
            CredentialId::Token(id) => self.tokens.get(&id).is_some_and(|token| token.revoked_at.is_none()),
            CredentialId::Session(id) => self.sessions.contains_key(&id),
        }
    }

    pub(super) fn read(&self, reads: &ReadSet, snapshot: &mut Snapshot) {
        if !reads.held.is_empty() {
            snapshot.access_revision = self.revision;
            let older = reads.held.iter().filter(|(_, at)| **at != self.revision).map(|(id, _)| *id);
            snapshot.ended = older.filter(|id| !self.is_live(*id)).collect::<HashSet<_>>();
        }
        let wanted = |id: &OperatorId| reads.people || reads.operators.contains(id);
        let operators = self.operators.values().filter(|operator| wanted(&operator.operator_id));
        let tokens = self.tokens.values().filter(|token| reads.people && token.revoked_at.is_none());
        snapshot.people =
            People { operators: operators.cloned().collect(), tokens: tokens.cloned().collect() };
    }

    pub(super) fn check(&self, changes: &AccessChanges) -> Result<(), StoreError> {
        for change in &changes.operators {
            let after = &change.after;
            let stored = self.operators.get(&after.operator_id);
            let before = change.before.as_ref().map(|before| before.revision);
            if stored.map(|operator| operator.revision) != before {
                return Err(StoreError::Conflict(format!("operator {} changed", after.operator_id)));
            }
            let is_taken =
                |other: &Operator| other.username == after.username && other.operator_id != after.operator_id;
            if self.operators.values().any(is_taken) {
                return Err(StoreError::Invalid(format!("the name {} is taken", after.username)));
            }
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, changes: AccessChanges) {
        self.revision += i64::from(changes.shrinks());
        for change in changes.operators {
            let mut after = *change.after;
            after.revision = change.before.map_or(after.revision, |before| before.revision + 1);
            self.operators.insert(after.operator_id, after);
        }
        for mut token in changes.tokens {
            let stored = self.tokens.get(&token.token_id);
            token.last_used_at = stored.and_then(|stored| stored.last_used_at);
            self.tokens.insert(token.token_id, token);
        }
        for ended in changes.ended_sessions {
            self.sessions.retain(|id, session| match ended {
                EndedSessions::One(one) => *id != one,
                EndedSessions::OfOperator(operator, but) => {
                    session.operator_id != operator || Some(*id) == but
                }
            });
        }
        self.sessions.extend(changes.sessions.into_iter().map(|session| (session.session_id, session)));
        self.preferences.extend(changes.preferences);
    }

    fn with_operator(&self, session: &LoginSession) -> Option<(LoginSession, Operator)> {
        let operator = self.operators.get(&session.operator_id)?;
        Some((session.clone(), operator.clone()))
    }
}

#[async_trait]
impl Access for MemoryStore {
    async fn access_state(&self) -> Result<AccessState, StoreError> {
        self.read(|state| AccessState {
            revision: state.access.revision,
            has_admin: state.access.operators.values().any(Operator::is_admin),
        })
    }

    async fn credentials(&self, digests: &[CredentialDigest]) -> Result<(i64, Vec<Credential>), StoreError> {
        self.read(|state| {
            let access = &state.access;
            let tokens = access.tokens.values().filter(|token| token.revoked_at.is_none());
            let tokens = tokens.map(|token| Credential::Token(Box::new(token.clone())));
            let logins = access.sessions.values().filter_map(|session| access.with_operator(session));
            let logins =
                logins.map(|(session, operator)| Credential::Login(Box::new(session), Box::new(operator)));
            let found = tokens.chain(logins).filter(|one| digests.contains(&one.digest()));
            (access.revision, found.collect())
        })
    }

    async fn operators(&self) -> Result<Vec<Operator>, StoreError> {
        self.read(|state| {
            let operators = state.access.operators.values();
            operators.filter(|operator| operator.deleted_at.is_none()).cloned().collect()
        })
    }

    async fn operator_named(&self, name: &Username) -> Result<Option<Operator>, StoreError> {
        self.read(|state| {
            let mut operators = state.access.operators.values();
            operators.find(|one| one.deleted_at.is_none() && one.username == *name).cloned()
        })
    }

    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.read(|state| state.access.tokens.values().cloned().collect())
    }

    async fn sessions(&self, of: Option<OperatorId>) -> Result<Vec<(LoginSession, Operator)>, StoreError> {
        self.read(|state| {
            let sessions = state.access.sessions.values();
            let meant = sessions.filter(|session| of.is_none_or(|of| session.operator_id == of));
            meant.filter_map(|session| state.access.with_operator(session)).collect()
        })
    }

    async fn session(&self, id: SessionId) -> Result<Option<(LoginSession, Operator)>, StoreError> {
        self.read(|state| {
            state.access.sessions.get(&id).and_then(|session| state.access.with_operator(session))
        })
    }

    async fn preferences(&self, principal: &str) -> Result<Option<Preferences>, StoreError> {
        self.read(|state| state.access.preferences.get(principal).cloned())
    }

    async fn note_uses(&self, uses: &[(CredentialId, DateTime<Utc>)]) -> Result<(), StoreError> {
        self.change(|state, _| {
            for (id, at) in uses {
                match id {
                    CredentialId::Token(id) => {
                        if let Some(token) = state.access.tokens.get_mut(id) {
                            token.last_used_at = token.last_used_at.max(Some(*at));
                        }
                    }
                    CredentialId::Session(id) => {
                        if let Some(session) = state.access.sessions.get_mut(id) {
                            session.last_seen_at = session.last_seen_at.max(*at);
                        }
                    }
                }
            }
        })
    }

    async fn prune_sessions(&self, idle_since: DateTime<Utc>, now: DateTime<Utc>) -> Result<u64, StoreError> {
        self.change(|state, _| {
            let sessions = &mut state.access.sessions;
            let before = sessions.len();
            sessions.retain(|_, session| session.last_seen_at >= idle_since && session.expires_at >= now);
            (before - sessions.len()) as u64
        })
    }
}
