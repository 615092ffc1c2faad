//! One alternative of a numeric match: a value, or what lies between two bounds.

use std::cmp::Ordering;

/// How a packet's value relates to the number in a condition. As a number each is its relation bits in an operator octet:
/// 4 for less, 2 for greater, 1 for equal (RFC 8955 §4.2.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flowspec) enum Relation {
    /// Never true: no relation bit is set.
    Never,
    /// `=`
    Equal,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `!=`
    NotEqual,
    /// Always true: all relation bits are set.
    Always,
}

impl Relation {
    /// The relation that the low three bits of an operator octet name.
    pub(in crate::flowspec) fn of_bits(op: u8) -> Self {
        use Relation::{Always, AtLeast, AtMost, Equal, Greater, Less, Never, NotEqual};
        [Never, Equal, Greater, AtLeast, Less, AtMost, NotEqual, Always][usize::from(op & 0b111)]
    }
}

/// A relation to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flowspec) struct Condition {
    pub(in crate::flowspec) relation: Relation,
    pub(in crate::flowspec) value: u64,
}

/// An end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::flowspec) struct Bound {
    pub(in crate::flowspec) value: u64,
    pub(in crate::flowspec) inclusive: bool,
}

/// One alternative. Never matches nothing; a lower bound `>=0` is no bound; `>=n&<=n` is `Equal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::flowspec) enum Term {
    /// This value.
    Equal(u64),
    /// Above the first bound and below the second.
    Range(Option<Bound>, Option<Bound>),
}

impl Term {
    /// The smallest value that matches.
    pub(in crate::flowspec) fn first(&self) -> u64 {
        match self {
            Self::Equal(value) => *value,
            // A lower bound of `>MAX` is never stored, so saturation is never reached.
            Self::Range(lower, _) => lower.map_or(0, |b| b.value.saturating_add(u64::from(!b.inclusive))),
        }
    }

    /// The largest value that matches.
    pub(in crate::flowspec) fn last(&self) -> u64 {
        match self {
            Self::Equal(value) => *value,
            Self::Range(_, upper) => {
                upper.map_or(u64::MAX, |b| b.value.saturating_sub(u64::from(!b.inclusive)))
            }
        }
    }

    /// The conditions that say this term, the lower one first.
    pub(in crate::flowspec) fn conditions(&self) -> Vec<Condition> {
        let condition = |relation, value| Condition { relation, value };
        match self {
            Self::Equal(value) => vec![condition(Relation::Equal, *value)],
            Self::Range(None, None) => vec![condition(Relation::AtLeast, 0)],
            Self::Range(lower, upper) => {
                let lower = lower.map(|b| {
                    condition(if b.inclusive { Relation::AtLeast } else { Relation::Greater }, b.value)
                });
                let upper = upper
                    .map(|b| condition(if b.inclusive { Relation::AtMost } else { Relation::Less }, b.value));
                lower.into_iter().chain(upper).collect()
            }
        }
    }

    /// The terms that together match what meets all conditions. `!=` splits a range in two.
    pub(in crate::flowspec) fn conjunction(conditions: &[Condition]) -> Vec<Self> {
        let mut lower: Option<Bound> = None;
        let mut upper: Option<Bound> = None;
        let mut equal = None;
        let mut holes = Vec::new();
        for &Condition { relation, value } in conditions {
            match relation {
                Relation::Never => return Vec::new(),
                Relation::Always => {}
                Relation::NotEqual => holes.push(value),
                Relation::Equal if equal.is_some_and(|other| other != value) => return Vec::new(),
                Relation::Equal => equal = Some(value),
                Relation::AtLeast => lower = Some(higher(lower, Bound { value, inclusive: true })),
                Relation::Greater => lower = Some(higher(lower, Bound { value, inclusive: false })),
                Relation::AtMost => upper = Some(smaller(upper, Bound { value, inclusive: true })),
                Relation::Less => upper = Some(smaller(upper, Bound { value, inclusive: false })),
            }
        }
        if let Some(value) = equal {
            let inside = Self::range(lower, upper).is_some_and(|t| (t.first()..=t.last()).contains(&value));
            return if inside && !holes.contains(&value) { vec![Self::Equal(value)] } else { Vec::new() };
        }
        let Some(whole) = Self::range(lower, upper) else { return Vec::new() };
        holes.retain(|hole| (whole.first()..=whole.last()).contains(hole));
        holes.sort_unstable();
        holes.dedup();
        let mut terms = Vec::with_capacity(holes.len() + 1);
        for value in holes {
            let edge = Some(Bound { value, inclusive: false });
            terms.extend(Self::range(lower, edge));
            lower = edge;
        }
        terms.extend(Self::range(lower, upper));
        terms
    }

    /// The canonical term between two bounds, if anything lies there.
    fn range(lower: Option<Bound>, upper: Option<Bound>) -> Option<Self> {
        let lower = lower.filter(|b| !(b.inclusive && b.value == 0));
        let above_all = lower.is_some_and(|b| b.value == u64::MAX && !b.inclusive);
        let below_all = upper.is_some_and(|b| b.value == 0 && !b.inclusive);
        let term = match (lower, upper) {
            (Some(from), Some(to)) if from.inclusive && from == to => Self::Equal(from.value),
            (None, Some(Bound { value: 0, inclusive: true })) => Self::Equal(0),
            _ => Self::Range(lower, upper),
        };
        (!above_all && !below_all && term.first() <= term.last()).then_some(term)
    }

    /// The order: by values; of equal values the one written as `=`, then with inclusive bounds.
    fn key(&self) -> (u64, u64, u8) {
        let strict = |bound: &Option<Bound>| u8::from(bound.is_some_and(|b| !b.inclusive));
        let style = match self {
            Self::Equal(_) => 0,
            Self::Range(lower, upper) => {
                let open = u8::from(upper.is_none());
                1 + 4 * open + 2 * strict(lower) + strict(upper)
            }
        };
        (self.first(), self.last(), style)
    }
}

fn higher(old: Option<Bound>, new: Bound) -> Bound {
    // `>4` and `>=5` are the same bound; the strict spelling is kept, so that the order of writing does not matter.
    let rank = |b: Bound| (u128::from(b.value) + u128::from(!b.inclusive), !b.inclusive);
    old.filter(|old| rank(*old) >= rank(new)).unwrap_or(new)
}

fn smaller(old: Option<Bound>, new: Bound) -> Bound {
    let rank = |b: Bound| (i128::from(b.value) - i128::from(!b.inclusive), b.inclusive);
    old.filter(|old| rank(*old) <= rank(new)).unwrap_or(new)
}

impl PartialOrd for Term {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Term {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
