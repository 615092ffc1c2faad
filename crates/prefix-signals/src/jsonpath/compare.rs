//! Comparisons of RFC 9535 §2.3.5.2.2. Nothing is equal to nothing alone.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::syntax::Comparison;
use crate::expression::Steps;

/// Whether a comparison holds. What it reads of lists, objects and texts is charged.
pub(super) fn holds(left: Option<&Value>, how: Comparison, right: Option<&Value>, steps: &Steps) -> bool {
    match how {
        Comparison::Equal => same(left, right, steps),
        Comparison::NotEqual => !same(left, right, steps),
        Comparison::Less => less(left, right, steps),
        Comparison::Greater => less(right, left, steps),
        Comparison::LessOrEqual => less(left, right, steps) || same(left, right, steps),
        Comparison::GreaterOrEqual => less(right, left, steps) || same(left, right, steps),
    }
}

fn same(left: Option<&Value>, right: Option<&Value>, steps: &Steps) -> bool {
    match (left, right) {
        (None, None) => true,
        (Some(left), Some(right)) => equal(left, right, steps),
        _ => false,
    }
}

fn equal(left: &Value, right: &Value, steps: &Steps) -> bool {
    if steps.take(1).is_break() {
        return false;
    }
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => order(left, right) == Some(Ordering::Equal),
        (Value::String(left), Value::String(right)) => charged(left, right, steps) && left == right,
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right, steps))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, left): (&String, &Value)| {
                right.get(name).is_some_and(|right| equal(left, right, steps))
            };
            left.len() == right.len() && left.iter().all(same)
        }
        (left, right) => left == right,
    }
}

fn less(left: Option<&Value>, right: Option<&Value>, steps: &Steps) -> bool {
    match (left, right) {
        (Some(Value::Number(left)), Some(Value::Number(right))) => order(left, right) == Some(Ordering::Less),
        // by Unicode scalar values, which is the order of UTF-8
        (Some(Value::String(left)), Some(Value::String(right))) => {
            charged(left, right, steps) && left < right
        }
        _ => false,
    }
}

/// Charges the comparison of two texts.
fn charged(left: &str, right: &str, steps: &Steps) -> bool {
    steps.take(left.len().min(right.len()) / 16).is_continue()
}

fn order(left: &Number, right: &Number) -> Option<Ordering> {
    match (left.as_i128(), right.as_i128()) {
        // exact beyond 2^53
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}
