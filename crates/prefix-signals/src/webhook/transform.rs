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

    /// The number after its transformation. A text counts only where one is to be taken apart.
    pub(super) fn of(&self, node: &Value, steps: &Steps) -> Option<f64> {
        match &self.transform {
            None => self.raw(node, steps)?.as_f64(),
            Some(NumberTransform::Times(multiplier)) => Some(self.raw(node, steps)?.as_f64()? * multiplier),
            Some(NumberTransform::Product { paths, scale }) => paths
                .iter()
                .try_fold(*scale, |product, path| Some(product * path.first(node, steps)?.as_f64()?)),
            Some(NumberTransform::Extract(extract)) => {
                extract.apply(&reading::text(self.raw(node, steps)?)?, steps)?.trim().parse().ok()
            }
        }
    }

    /// The number as a rate.
    pub(super) fn rate(&self, node: &Value, steps: &Steps) -> Option<u64> {
        match &self.transform {
            // beyond 2^53 a float loses digits
            None => self.raw(node, steps).filter(|value| value.is_number()).and_then(reading::rate),
            Some(_) => reading::rounded(self.of(node, steps)?),
        }
    }
}
