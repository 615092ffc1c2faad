//! Operators, tokens, sessions, preferences, and the revision that rises when one of the credentials ends.

use prefix_core::ports::EndedSessions;

use crate::row::define::record;
use crate::row::{OperatorRow, PreferencesRow, SessionRow, TokenRow};
use crate::sql::Sql;
use crate::sql_type::{Id, Micros};

record! {
    /// What every instance follows.
    StateRow { revision: i64, has_admin: bool }
}

record! {
    /// The identifier of a credential.
    LiveRow { id: Id }
}

record! {
    /// The access revision.
    RevisionRow of access_revision { revision: i64 }
}

/// The access revision, and whether there is an admin.
pub(crate) fn state() -> Sql<StateRow> {
    Sql::new(
        "SELECT revision, EXISTS (SELECT 1 FROM operators WHERE is_admin) AS has_admin FROM access_revision",
    )
}

/// The access revision.
pub(crate) fn revision() -> Sql<RevisionRow> {
    Sql::select("FROM access_revision")
}

/// A credential has ended or shrunk.
pub(crate) fn rise() -> Sql {
    Sql::new("UPDATE access_revision SET revision = revision + 1")
}

/// Every operator, the deleted ones included, oldest first: their ids are in the order of time.
pub(crate) fn all_operators() -> Sql<OperatorRow> {
    Sql::select("FROM operators ORDER BY operator_id")
}

/// Every operator that is not deleted, oldest first.
pub(crate) fn operators() -> Sql<OperatorRow> {
    Sql::select("FROM operators WHERE NOT is_deleted ORDER BY operator_id")
}

/// These operators.
pub(crate) fn operators_by_id(ids: Vec<Id>) -> Sql<OperatorRow> {
    Sql::select("FROM operators").any("operator_id", ids)
}

/// The operator of this name.
pub(crate) fn operator_named(key: String) -> Sql<OperatorRow> {
    Sql::select("FROM operators WHERE NOT is_deleted AND name_key = ?").bind(key)
}

/// Every token, oldest first.
pub(crate) fn tokens() -> Sql<TokenRow> {
    Sql::select("FROM tokens ORDER BY token_id")
}

/// Every token that is not revoked, oldest first.
pub(crate) fn live_tokens() -> Sql<TokenRow> {
    Sql::select("FROM tokens WHERE NOT is_revoked ORDER BY token_id")
}

/// The tokens of these digests that are not revoked.
pub(crate) fn tokens_by_digest(digests: Vec<Vec<u8>>) -> Sql<TokenRow> {
    Sql::select("FROM tokens").only("NOT is_revoked").any("digest", digests)
}

fn sessions_of() -> Sql<SessionRow> {
    Sql::select_and(
        "operators.revision AS operator_revision, operators.doc AS operator_doc",
        "FROM sessions JOIN operators ON operators.operator_id = sessions.operator_id",
    )
}

/// The sessions of these digests.
pub(crate) fn sessions_by_digest(digests: Vec<Vec<u8>>) -> Sql<SessionRow> {
    sessions_of().any("sessions.digest", digests)
}

/// The sessions of an operator, or of all, oldest first.
pub(crate) fn sessions(of: Option<Id>) -> Sql<SessionRow> {
    sessions_of().filter_some("sessions.operator_id = ?", of).push(" ORDER BY sessions.session_id")
}

/// One session.
pub(crate) fn session(id: Id) -> Sql<SessionRow> {
    sessions_of().filter("sessions.session_id = ?", id)
}

/// Those of these tokens that are not revoked.
pub(crate) fn held_tokens(ids: Vec<Id>) -> Sql<LiveRow> {
    Sql::new("SELECT token_id AS id FROM tokens").only("NOT is_revoked").any("token_id", ids)
}

/// Those of these sessions that there are.
pub(crate) fn held_sessions(ids: Vec<Id>) -> Sql<LiveRow> {
    Sql::new("SELECT session_id AS id FROM sessions").any("session_id", ids)
}

/// What a principal prefers.
pub(crate) fn preferences(principal: &str) -> Sql<PreferencesRow> {
    Sql::select("FROM preferences WHERE principal = ?").bind(principal)
}

/// Ends sessions.
pub(crate) fn end_sessions(ended: &EndedSessions) -> Sql {
    let delete = Sql::new("DELETE FROM sessions");
    match ended {
        EndedSessions::One(id) => delete.filter("session_id = ?", Id(id.as_uuid())),
        EndedSessions::OfOperator(operator, but) => delete
            .filter("operator_id = ?", Id(operator.as_uuid()))
            .filter_some("session_id <> ?", but.map(|id| Id(id.as_uuid()))),
    }
}

/// A token was used.
pub(crate) fn note_token(id: Id, at: Micros) -> Sql {
    Sql::new("UPDATE tokens SET last_used_at = ? WHERE token_id = ? AND (last_used_at IS NULL OR last_used_at < ?)")
        .bind(at)
        .bind(id)
        .bind(at)
}

/// A session was used.
pub(crate) fn note_session(id: Id, at: Micros) -> Sql {
    Sql::new("UPDATE sessions SET last_seen_at = ? WHERE session_id = ? AND last_seen_at < ?")
        .bind(at)
        .bind(id)
        .bind(at)
}

/// Forgets sessions that were not used since, or are over.
pub(crate) fn prune_idle(idle_since: Micros) -> Sql {
    Sql::new("DELETE FROM sessions WHERE last_seen_at < ?").bind(idle_since)
}

/// Forgets sessions that are over.
pub(crate) fn prune_over(now: Micros) -> Sql {
    Sql::new("DELETE FROM sessions WHERE expires_at < ?").bind(now)
}
