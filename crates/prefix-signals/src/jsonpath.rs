//! Places in JSON (RFC 9535) that cost no more than is allowed: to read, and to look for.
//!
//! A path comes from a configuration or a request, the JSON from a detector, and both may be hostile. The text of a path
//! is bounded in octets, segments and nesting before it is read, and a look charges every node that it visits to
//! [`Steps`]. What the RFC has and this reader has not: the pattern of `match` and `search` must be a literal, so that it
//! is compiled once and no payload brings one ([ADR 0016](../../../docs/adr/0016-expressions-have-a-budget.md)).

mod compare;
mod functions;
mod look;
mod parse;
mod scan;
mod syntax;

use std::ops::ControlFlow;

use serde_json::Value;
use thiserror::Error;

use crate::expression::{ExpressionBudget, Steps};

/// The longest path, in octets.
pub const LONGEST_PATH: usize = 512;
/// The most segments of a path or of a path within it.
pub const MOST_SEGMENTS: usize = 32;
/// How deep filters, parentheses and functions may be nested.
pub const DEEPEST_NESTING: usize = 6;

/// Why a text is no path, or none that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// Longer than [`LONGEST_PATH`].
    #[error("the path has {0} octets, at most {LONGEST_PATH} are accepted")]
    TooLong(usize),
    /// The paths of the configuration are too long together.
    #[error(
        "the paths of this configuration have more than {most} octets together: shorten them, or remove adapters"
    )]
    TooManyOctets {
        /// The most octets.
        most: usize,
    },
    /// Not RFC 9535.
    #[error("{text:?} is no JSONPath (RFC 9535): {what} at character {at}")]
    Syntax {
        /// The path.
        text: String,
        /// What is wrong, or was expected.
        what: String,
        /// Where, counted from 1.
        at: usize,
    },
}

/// A compiled path.
#[derive(Clone, Debug)]
pub struct JsonPath(syntax::Query);

impl JsonPath {
    /// Compiles a path that begins with `$`. Its octets and patterns are charged to the budget.
    ///
    /// # Errors
    /// The text is no path, or exceeds a bound.
    pub fn parse(text: &str, budget: &mut ExpressionBudget) -> Result<Self, PathError> {
        if text.len() > LONGEST_PATH {
            return Err(PathError::TooLong(text.len()));
        }
        if !budget.take_path(text.len()) {
            return Err(PathError::TooManyOctets { most: ExpressionBudget::MOST_PATH_OCTETS });
        }
        parse::path(text, budget).map(Self).map_err(|error| PathError::Syntax {
            text: text.to_owned(),
            at: text[..error.at].chars().count() + 1,
            what: error.what,
        })
    }

    /// The values at this place in the order of the RFC, at most `most`. When the steps are used up, those found so far.
    pub fn all<'a>(&self, node: &'a Value, most: usize, steps: &Steps) -> Vec<&'a Value> {
        let mut found = Vec::new();
        if most == 0 {
            return found;
        }
        let _ = look::Look::new(node, steps).at(&self.0, node, &mut |value| {
            found.push(value);
            if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        found
    }

    /// The first value at this place; null is none. `None` also when the steps are used up before it is found.
    pub fn first<'a>(&self, node: &'a Value, steps: &Steps) -> Option<&'a Value> {
        self.all(node, 1, steps).pop().filter(|value| !value.is_null())
    }
}

#[cfg(test)]
mod tests;
