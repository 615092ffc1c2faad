//! Why a use case did not do what it was asked.

use prefix_core::guardrail::Refusal;
use prefix_core::id::MitigationId;
use prefix_core::name::{SourceName, VectorName};
use prefix_core::ports::StoreError;
use prefix_policy::use_cases::{Inadmissible, UseCaseError};
use thiserror::Error;

/// A refusal or a failure. Nothing was changed, with the one exception that the variant names.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum EngineError {
    /// A guardrail refused. For manual rules a `rejected` row was stored, whose id this is (none in a dry run, and none if
    /// it asked for what no rule can have).
    #[error("{refusal}")]
    Guardrail {
        /// What it said.
        refusal: Refusal,
        /// The stored row.
        mitigation_id: Option<MitigationId>,
    },
    /// The vector is not defined.
    #[error("vector {vector:?} is not defined; defined are: {}", list(.defined))]
    UnknownVector {
        /// The word.
        vector: String,
        /// The defined names, sorted.
        defined: Vec<VectorName>,
    },
    /// The source may corroborate, but not trigger.
    #[error(
        "source {:?} is configured as corroborating: it cannot report an attack by itself; post it to /v1/signals/corroborator",
        .0.as_str()
    )]
    CorroboratingOnly(SourceName),
    /// The state forbids it.
    #[error("{0}")]
    NotAllowed(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// A reload would withdraw too many living rules at once.
    #[error(
        "this would withdraw {} of {living} living rules at once; look at them, then repeat with ?force=true",
        .mitigations.len()
    )]
    MassWithdraw {
        /// Which ones.
        mitigations: Vec<MitigationId>,
        /// How many live.
        living: usize,
    },
    /// The `Idempotency-Key` was used before with another body.
    #[error(
        "this Idempotency-Key was used for another body within 24 hours; use a new key for a new request"
    )]
    IdempotencyMismatch,
    /// What was answered to the same `Idempotency-Key` before.
    #[error(transparent)]
    Replayed(Box<EngineError>),
    /// Storage did not answer: nothing is known to be stored, the request is to be sent again.
    #[error("storage is not available, nothing was stored; send the request again ({0})")]
    StorageUnavailable(String),
    /// Storage did not answer, and memory does not hold what was asked for.
    #[error(
        "storage is not available; until it is back only unfinished mitigations of this pop can be read: one by its id, or a list with status=queued,pending,active,escalated,withdrawing"
    )]
    NotInMemory(String),
    /// The credential of the caller ended before the transaction was committed: nothing is stored.
    #[error("the credentials have ended; nothing was stored")]
    CredentialEnded,
    /// It cannot be known whether the credential of the caller is live.
    #[error("it cannot be checked who asks: {0}")]
    CredentialsUnknown(String),
    /// Name and password do not belong together.
    #[error("user name or password are wrong")]
    WrongPassword,
    /// Another operator has, or had, the name.
    #[error("{0}")]
    UsernameTaken(String),
    /// Too many failed logins, or too many at once.
    #[error("{detail}")]
    TooManyLogins {
        /// Which of both.
        detail: String,
        /// When to try again.
        seconds: u64,
    },
    /// The daemon is going down.
    #[error("the daemon is shutting down; send the request again, to another instance or in a moment")]
    ShuttingDown,
    /// A fault of prefixd.
    #[error("internal error: {0}")]
    Internal(String),
}

fn list(names: &[VectorName]) -> String {
    names.iter().map(VectorName::as_str).collect::<Vec<_>>().join(", ")
}

impl From<Inadmissible> for EngineError {
    fn from(inadmissible: Inadmissible) -> Self {
        match inadmissible {
            Inadmissible::UnknownVector { vector, defined } => Self::UnknownVector { vector, defined },
            Inadmissible::NotAllowed(detail) => Self::NotAllowed(detail),
            Inadmissible::CorroboratingOnly(source) => Self::CorroboratingOnly(source),
        }
    }
}

impl From<UseCaseError> for EngineError {
    fn from(error: UseCaseError) -> Self {
        match error {
            UseCaseError::NotFound(detail) => Self::NotFound(detail),
            UseCaseError::NotAllowed(detail) => Self::NotAllowed(detail),
        }
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Conflict(_) | StoreError::Deposed => {
                Self::StorageUnavailable(error.to_string())
            }
            StoreError::Invalid(_) | StoreError::Corrupt { .. } => Self::Internal(error.to_string()),
        }
    }
}
