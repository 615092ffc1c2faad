//! Looking for the values at a place. Nodes are visited depth first, which gives the order of RFC 9535 without lists in
//! between, and each visit is a step.

use std::borrow::Cow;
use std::ops::ControlFlow::{self, Break, Continue};

use serde_json::Value;

use super::compare::holds;
use super::syntax::{Comparable, Logical, Query, Segment, Selector, Slice};
use crate::expression::Steps;

/// Takes one value after the other; `Break` when it wants no more.
type Sink<'s, 'a> = dyn FnMut(&'a Value) -> ControlFlow<()> + 's;

/// One look into a document.
#[derive(Clone, Copy)]
pub(super) struct Look<'l, 'a> {
    root: &'a Value,
    steps: &'l Steps,
}

impl<'l, 'a> Look<'l, 'a> {
    pub(super) fn new(root: &'a Value, steps: &'l Steps) -> Self {
        Self { root, steps }
    }

    /// Hands over what a query finds from `node`. `Break` if the sink wants no more or the steps are used up.
    pub(super) fn at(self, query: &Query, node: &'a Value, sink: &mut Sink<'_, 'a>) -> ControlFlow<()> {
        let begin = if query.is_absolute { self.root } else { node };
        self.walk(&query.segments, begin, sink)
    }

    fn walk(self, segments: &[Segment], node: &'a Value, sink: &mut Sink<'_, 'a>) -> ControlFlow<()> {
        self.steps.take(1)?;
        match segments.split_first() {
            None => sink(node),
            Some((Segment::Child(selectors), rest)) => self.select(selectors, rest, node, sink),
            Some((Segment::Descendant(selectors), rest)) => self.descend(selectors, rest, node, sink),
        }
    }

    /// The node, then its children with all that is below them (§2.5.2.2).
    fn descend(
        self,
        selectors: &[Selector],
        rest: &[Segment],
        node: &'a Value,
        sink: &mut Sink<'_, 'a>,
    ) -> ControlFlow<()> {
        self.steps.take(1)?;
        self.select(selectors, rest, node, sink)?;
        children(node).try_for_each(|child| self.descend(selectors, rest, child, sink))
    }

    fn select(
        self,
        selectors: &[Selector],
        rest: &[Segment],
        node: &'a Value,
        sink: &mut Sink<'_, 'a>,
    ) -> ControlFlow<()> {
        for selector in selectors {
            self.steps.take(1)?;
            match selector {
                Selector::Name(name) => {
                    if let Some(child) = node.as_object().and_then(|members| members.get(name)) {
                        self.walk(rest, child, sink)?;
                    }
                }
                Selector::Wildcard => children(node).try_for_each(|child| self.walk(rest, child, sink))?,
                Selector::Index(index) => {
                    if let Some(child) =
                        node.as_array().and_then(|items| items.get(place(*index, items.len())?))
                    {
                        self.walk(rest, child, sink)?;
                    }
                }
                Selector::Slice(slice) => {
                    let items = node.as_array().map_or(&[][..], Vec::as_slice);
                    for index in slice.indices(items.len()) {
                        self.walk(rest, &items[index], sink)?;
                    }
                }
                Selector::Filter(condition) => {
                    for child in children(node) {
                        self.steps.take(1)?;
                        if self.meets(condition, child) {
                            self.walk(rest, child, sink)?;
                        }
                    }
                }
            }
        }
        Continue(())
    }

    /// Whether a node meets a condition; anything when the steps are used up, because then the look ends.
    fn meets(self, condition: &Logical, node: &'a Value) -> bool {
        if self.steps.take(1).is_break() {
            return false;
        }
        match condition {
            Logical::Any(parts) => parts.iter().any(|part| self.meets(part, node)),
            Logical::All(parts) => parts.iter().all(|part| self.meets(part, node)),
            Logical::Not(part) => !self.meets(part, node),
            Logical::Exists(query) => {
                let mut exists = false;
                let _ = self.at(query, node, &mut |_| {
                    exists = true;
                    Break(())
                });
                exists
            }
            Logical::Compare(left, comparison, right) => {
                let (left, right) = (self.value(left, node), self.value(right, node));
                holds(left.as_deref(), *comparison, right.as_deref(), self.steps)
            }
            Logical::Fits(text, pattern) => match self.value(text, node).as_deref() {
                Some(Value::String(text)) => pattern.fits(text, self.steps),
                _ => false,
            },
        }
    }

    fn value<'v>(self, comparable: &'v Comparable, node: &'a Value) -> Option<Cow<'v, Value>>
    where
        'a: 'v,
    {
        match comparable {
            Comparable::Literal(literal) => Some(Cow::Borrowed(literal)),
            Comparable::Singular(query) | Comparable::ValueOf(query) => {
                self.only(query, node).map(Cow::Borrowed)
            }
            Comparable::Length(of) => {
                let length = match self.value(of, node)?.as_ref() {
                    Value::String(text) => {
                        // counting reads the text
                        let _ = self.steps.take(text.len() / 16);
                        text.chars().count()
                    }
                    Value::Array(items) => items.len(),
                    Value::Object(members) => members.len(),
                    _ => return None,
                };
                Some(Cow::Owned(length.into()))
            }
            Comparable::Count(query) => {
                let mut count = 0_usize;
                let _ = self.at(query, node, &mut |_| {
                    count += 1;
                    Continue(())
                });
                Some(Cow::Owned(count.into()))
            }
        }
    }

    /// What a query finds, if it is one value.
    fn only(self, query: &Query, node: &'a Value) -> Option<&'a Value> {
        let mut found = None;
        let mut count = 0;
        let _ = self.at(query, node, &mut |value| {
            found = Some(value);
            count += 1;
            if count > 1 { Break(()) } else { Continue(()) }
        });
        found.filter(|_| count == 1)
    }
}

fn children(node: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match node {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// An index of the path as one of the array.
fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { index + length } else { index }).ok()
}

impl Slice {
    /// The indices of an array of this length, all within it (§2.3.4.2.2).
    fn indices(self, length: usize) -> impl Iterator<Item = usize> {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        let normal = |index: i64| if index < 0 { index + length } else { index };
        let (first, last, step) = match self.step {
            0 => (0, 0, 1),
            step if step > 0 => {
                let start = normal(self.start.unwrap_or(0)).clamp(0, length);
                (start, normal(self.end.unwrap_or(length)).clamp(0, length), step)
            }
            step => {
                let start = self.start.map_or(length - 1, normal).clamp(-1, length - 1);
                (start, self.end.map_or(-1, normal).clamp(-1, length - 1), step)
            }
        };
        let within = move |index: &i64| if step > 0 { *index < last } else { *index > last };
        std::iter::successors(Some(first), move |index| index.checked_add(step))
            .take_while(within)
            .filter_map(|index| usize::try_from(index).ok())
    }
}
