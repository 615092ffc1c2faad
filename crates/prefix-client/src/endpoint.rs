//! The methods of the client, one for each operation, in the areas of the API.

mod access;
mod changes;
mod events;
mod lists;
mod mitigations;
mod reads;
mod signals;

use crate::error::ApiError;
use crate::outcome::Outcome;
use crate::reply::Reply;

/// The answer of an operation.
pub type Answer<T> = Result<Reply<T>, ApiError>;

/// The answer of an operation that can be rehearsed.
pub type Changed<T> = Answer<Outcome<T>>;
