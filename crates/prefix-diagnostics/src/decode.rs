//! Decoding finds every error of shape at once: what is wrong is reported, taken out, and the rest is read again.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use self::deserializer::{Checked, Problem};
use crate::diagnostic::{Diagnostic, Kind, Place};
use crate::node::Node;
use crate::path::KeyPath;
use crate::suggest::nearest;

mod deserializer;
mod phrase;

/// Beyond this many errors nobody reads on.
const MOST_ERRORS: usize = 100;
/// A huge document with many errors must not keep its reader waiting.
const LONGEST_SEARCH: Duration = Duration::from_secs(5);

/// What came out of a document.
pub struct Decoded<T> {
    /// The typed document. With errors it lacks what they spoilt, and is only good for looking for more of them.
    pub value: Option<T>,
    /// Each error of shape.
    pub errors: Vec<Diagnostic>,
    /// Places whose absence is the doing of this reading: a complaint about them is an echo.
    pub spoilt: Vec<KeyPath>,
}

/// Reads a typed document. What spoils it is taken out of `document`, so that it fits the value in the end. `place` says
/// where a path with its line is to be corrected.
pub fn decode<T: DeserializeOwned>(
    document: &mut Node,
    place: &dyn Fn(&KeyPath, u64) -> Place,
) -> Decoded<T> {
    let began = Instant::now();
    let mut decoded = Decoded { value: None, errors: Vec::new(), spoilt: Vec::new() };
    loop {
        let error = match T::deserialize(Checked::new(document)) {
            Ok(typed) => {
                decoded.value = Some(typed);
                return decoded;
            }
            Err(error) => error,
        };
        let (path, problem) = (error.path, error.problem);
        let place = place(&path, document.line_of(&path));
        let echo = match &problem {
            Problem::UnknownKey { key, known } => {
                if phrase::names(&path, key) {
                    decoded.spoilt.extend(meant(&path, key, known));
                } else {
                    decoded.spoilt.push(path.clone());
                }
                false
            }
            Problem::MissingKey { key } => decoded.spoilt.contains(&path.key(*key)),
            _ => decoded.spoilt.iter().any(|spoilt| path.holds(spoilt)),
        };
        if !echo {
            let text = phrase::phrase(&path, &problem);
            decoded.errors.push(
                Diagnostic { kind: kind(&problem), ..Diagnostic::shape(path.clone(), text) }
                    .at(place.clone()),
            );
        }
        if path.is_root() {
            return decoded;
        }
        if decoded.errors.len() >= MOST_ERRORS || began.elapsed() > LONGEST_SEARCH {
            let text = "there may be more mistakes: these come first";
            decoded.errors.push(Diagnostic::shape(path, text).at(place));
            return decoded;
        }
        if !document.take_out(&path) {
            // Without progress this would be endless.
            return decoded;
        }
        if !matches!(problem, Problem::UnknownKey { .. }) {
            decoded.spoilt.push(path);
        }
    }
}

/// A word outside its list and a value that its type refuses are of the right shape.
fn kind(problem: &Problem) -> Kind {
    match problem {
        Problem::UnknownWord { .. } | Problem::Refused(_) => Kind::Rule,
        Problem::UnknownKey { .. } | Problem::MissingKey { .. } | Problem::WrongType { .. } => Kind::Shape,
    }
}

/// The key that a misspelt one stands for: its absence is reported already.
fn meant(path: &KeyPath, key: &str, known: &'static [&'static str]) -> Option<KeyPath> {
    Some(path.parent()?.key(nearest(key, known.iter().copied())?))
}
