//! Numeric matches (RFC 8955 §4.2.1.1): an OR of ranges, in one canonical form.

mod term;
mod text;

use term::Term;

pub(super) use term::{Condition, Relation};

use thiserror::Error;

/// Why a numeric match cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NumericError {
    /// No value was given: an empty list never means "any".
    #[error("a match needs at least one value")]
    Empty,
    /// Nothing is left to match.
    #[error("the match excludes every value")]
    MatchesNothing,
    /// Not a term like `53`, `=53`, `>=20&<=100`.
    #[error("\"{0}\" is no numeric match, write for instance \"=53\", \"=80|=443\" or \">=20&<=100\"")]
    Syntax(String),
}

/// An OR of terms. Canonical: terms ascending, unique, none that matches nothing, never with `!=`.
///
/// Bounds are kept as they were written: `>53&<55` and `=54` match the same, but have two encodings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numeric {
    terms: Vec<Term>,
}

impl Numeric {
    /// One of these values: `=80|=443`. Sorted and unique.
    pub fn any_of(values: impl IntoIterator<Item = u64>) -> Result<Self, NumericError> {
        Self::from_terms(values.into_iter().map(Term::Equal).collect(), NumericError::Empty)
    }

    /// This value only: `=53`.
    pub fn equal(value: u64) -> Self {
        Self { terms: vec![Term::Equal(value)] }
    }

    /// None of these values, out of 0..=`max`: `<53|>53&<443|>443`. Adjacent values are merged (`<53|>54`),
    /// terms that match nothing are left out.
    pub fn none_of(values: impl IntoIterator<Item = u64>, max: u64) -> Result<Self, NumericError> {
        let excluded: Vec<_> = values
            .into_iter()
            .filter(|value| *value <= max)
            .map(|value| Condition { relation: Relation::NotEqual, value })
            .collect();
        if excluded.is_empty() {
            return Err(NumericError::Empty);
        }
        let mut terms = Term::conjunction(&excluded);
        terms.retain(|term| term.first() <= max);
        Self::from_terms(terms, NumericError::MatchesNothing)
    }

    /// One of these ranges, each from its first to its last value: `=80|>=8000&<=8010`.
    pub fn any_of_ranges(ranges: impl IntoIterator<Item = (u64, u64)>) -> Result<Self, NumericError> {
        let term = |(first, last)| Term::conjunction(&[at_least(first), at_most(last)]);
        Self::from_terms(ranges.into_iter().flat_map(term).collect(), NumericError::Empty)
    }

    /// Nothing of these ranges, out of 0..=`max`: `<53|>53&<8000|>8010`. Like [`Self::none_of`] for the values in them.
    pub fn none_of_ranges(
        ranges: impl IntoIterator<Item = (u64, u64)>,
        max: u64,
    ) -> Result<Self, NumericError> {
        let excluded = Self::any_of_ranges(ranges.into_iter().filter(|(first, _)| *first <= max))?;
        let mut terms = Vec::new();
        let mut above = None;
        for (first, last) in excluded.intervals(max) {
            let below = Condition { relation: Relation::Less, value: first };
            terms.extend(Term::conjunction(&above.into_iter().chain([below]).collect::<Vec<_>>()));
            above = Some(Condition { relation: Relation::Greater, value: last });
        }
        terms.extend(Term::conjunction(&above.into_iter().collect::<Vec<_>>()));
        terms.retain(|term| term.first() <= max);
        Self::from_terms(terms, NumericError::MatchesNothing)
    }

    /// From `min` to `max`, both included: `>=20&<=100`, or `=20` if they are equal.
    pub fn range(min: u64, max: u64) -> Result<Self, NumericError> {
        Self::from_conditions([[at_least(min), at_most(max)]])
    }

    /// An OR of ANDed conditions.
    pub(super) fn from_conditions<C: AsRef<[Condition]>>(
        alternatives: impl IntoIterator<Item = C>,
    ) -> Result<Self, NumericError> {
        let terms = alternatives.into_iter().flat_map(|all| Term::conjunction(all.as_ref())).collect();
        Self::from_terms(terms, NumericError::MatchesNothing)
    }

    fn from_terms(mut terms: Vec<Term>, if_empty: NumericError) -> Result<Self, NumericError> {
        terms.sort_unstable();
        terms.dedup();
        if terms.is_empty() { Err(if_empty) } else { Ok(Self { terms }) }
    }

    /// The conditions of each term.
    pub(super) fn alternatives(&self) -> impl Iterator<Item = Vec<Condition>> {
        self.terms.iter().map(Term::conditions)
    }

