//! Ports as detectors, operators and services name them: single ones and ranges.
//!
//! A list stays a list and a range stays a range, on the wire too, because the octets of a rule are its identity: a rule
//! that was stored as a list must not become another rule. Only where a range touches something do they merge.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};
use thiserror::Error;

/// The text or number is no port and no range of ports.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("must be a port from 1 to 65535 or a range like \"8000-8010\", not {0:?}")]
pub struct PortError(String);

/// One port, or the ports from the first to the last, 0..=65535. JSON is a number, or a text like `8000-8010`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// From one port to another; `None` if the first lies above the last.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The lowest port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether it is one port.
    pub const fn is_single(self) -> bool {
        self.first == self.last
    }

    /// Whether this port is one of them.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// The operators that it takes in a rule: one for a port, two for the ends of a range.
    pub const fn terms(self) -> usize {
        if self.is_single() { 1 } else { 2 }
    }

    fn common(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }

    /// What is left of it without the other: nothing, one part or two.
    fn without(self, other: Self) -> impl Iterator<Item = Self> {
        let Some(common) = self.common(other) else { return [Some(self), None].into_iter().flatten() };
        let below = common.first.checked_sub(1).and_then(|last| Self::new(self.first, last));
        let above = common.last.checked_add(1).and_then(|first| Self::new(first, self.last));
        [below, above].into_iter().flatten()
    }

    /// Whether this one and one that does not begin below it are one range: they overlap, or touch and one is a range.
    fn joins(self, next: Self) -> bool {
        let touches = self.last.checked_add(1) == Some(next.first);
        next.first <= self.last || (touches && !(self.is_single() && next.is_single()))
    }
}

impl From<u16> for PortRange {
    fn from(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

impl PartialEq<u16> for PortRange {
    fn eq(&self, port: &u16) -> bool {
        *self == Self::from(*port)
    }
}

impl FromStr for PortRange {
    type Err = PortError;

    /// Reads `53` and `8000-8010`; port 0 is none.
    fn from_str(text: &str) -> Result<Self, PortError> {
        let port = |word: &str| {
            let digits = word.bytes().all(|byte| byte.is_ascii_digit());
            word.parse::<u16>().ok().filter(|port| digits && *port > 0)
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = port(first).zip(port(last)).and_then(|(first, last)| Self::new(first, last));
        range.ok_or_else(|| PortError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_single() { serializer.serialize_u16(self.first) } else { serializer.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = PortRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port from 1 to 65535 or a range like \"8000-8010\"")
            }

            fn visit_u64<E: serde::de::Error>(self, port: u64) -> Result<PortRange, E> {
                let single = u16::try_from(port).map(PortRange::from);
                single.map_err(|_| E::custom(format_args!("ports are from 1 to 65535, not {port}")))
            }

            fn visit_i64<E: serde::de::Error>(self, port: i64) -> Result<PortRange, E> {
                match u64::try_from(port) {
                    Ok(port) => self.visit_u64(port),
                    Err(_) => Err(E::invalid_value(Unexpected::Signed(port), &self)),
                }
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PortRange, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Written)
    }
}

/// Ports and ranges, ascending, none twice; a range touches none of the others. Empty is for each user to explain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PortSet(Vec<PortRange>);

impl PortSet {
    /// Whether no port is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ports and ranges, ascending.
    pub fn ranges(&self) -> &[PortRange] {
        &self.0
    }

    /// The same ports with neighbours merged, as an exclusion has them.
    pub fn merged(&self) -> Vec<PortRange> {
        let mut merged: Vec<PortRange> = Vec::with_capacity(self.0.len());
        for range in &self.0 {
            match merged.last_mut() {
                Some(before) if before.last.checked_add(1) == Some(range.first) => before.last = range.last,
                _ => merged.push(*range),
            }
        }
        merged
    }

    /// The operators that they take in a rule that matches them: one for a port, two for a range.
    pub fn terms(&self) -> usize {
        self.0.iter().map(|range| range.terms()).sum()
    }

    /// Whether this port is one of them.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(port))
    }

    /// The ports in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.0.iter().flat_map(|one| other.0.iter().filter_map(|two| one.common(*two))).collect()
    }

    /// The ports of this one that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.0.iter().flat_map(|one| other.left_of(*one)).collect()
    }

    /// The ports of either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }

    /// What these leave of a range.
    fn left_of(&self, range: PortRange) -> Vec<PortRange> {
        left_of(range, &self.0)
    }
}

fn left_of(range: PortRange, taken: &[PortRange]) -> Vec<PortRange> {
    let start = vec![range];
    taken.iter().fold(start, |left, taken| left.into_iter().flat_map(|part| part.without(*taken)).collect())
}

impl FromIterator<PortRange> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortRange>>(ranges: I) -> Self {
        let mut sorted: Vec<PortRange> = ranges.into_iter().collect();
        sorted.sort_unstable();
        let mut joined: Vec<PortRange> = Vec::with_capacity(sorted.len());
        for mut range in sorted {
            // what became a range may touch a port before it
            while let Some(before) = joined.pop_if(|before| before.joins(range)) {
                range = PortRange { first: before.first, last: before.last.max(range.last) };
            }
            joined.push(range);
        }
        Self(joined)
    }
}

impl FromIterator<u16> for PortSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        ports.into_iter().map(PortRange::from).collect()
    }
}

impl<const N: usize> From<[u16; N]> for PortSet {
    fn from(ports: [u16; N]) -> Self {
        ports.into_iter().collect()
    }
}

