//! What a unit of work changes of who may do what.

use super::RowChange;
use crate::access::{ApiToken, LoginSession, Operator, Preferences};
use crate::id::{OperatorId, SessionId};

/// New, changed and ended credentials.
#[derive(Clone, Debug, Default)]
pub struct AccessChanges {
    /// New and changed operators; a deleted one stays as a row, so that nobody gets its name.
    pub operators: Vec<RowChange<Operator>>,
    /// Tokens to put: new ones, and revoked ones in the place of what they were.
    pub tokens: Vec<ApiToken>,
    /// New sessions.
    pub sessions: Vec<LoginSession>,
    /// Sessions that end.
    pub ended_sessions: Vec<EndedSessions>,
    /// Preferences to put, by the key of their principal.
    pub preferences: Vec<(String, Preferences)>,
}

/// Which sessions end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndedSessions {
    /// This one.
    One(SessionId),
    /// All of an operator, but perhaps one.
    OfOperator(OperatorId, Option<SessionId>),
}

impl AccessChanges {
    /// True if there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.operators.is_empty()
            && self.tokens.is_empty()
            && self.sessions.is_empty()
            && self.ended_sessions.is_empty()
            && self.preferences.is_empty()
    }

    /// True if a credential ends or shrinks: the access revision rises, so that every instance checks what it holds.
    pub fn shrinks(&self) -> bool {
        let revoked = self.tokens.iter().any(|token| token.revoked_at.is_some());
        let lost = |change: &RowChange<Operator>| {
            change
                .before
                .as_ref()
                .is_some_and(|before| before.role != change.after.role || change.after.deleted_at.is_some())
        };
        revoked || !self.ended_sessions.is_empty() || self.operators.iter().any(lost)
    }
}
