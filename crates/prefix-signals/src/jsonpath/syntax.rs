//! A path as it was understood: the grammar of RFC 9535 §2 as types.

use serde_json::Value;

use crate::expression::Pattern;

/// `$` or `@` with segments.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// Whether it begins at the root, else at the node that a filter looks at.
    pub(super) is_absolute: bool,
    pub(super) segments: Vec<Segment>,
}

impl Query {
    /// Whether it finds one node at most (§2.3.5.1).
    pub(super) fn is_singular(&self) -> bool {
        let one = |selector: &Selector| matches!(selector, Selector::Name(_) | Selector::Index(_));
        self.segments.iter().all(
            |segment| matches!(segment, Segment::Child(selectors) if matches!(&selectors[..], [only] if one(only))),
        )
    }
}

#[derive(Clone, Debug)]
pub(super) enum Segment {
    Child(Vec<Selector>),
    Descendant(Vec<Selector>),
}

#[derive(Clone, Debug)]
pub(super) enum Selector {
    Name(String),
    Wildcard,
    /// Negative: from the end.
    Index(i64),
    Slice(Slice),
    Filter(Logical),
}

/// `start:end:step` (§2.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) start: Option<i64>,
    pub(super) end: Option<i64>,
    pub(super) step: i64,
}

/// What a filter asks.
#[derive(Clone, Debug)]
pub(super) enum Logical {
    Any(Vec<Logical>),
    All(Vec<Logical>),
    Not(Box<Logical>),
    Exists(Query),
    Compare(Comparable, Comparison, Comparable),
    /// `match` or `search` with a literal pattern.
    Fits(Comparable, Pattern),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is one value or nothing.
#[derive(Clone, Debug)]
pub(super) enum Comparable {
    Literal(Value),
    Singular(Query),
    Length(Box<Comparable>),
    Count(Query),
    ValueOf(Query),
}