/// For people: `53, 80-82, 443`, neighbours merged.
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.merged().into_iter().map(|range| match range.last - range.first {
            1 => format!("{}, {}", range.first, range.last),
            _ => range.to_string(),
        });
        f.write_str(&words.collect::<Vec<_>>().join(", "))
    }
}

/// Ports and ranges in the order of a report, the strongest first; none that those before it hold already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PortList(Vec<PortRange>);

impl PortList {
    /// Whether no port is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this port is one of them.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(port))
    }

    /// The ports and ranges, in their order.
    pub fn as_slice(&self) -> &[PortRange] {
        &self.0
    }

    /// The same ports, ascending.
    pub fn to_set(&self) -> PortSet {
        self.0.iter().copied().collect()
    }

    /// What of them is in a set, in their order.
    pub fn within<'a>(&'a self, set: &'a PortSet) -> impl Iterator<Item = PortRange> + 'a {
        self.0.iter().flat_map(|one| set.0.iter().filter_map(|two| one.common(*two)))
    }
}

impl FromIterator<PortRange> for PortList {
    fn from_iter<I: IntoIterator<Item = PortRange>>(ranges: I) -> Self {
        let mut list = Vec::new();
        for range in ranges {
            if !left_of(range, &list).is_empty() {
                list.push(range);
            }
        }
        Self(list)
    }
}

impl FromIterator<u16> for PortList {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        ports.into_iter().map(PortRange::from).collect()
    }
}

impl<const N: usize> From<[u16; N]> for PortList {
    fn from(ports: [u16; N]) -> Self {
        ports.into_iter().collect()
    }
}

/// For people: `443, 80, 8000-8010`, in their order.
impl fmt::Display for PortList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&words.join(", "))
    }
}

/// JSON is a list; reading one brings it in order.
macro_rules! json_lists {
    ($($list:ty),+) => {$(
        impl Serialize for $list {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $list {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Vec::<PortRange>::deserialize(deserializer).map(|ranges| ranges.into_iter().collect())
            }
        }
    )+};
}

json_lists!(PortSet, PortList);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(json: &str) -> PortSet {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_port_is_a_number_and_a_range_a_text() {
        for (json, shown) in [
            ("[443, 80, 80]", "[80,443]"),
            (r#"["8000-8010"]"#, r#"["8000-8010"]"#),
            (r#"["53", "80-80"]"#, "[53,80]"),
            ("[1, 2, 3]", "[1,2,3]"),
            (r#"["8000-8010", 8005, "8011-8020", 8021, 9000]"#, r#"["8000-8021",9000]"#),
            (r#"[1, 2, "3-5", 6, 8]"#, r#"["1-6",8]"#),
            (r#"["1-65535", 7]"#, r#"["1-65535"]"#),
        ] {
            assert_eq!(serde_json::to_string(&set(json)).unwrap(), shown, "{json}");
        }
        for bad in [
            "65536",
            "-1",
            "1.5",
            "true",
            r#""""#,
            r#""a""#,
            r#""8010-8000""#,
            r#""0-5""#,
            r#""+1-5""#,
            r#""1-2-3""#,
        ] {
            assert!(serde_json::from_str::<PortRange>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_report_keeps_its_order() {
        let list: PortList = serde_json::from_str(r#"[443, 80, "440-450", 443, 445, 80]"#).unwrap();
        assert_eq!(list.to_string(), "443, 80, 440-450");
        assert_eq!(list.to_set().to_string(), "80, 440-450");
        let left: Vec<String> =
            list.within(&set(r#"[80, "445-500"]"#)).map(|range| range.to_string()).collect();
        assert_eq!(left, ["80", "445-450"]);
    }

    #[test]
    fn neighbours_merge_for_people_and_in_exclusions() {
        let ports = PortSet::from([53, 54, 80, 443, 444, 445]);
        assert_eq!(ports.to_string(), "53, 54, 80, 443-445");
        assert_eq!((ports.merged().len(), ports.terms(), set(r#"["443-445", 80]"#).terms()), (3, 6, 3));
        assert_eq!(PortSet::from([0, 65_535]).merged().len(), 2);
    }

    /// Ports and ranges of 0..=40, where neighbours are frequent.
    fn ports() -> impl Strategy<Value = PortSet> {
        let range = (0_u16..=40, 0_u16..=6).prop_map(|(first, more)| PortRange { first, last: first + more });
        let one = prop_oneof![(0_u16..=40).prop_map(PortRange::from), range];
        prop::collection::vec(one, 0..8).prop_map(|ranges| ranges.into_iter().collect())
    }

    fn all(set: &PortSet) -> BTreeSet<u16> {
        (0..=65_535).filter(|port| set.contains(*port)).collect()
    }

    proptest! {
        #[test]
        fn sets_of_ranges_are_sets_of_ports(one in ports(), two in ports()) {
            let (a, b) = (all(&one), all(&two));
            prop_assert_eq!(all(&one.intersection(&two)), a.intersection(&b).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(all(&one.difference(&two)), a.difference(&b).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(all(&one.union(&two)), a.union(&b).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(one.merged().into_iter().collect::<PortSet>().merged(), one.merged());
        }

        #[test]
        fn the_order_of_writing_does_not_matter(ranges in ports(), seed in any::<prop::sample::Index>()) {
            let mut turned = ranges.0.clone();
            let by = seed.index(turned.len().max(1));
            turned.rotate_left(by);
            prop_assert_eq!(turned.into_iter().collect::<PortSet>(), ranges);
        }
    }
}
