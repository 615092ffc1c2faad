//! Operators, sessions and tokens as they are shown.

use chrono::TimeDelta;
use prefix_core::access as core;
use prefix_core::id::SessionId;

use crate::{ApiToken, LoggedIn, Operator, Preferences, Session};

impl From<&core::Operator> for Operator {
    fn from(operator: &core::Operator) -> Self {
        Self {
            operator_id: Some(operator.operator_id.into()),
            username: operator.username.to_string(),
            role: Some(operator.role.into()),
            created_at: Some(operator.created_at),
            created_by: operator.created_by.clone(),
            last_login_at: operator.last_login_at,
        }
    }
}

impl From<&core::Operator> for LoggedIn {
    fn from(operator: &core::Operator) -> Self {
        Self {
            operator_id: Some(operator.operator_id.into()),
            username: operator.username.to_string(),
            role: Some(operator.role.into()),
        }
    }
}

impl Session {
    /// A session of an operator; `current` is the one of the request.
    pub fn of(
        session: &core::LoginSession,
        operator: &core::Operator,
        idle: TimeDelta,
        current: Option<SessionId>,
    ) -> Self {
        Self {
            session_id: Some(session.session_id.into()),
            operator_id: Some(session.operator_id.into()),
            username: operator.username.to_string(),
            created_at: Some(session.created_at),
            last_seen_at: Some(session.last_seen_at),
            expires_at: Some(session.expires_at.min(session.last_seen_at + idle)),
            address: session.address.map(|address| address.to_string()),
            user_agent: session.user_agent.clone(),
            current: current == Some(session.session_id),
        }
    }
}

impl From<&core::ApiToken> for ApiToken {
    fn from(token: &core::ApiToken) -> Self {
        Self {
            token_id: Some(token.token_id.into()),
            name: token.name.to_string(),
            role: Some(token.role.into()),
            sources: token.sources.iter().map(ToString::to_string).collect(),
            allowed_cidrs: token.allowed_cidrs.iter().map(ToString::to_string).collect(),
            token_prefix: token.prefix.clone(),
            created_at: Some(token.created_at),
            created_by: token.created_by.clone(),
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            revoked_at: token.revoked_at,
        }
    }
}

impl From<core::Preferences> for Preferences {
    fn from(preferences: core::Preferences) -> Self {
        Self {
            quiet_hours_start: preferences.quiet_hours.map(|hours| hours.start),
            quiet_hours_end: preferences.quiet_hours.map(|hours| hours.end),
            muted_events: preferences.muted_events,
        }
    }
}
