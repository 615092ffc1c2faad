//! The safelist as an index: overlap in either direction is found without walking the list.

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use prefix_core::address::Prefix;
use prefix_core::safelist::{Safelist, SafelistEntry};
use prefix_trie::joint::JointPrefixMap;

/// An index of one revision of the safelist.
#[derive(Clone, Debug, Default)]
pub struct SafelistIndex {
    revision: i64,
    entries: JointPrefixMap<IpNetwork, SafelistEntry>,
}

impl SafelistIndex {
    /// Builds the index; done once per revision.
    pub fn new(list: &Safelist) -> Self {
        let mut entries = JointPrefixMap::new();
        for entry in list.entries.iter() {
            entries.insert(entry.prefix.as_network(), entry.clone());
        }
        Self { revision: list.revision, entries }
    }

    /// The revision of the list it was built from.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// An entry that counts now and covers the prefix, the widest first, or else lies within it.
    pub fn overlapping(&self, prefix: &Prefix, now: DateTime<Utc>) -> Option<&SafelistEntry> {
        let network = prefix.as_network();
        let covering = self.entries.cover(&network).map(|(_, entry)| entry).find(|entry| entry.counts(now));
        covering.or_else(|| {
            self.entries.children(&network).map(|(_, entry)| entry).find(|entry| entry.counts(now))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn index(entries: &[(&str, Option<i64>)]) -> SafelistIndex {
        let entry = |(prefix, end): &(&str, Option<i64>)| SafelistEntry {
            prefix: prefix.parse().unwrap(),
            added_at: at(0),
            added_by: "alice".into(),
            reason: None,
            expires_at: end.map(at),
        };
        let entries = Arc::new(entries.iter().map(entry).collect());
        SafelistIndex::new(&Safelist { revision: 7, entries })
    }

    #[test]
    fn overlap_counts_in_both_directions_and_never_across_families() {
        let index = index(&[("203.0.113.0/28", None), ("2001:db8::/64", None)]);
        let hit = |prefix: &str| index.overlapping(&prefix.parse().unwrap(), at(1)).is_some();
        assert!(hit("203.0.113.10/32"));
        assert!(hit("203.0.113.0/24"));
        assert!(hit("2001:db8::1/128"));
        assert!(hit("2001:db8::/32"));
        assert!(!hit("203.0.113.16/32"));
        assert!(!hit("2001:db8:1::/64"));
        assert_eq!(index.revision(), 7);
    }

    #[test]
    fn an_expired_entry_does_not_hide_a_counting_one() {
        let index =
            index(&[("203.0.113.10/32", Some(5)), ("203.0.113.0/24", None), ("198.51.100.0/24", Some(5))]);
        let found = index.overlapping(&"203.0.113.10".parse().unwrap(), at(9)).unwrap();
        assert_eq!(found.prefix.to_string(), "203.0.113.0/24");
        assert!(index.overlapping(&"198.51.100.1".parse().unwrap(), at(5)).is_none());
        assert!(index.overlapping(&"198.51.100.0/23".parse().unwrap(), at(4)).is_some());
    }
}
