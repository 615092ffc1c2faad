//! Arithmetic between a detector's numbers and ours.

use serde_json::Value;

use crate::expression::{Pattern, Steps};
use crate::jsonpath::JsonPath;
use crate::reading;

/// A compiled transformation of a number.
#[derive(Clone, Debug)]
pub(super) enum NumberTransform {
    /// Times a number.
    Times(f64),
    /// A product of numbers elsewhere in the node.
    Product { paths: Vec<JsonPath>, scale: f64 },
    /// The number in a text.
    Extract(Extract),
}

/// A part of a text.
#[derive(Clone, Debug)]
pub(super) struct Extract {
    pub(super) pattern: Pattern,
    pub(super) group: usize,
}

impl Extract {
    /// The group of the first match.
    pub(super) fn apply<'a>(&self, text: &'a str, steps: &Steps) -> Option<&'a str> {
        self.pattern.group(text, self.group, steps)
    }
}

/// A number of a member of the event: where it is, and what is done to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Number {
    pub(super) path: Option<JsonPath>,
    pub(super) transform: Option<NumberTransform>,
}

impl Number {
    /// The value as it is in the node.
    pub(super) fn raw<'a>(&self, node: &'a Value, steps: &Steps) -> Option<&'a Value> {
        self.path.as_ref()?.first(node, steps)
    }

    /// The number after its transformation; a text may be one.
    pub(super) fn of(&self, node: &Value, steps: &Steps) -> Option<f64> {
        match &self.transform {
            None => number(self.raw(node, steps)?),
            Some(NumberTransform::Times(multiplier)) => Some(number(self.raw(node, steps)?)? * multiplier),
            Some(NumberTransform::Product { paths, scale }) => paths
                .iter()
                .try_fold(*scale, |product, path| Some(product * number(path.first(node, steps)?)?)),
            Some(NumberTransform::Extract(extract)) => {
                extract.apply(&reading::text(self.raw(node, steps)?)?, steps)?.trim().parse().ok()
            }
        }
    }

    /// The member if it is there and says something: then it is also to be read.
    pub(super) fn said<'a>(&self, node: &'a Value, steps: &Steps) -> Option<&'a Value> {
        match &self.transform {
            Some(NumberTransform::Product { paths, .. }) => {
                let factors: Option<Vec<&Value>> = paths.iter().map(|path| path.first(node, steps)).collect();
                factors?.into_iter().find(|value| number(value).is_none())
            }
            _ => self.raw(node, steps),
        }
        .filter(|value| !reading::silent(value))
    }

    /// The number as a rate.
    pub(super) fn rate(&self, node: &Value, steps: &Steps) -> Option<u64> {
        match &self.transform {
            // beyond 2^53 a float loses digits
            None => self.raw(node, steps).and_then(|value| reading::rate(value).ok().flatten()),
            Some(_) => reading::rounded(self.of(node, steps)?),
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    reading::number(value).ok().flatten()
}