    /// The largest number in its text.
    pub(super) fn largest_literal(&self) -> u64 {
        self.conditions().map(|condition| condition.value).max().unwrap_or(0)
    }

    fn conditions(&self) -> impl Iterator<Item = Condition> {
        self.alternatives().flatten()
    }

    /// Without the terms that match nothing of 0..=`max`.
    pub(super) fn within(mut self, max: u64) -> Result<Self, NumericError> {
        self.terms.retain(|term| term.first() <= max);
        Self::from_terms(self.terms, NumericError::MatchesNothing)
    }

    /// Whether the value matches.
    pub fn matches(&self, value: u64) -> bool {
        self.terms.iter().any(|term| (term.first()..=term.last()).contains(&value))
    }

    /// The matched values out of 0..=`max` as ascending, disjoint, not adjacent ranges `(first, last)`.
    pub fn intervals(&self, max: u64) -> Vec<(u64, u64)> {
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(self.terms.len());
        for term in self.terms.iter().filter(|term| term.first() <= max) {
            let (first, last) = (term.first(), term.last().min(max));
            match merged.last_mut() {
                Some(previous) if first <= previous.1.saturating_add(1) => previous.1 = previous.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        merged
    }

    /// The ranges out of 0..=`max` that do not match.
    pub fn excluded_ranges(&self, max: u64) -> Vec<(u64, u64)> {
        let mut excluded = Vec::new();
        let mut next = Some(0);
        for (first, last) in self.intervals(max) {
            if let Some(from) = next
                && from < first
            {
                excluded.push((from, first - 1));
            }
            next = last.checked_add(1);
        }
        if let Some(from) = next
            && from <= max
        {
            excluded.push((from, max));
        }
        excluded
    }

    /// Whether some value out of 0..=`max` matches both.
    pub fn overlaps(&self, other: &Self, max: u64) -> bool {
        let theirs = other.intervals(max);
        self.intervals(max)
            .iter()
            .any(|(first, last)| theirs.iter().any(|(from, to)| from <= last && first <= to))
    }

    /// Whether `other` matches every value out of 0..=`max` that `self` matches.
    pub fn is_subset_of(&self, other: &Self, max: u64) -> bool {
        let outer = other.intervals(max);
        self.intervals(max)
            .iter()
            .all(|(first, last)| outer.iter().any(|(from, to)| from <= first && last <= to))
    }

    /// The number of terms that are joined by OR: 2 for `=80|=443` and for `<53|>53`.
    pub fn term_count(&self) -> usize {
        self.terms.len()
    }

    /// Whether it is written as an exclusion: only with `<` and `>`.
    pub fn is_exclusion(&self) -> bool {
        self.conditions().all(|condition| matches!(condition.relation, Relation::Less | Relation::Greater))
    }

    /// The values, ascending, if it is a plain list (`=80|=443`).
    pub fn values(&self) -> Option<Vec<u64>> {
        self.terms
            .iter()
            .map(|term| if let Term::Equal(value) = term { Some(*value) } else { None })
            .collect()
    }

    /// The excluded values, ascending, if it is an exclusion (`<53|>54` is 53 and 54).
    pub fn excluded_values(&self, max: u64) -> Option<Vec<u64>> {
        let excluded =
            || self.excluded_ranges(max).into_iter().flat_map(|(first, last)| first..=last).collect();
        self.is_exclusion().then(excluded)
    }

    /// `(min, max)` if it is one value or one range with an upper end.
    pub fn bounds(&self) -> Option<(u64, u64)> {
        match self.terms[..] {
            [Term::Equal(value)] => Some((value, value)),
            [term @ Term::Range(_, Some(_))] => Some((term.first(), term.last())),
            _ => None,
        }
    }
}

fn at_least(value: u64) -> Condition {
    Condition { relation: Relation::AtLeast, value }
}

fn at_most(value: u64) -> Condition {
    Condition { relation: Relation::AtMost, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u64 = 65_535;

    fn none_of<const N: usize>(values: [u64; N]) -> String {
        Numeric::none_of(values, PORT).unwrap().to_string()
    }

    #[test]
    fn lists_are_sorted_and_unique() {
        assert_eq!(Numeric::any_of([443, 80, 443]).unwrap().to_string(), "=80|=443");
        assert_eq!(Numeric::any_of([]), Err(NumericError::Empty));
    }

    #[test]
    fn exclusions_are_ranges_with_adjacent_values_merged() {
        assert_eq!(none_of([53]), "<53|>53");
        assert_eq!(none_of([54, 53]), "<53|>54");
        assert_eq!(none_of([443, 53]), "<53|>53&<443|>443");
        assert_eq!(none_of([80, 82]), "<80|>80&<82|>82");
    }

    #[test]
    fn terms_that_match_nothing_are_left_out() {
        assert_eq!(none_of([0]), ">0");
        assert_eq!(none_of([65_535]), "<65535");
        assert_eq!(none_of([0, 65_535]), ">0&<65535");
        assert_eq!(none_of([0, 1, 70_000]), ">1");
    }

    #[test]
    fn excluding_everything_or_nothing_is_an_error() {
        assert_eq!(Numeric::none_of(0..=255, 255), Err(NumericError::MatchesNothing));
        assert_eq!(Numeric::none_of([], 255), Err(NumericError::Empty));
        assert_eq!(Numeric::none_of([256], 255), Err(NumericError::Empty));
    }

    #[test]
    fn ranges_include_their_ends() {
        assert_eq!(Numeric::range(20, 100).unwrap().to_string(), ">=20&<=100");
        assert_eq!(Numeric::range(20, 20).unwrap().to_string(), "=20");
        assert_eq!(Numeric::range(0, 20).unwrap().to_string(), "<=20");
        assert_eq!(Numeric::range(2, 1), Err(NumericError::MatchesNothing));
    }

    #[test]
    fn lists_of_ranges_have_their_ends_and_exclusions_their_gaps() {
        let any = |ranges: &[(u64, u64)]| Numeric::any_of_ranges(ranges.iter().copied()).unwrap().to_string();
        assert_eq!(any(&[(8000, 8010), (80, 80), (0, 5)]), "<=5|=80|>=8000&<=8010");
        assert_eq!(Numeric::any_of_ranges([]), Err(NumericError::Empty));
        let none = |ranges: &[(u64, u64)]| Numeric::none_of_ranges(ranges.iter().copied(), PORT);
        assert_eq!(none(&[(8000, 8010), (53, 53)]).unwrap().to_string(), "<53|>53&<8000|>8010");
        assert_eq!(none(&[(53, 53), (54, 60)]).unwrap().to_string(), "<53|>60");
        assert_eq!(none(&[(0, 1023), (50_000, 65_535)]).unwrap().to_string(), ">1023&<50000");
        assert_eq!(none(&[(0, 65_535)]), Err(NumericError::MatchesNothing));
        assert_eq!(none(&[]), Err(NumericError::Empty));
    }

    #[test]
    fn lists_exclusions_and_ranges_can_be_read_back() {
        assert_eq!(Numeric::any_of([80, 443]).unwrap().values(), Some(vec![80, 443]));
        assert_eq!(Numeric::none_of([80, 443], PORT).unwrap().values(), None);
        assert_eq!(
            Numeric::none_of([54, 53, 443], PORT).unwrap().excluded_values(PORT),
            Some(vec![53, 54, 443])
        );
        assert_eq!(Numeric::any_of([80]).unwrap().excluded_values(PORT), None);
        assert_eq!(Numeric::range(20, 100).unwrap().bounds(), Some((20, 100)));
        assert_eq!(Numeric::equal(20).bounds(), Some((20, 20)));
        assert_eq!(Numeric::range(0, 20).unwrap().bounds(), Some((0, 20)));
        assert_eq!(">20".parse::<Numeric>().unwrap().bounds(), None);
    }

    #[test]
    fn subsets_are_those_of_the_values() {
        let subset = |inner: &str, outer: &str| {
            inner.parse::<Numeric>().unwrap().is_subset_of(&outer.parse().unwrap(), PORT)
        };
        assert!(subset("=80|=443", "<53|>53"));
        assert!(!subset("=53|=80", "<53|>53"));
        assert!(subset(">=20&<=100", ">19"));
        assert!(subset("=53|=54", ">=53&<=54"));
        assert!(subset(">=53&<=54", "=53|=54"));
        assert!(subset(">1000", ">=1000&<=65535"));
        assert!(!subset(">=1000&<=65535", ">1000"));
    }

    #[test]
    fn the_ends_of_the_number_range_do_not_overflow() {
        let top: Numeric = format!("={}|>=5", u64::MAX).parse().unwrap();
        assert!(top.matches(u64::MAX));
        assert_eq!(top.intervals(u64::MAX), [(5, u64::MAX)]);
        assert_eq!(top.excluded_ranges(u64::MAX), [(0, 4)]);
        assert_eq!(format!(">{}", u64::MAX).parse::<Numeric>(), Err(NumericError::MatchesNothing));
        assert_eq!("<0".parse::<Numeric>(), Err(NumericError::MatchesNothing));
    }
}
