//! Why a use case did not do what somebody asked for.

use thiserror::Error;

/// Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UseCaseError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// Its state forbids it.
    #[error("{0}")]
    NotAllowed(String),
}
