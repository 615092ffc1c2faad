//! Logging in and out.

use std::net::IpAddr;

use prefix_access::{NewSecret, Password, login, logout};
use prefix_core::access::{CredentialId, LoginSession, Operator, PasswordHash, Username};
use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::id::SessionId;
use prefix_core::ports::People;
use serde_json::json;

use super::{Engine, Facts};
use crate::caller::Caller;
use crate::error::EngineError;

/// Somebody who says who they are.
#[derive(Clone, Debug)]
pub struct LoginAttempt {
    /// The name as it was typed.
    pub username: String,
    /// The password.
    pub password: Password,
    /// From where.
    pub address: Option<IpAddr>,
    /// With which program.
    pub user_agent: Option<String>,
    /// The request.
    pub request_id: String,
}

impl Engine {
    /// Checks name and password, and begins a session: the operator, and the secret for the cookie.
    pub async fn login(&self, attempt: LoginAttempt) -> Result<(Operator, NewSecret), EngineError> {
        let access = &self.running.shared.access;
        let operator = match attempt.username.parse::<Username>() {
            Ok(name) => self.running.shared.store.operator_named(&name).await?,
            Err(_) => None,
        };
        let now = self.now();
        let is_known = attempt
            .address
            .zip(operator.as_ref())
            .is_some_and(|(address, operator)| operator.knows(address, now));
        let reserved = access.throttle.reserve(&attempt.username, attempt.address, is_known);
        let reservation = reserved.map_err(|wait| EngineError::TooManyLogins {
            detail: "too many failed logins; wait before the next one".to_owned(),
            seconds: wait.as_secs() + 1,
        })?;
        let hash = operator.as_ref().and_then(|operator| operator.password.clone());
        let verified = async { access.hasher()?.verify(attempt.password.clone(), hash.clone()).await };
        let is_right = verified.await.inspect_err(|_| access.throttle.take_back(&reservation))?;
        let (true, Some(operator), Some(hash)) = (is_right, operator, hash) else {
            self.login_failed(&attempt).await;
            return Err(EngineError::WrongPassword);
        };
        let begun = self.begin_session(&attempt, &operator, &hash).await;
        match &begun {
            Ok(_) => access.throttle.succeeded(&reservation),
            Err(EngineError::WrongPassword) => {}
            Err(_) => access.throttle.take_back(&reservation),
        }
        begun
    }

    async fn begin_session(
        &self,
        attempt: &LoginAttempt,
        operator: &Operator,
        verified: &PasswordHash,
    ) -> Result<(Operator, NewSecret), EngineError> {
        let secret = NewSecret::cookie().map_err(|error| EngineError::Internal(error.to_string()))?;
        let now = self.now();
        let session = LoginSession {
            session_id: SessionId::generate_at(now),
            operator_id: operator.operator_id,
            digest: secret.digest,
            created_at: now,
            last_seen_at: now,
            expires_at: now + LoginSession::LIFETIME,
            address: attempt.address,
            user_agent: attempt.user_agent.clone(),
        };
        let caller = Caller {
            actor: Actor::operator(operator.username.as_str()),
            operator: Some(operator.operator_id),
            address: attempt.address,
            request_id: attempt.request_id.clone(),
            ..Caller::system()
        };
        let act = self.act(&caller);
        let facts = Facts::One(operator.operator_id);
        let decide = |people: &People| login(people, &act, session.clone(), verified);
        let operator = self.change_access(&caller, facts, decide).await?;
        Ok((operator, secret))
    }

    /// At most one entry per name and minute.
    async fn login_failed(&self, attempt: &LoginAttempt) {
        let Some(count) = self.running.shared.access.failures.failed(&attempt.username) else { return };
        // what is no name may be a password that was typed in the wrong place
        let name = attempt.username.parse::<Username>();
        let shown = name.as_ref().map_or("(no user name)", Username::as_str);
        let details = json!({
            "username": shown, "count": count, "request_id": attempt.request_id, "address": attempt.address,
        });
        let actor = Actor::operator("anonymous");
        let entry = AuditEntry::new(self.now(), actor, AuditAction::LoginFailed, details);
        if let Err(error) = self.record(entry.on("operator", shown)).await {
            tracing::warn!(%error, "the audit entry of a failed login could not be written");
        }
    }

    /// Ends the caller's own session; a caller without one has nothing to end.
    pub async fn logout(&self, caller: &Caller) -> Result<(), EngineError> {
        let Some(CredentialId::Session(id)) = caller.held.map(|held| held.id) else { return Ok(()) };
        let act = self.act(caller);
        match self.change_access(caller, Facts::Nothing, |_| Ok(logout(&act, id))).await {
            Err(EngineError::CredentialEnded) => Ok(()),
            done => done,
        }
    }
}
