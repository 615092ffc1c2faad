//! Decisions about logins.

use prefix_core::access::{LoginSession, Operator, PasswordHash};
use prefix_core::audit::AuditAction;
use prefix_core::id::SessionId;
use prefix_core::ports::{AccessChanges, EndedSessions, People, RowChange};
use serde_json::json;

use crate::act::{Act, Change, Refused};

/// Begins a session for the operator whose password was `verified`, if it still is that one.
pub fn login(
    people: &People,
    act: &Act,
    session: LoginSession,
    verified: &PasswordHash,
) -> Result<Change<Operator>, Refused> {
    let operator = people.operators.iter().find(|one| one.operator_id == session.operator_id);
    let operator = operator.filter(|one| one.deleted_at.is_none() && one.password.as_ref() == Some(verified));
    let Some(operator) = operator else { return Err(Refused::WrongPassword) };
    let after = operator.clone().logged_in(act.address, act.now);
    let details = json!({"username": operator.username, "session_id": session.session_id});
    let target = ("operator", operator.operator_id.to_string());
    let audit = vec![act.entry(AuditAction::Login, target, details)];
    let access = AccessChanges {
        operators: vec![RowChange {
            before: Some(Box::new(operator.clone())),
            after: Box::new(after.clone()),
        }],
        sessions: vec![session],
        ..AccessChanges::default()
    };
    Ok(Change { value: after, access, audit })
}

/// Ends one's own session.
pub fn logout(act: &Act, id: SessionId) -> Change<()> {
    ended(act, id, json!({}))
}

/// Ends a session, of whomever.
pub fn end_session(act: &Act, session: &LoginSession, of: &Operator) -> Change<()> {
    ended(act, session.session_id, json!({"username": of.username}))
}

fn ended(act: &Act, id: SessionId, details: serde_json::Value) -> Change<()> {
    let audit = vec![act.entry(AuditAction::Logout, ("session", id.to_string()), details)];
    let ended_sessions = vec![EndedSessions::One(id)];
    Change { value: (), access: AccessChanges { ended_sessions, ..AccessChanges::default() }, audit }
}
