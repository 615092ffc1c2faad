//! What a database says, in the words of the port.

use std::fmt::Display;

use diesel::result::{DatabaseErrorKind, Error};
use prefix_core::ports::StoreError;

/// A unit of work that failed, and whether it may be run again at once.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    pub(crate) again: bool,
    /// What has to be done before it is run again.
    pub(crate) grant: Option<GrantNeeded>,
    /// There is no part of the events for the time of one.
    pub(crate) needs_day: bool,
    /// It needs the locks of several pops, and held one already that does not come first.
    pub(crate) needs_several: bool,
}

/// A pop needs more of the global quota than it was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrantNeeded {
    pub(crate) pop: String,
    /// So many rules in all.
    pub(crate) rules: i64,
    /// The global quota.
    pub(crate) limit: i64,
    /// It is not to be had: as many rules there are in all, as far as the pop is concerned.
    pub(crate) ceiling: Option<u64>,
}

impl Failure {
    /// The database did not do it, for a reason that lies outside the unit of work.
    pub(crate) fn unavailable(problem: impl Display) -> Self {
        Self {
            error: StoreError::Unavailable(problem.to_string()),
            again: false,
            grant: None,
            needs_day: false,
            needs_several: false,
        }
    }

    /// Somebody else was faster.
    pub(crate) fn conflict(problem: impl Display) -> Self {
        Self {
            error: StoreError::Conflict(problem.to_string()),
            again: true,
            grant: None,
            needs_day: false,
            needs_several: false,
        }
    }

    /// The pop has to be granted more first.
    pub(crate) fn needs(grant: GrantNeeded) -> Self {
        Self { grant: Some(grant), ..Self::conflict("the pop needs more of the global quota") }
    }

    /// The locks of several pops have to be taken in their order.
    pub(crate) fn needs_several() -> Self {
        Self { needs_several: true, ..Self::conflict("rows of several pops change") }
    }

    /// True if the database did not do it for a reason that lies outside the unit of work.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self.error, StoreError::Unavailable(_))
    }

    /// The same, but known to have changed nothing: it may be run again.
    pub(crate) fn before_commit(mut self) -> Self {
        self.again |= self.is_outage();
        self
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let again = matches!(error, StoreError::Conflict(_));
        Self { error, again, grant: None, needs_day: false, needs_several: false }
    }
}

impl From<Error> for Failure {
    /// A database that answered with an error has not committed. What has no kind may be a deadlock, whose victim is
    /// to try again; that it was a timeout or a full disk the next attempt will find out.
    fn from(error: Error) -> Self {
        if is_day_missing(&error) {
            return Self { needs_day: true, ..Self::conflict("no part of the events is for this day") };
        }
        let again = matches!(error, Error::DatabaseError(DatabaseErrorKind::Unknown, _));
        let error = from_diesel(&error);
        let again = again && matches!(error, StoreError::Unavailable(_));
        Self {
            again: again || matches!(error, StoreError::Conflict(_)),
            error,
            grant: None,
            needs_day: false,
            needs_several: false,
        }
    }
}

/// Stands in the errors that statements raise by themselves, whatever the language of the server.
pub(crate) const CONFLICT: &str = "prefixd conflict";

/// The columns and constraints whose uniqueness other transactions compete for. Any other doubled key is a defect of
/// the caller, which running again does not mend.
const CONTESTED: [&str; 5] =
    ["pop_log_pkey", "replies_pkey", "replies.reply_id", "signal_groups_open", "signal_groups.vector"];

/// True for a row of a partitioned table that no part is for: of all violations of a condition the only one that names no
/// constraint.
fn is_day_missing(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::CheckViolation, about)
        if about.table_name() == Some("events") && about.constraint_name().is_none())
}

/// Every error of the database as one of the port.
///
/// Only the kind is known, not the code of PostgreSQL. What has no kind is a deadlock, a timeout, a full disk, a
/// shutdown: the texts and numbers that are sent have types that fit their columns.
pub(crate) fn from_diesel(error: &Error) -> StoreError {
    match error {
        Error::DatabaseError(kind, about) => {
            let message = about.message();
            match kind {
                DatabaseErrorKind::UniqueViolation => {
                    let constraint = about.constraint_name().unwrap_or_default();
                    if CONTESTED.iter().any(|name| constraint == *name || message.contains(name)) {
                        StoreError::Conflict(message.to_owned())
                    } else {
                        StoreError::Invalid(message.to_owned())
                    }
                }
                DatabaseErrorKind::SerializationFailure => StoreError::Conflict(message.to_owned()),
                DatabaseErrorKind::CheckViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::ExclusionViolation
                | DatabaseErrorKind::RestrictViolation => StoreError::Invalid(message.to_owned()),
                // a statement found that what was decided over is no more
                _ if message.contains(CONFLICT) => StoreError::Conflict(message.to_owned()),
                // SQLITE_TOOBIG, and a row or field beyond the limits of PostgreSQL
                _ if message.contains("too big") => StoreError::Invalid(message.to_owned()),
                _ => StoreError::Unavailable(message.to_owned()),
            }
        }
        Error::SerializationError(problem) => StoreError::Invalid(problem.to_string()),
        Error::DeserializationError(problem) => {
            StoreError::Corrupt { table: "a query", problem: problem.to_string() }
        }
        other => StoreError::Unavailable(other.to_string()),
    }
}
