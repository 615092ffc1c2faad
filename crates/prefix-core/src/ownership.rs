//! The three large communities (RFC 8092) that mark own paths.
//!
//! Owner `local_asn:owner_tag:H`, not-after `local_asn:owner_tag+1:T`, mitigation `local_asn:owner_tag+2:M`. By them
//! the daemon recognises own paths, the guard withdraws overdue paths without the daemon, and an operator finds the
//! mitigation of a route on a router. As M differs from rule to rule, no two rules share all attributes, and the
//! speaker never packs two announcements into one UPDATE.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::MitigationId;
use crate::name::Pop;

/// A large community (RFC 8092 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LargeCommunity {
    /// Global Administrator: an autonomous system number.
    pub global: u32,
    /// Local Data Part 1.
    pub local_1: u32,
    /// Local Data Part 2.
    pub local_2: u32,
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.global, self.local_1, self.local_2)
    }
}

/// The tags that differ from path to path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tags {
    /// The time from which on the guard may withdraw the path.
    pub not_after: NotAfter,
    /// The mitigation it belongs to.
    pub mitigation: MitigationTag,
}

/// A not-after time: Unix time in whole seconds, 32 bits (until the year 2106).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NotAfter(pub u32);

impl NotAfter {
    /// The time, rounded up to whole seconds, so that the guard never ends a rule before the daemon does. Times before
    /// 1970 or after 2106 are clamped.
    pub fn at_or_after(time: DateTime<Utc>) -> Self {
        let seconds = time.timestamp() + i64::from(time.timestamp_subsec_nanos() > 0);
        Self(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
    }

    /// The time of day.
    pub fn time(self) -> DateTime<Utc> {
        DateTime::from_timestamp(i64::from(self.0), 0).unwrap_or_default()
    }
}

/// The last 32 bits of a mitigation's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MitigationTag(pub u32);

impl From<MitigationId> for MitigationTag {
    fn from(id: MitigationId) -> Self {
        let bytes = id.as_uuid().into_bytes();
        Self(u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]))
    }
}

/// The owner of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ownership {
    /// Own: it carries the owner community of this pop.
    Own {
        /// Its not-after time; `None` if missing or ambiguous.
        not_after: Option<NotAfter>,
        /// Its mitigation; `None` if missing or ambiguous.
        mitigation: Option<MitigationTag>,
    },
    /// It carries the owner community of another pop.
    OtherPop {
        /// The hash of the other pop's name.
        owner: u32,
    },
    /// Without an owner community: counted, never changed.
    Foreign,
}

impl Ownership {
    /// Whether the path is of this pop.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own { .. })
    }
}

/// The owner communities of this pop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    local_asn: u32,
    tag: u32,
    hash: u32,
}

impl Owner {
    /// The largest `bgp.owner_tag`: the two following numbers are used too.
    pub const MAX_TAG: u32 = u32::MAX - 2;

    /// The communities of a pop. `owner_tag` is 1..=[`Self::MAX_TAG`]; other values are clamped. The pop is identified
    /// by the first 32 bits of the SHA-256 of its name.
    pub fn new(local_asn: u32, owner_tag: u32, pop: &Pop) -> Self {
        let digest = Sha256::digest(pop.as_str().as_bytes());
        let hash = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        Self { local_asn, tag: owner_tag.clamp(1, Self::MAX_TAG), hash }
    }

    /// The local autonomous system number, 32 bits.
    pub fn local_asn(&self) -> u32 {
        self.local_asn
    }

    /// The three communities of a path: owner, not-after, mitigation.
    pub fn communities(&self, tags: Tags) -> [LargeCommunity; 3] {
        let community = |local_1, local_2| LargeCommunity { global: self.local_asn, local_1, local_2 };
        [
            community(self.tag, self.hash),
            community(self.tag + 1, tags.not_after.0),
            community(self.tag + 2, tags.mitigation.0),
        ]
    }

    /// Whether a community is one of the three marks of own paths, whatever its value.
    pub fn is_mark(&self, community: &LargeCommunity) -> bool {
        community.global == self.local_asn && (self.tag..=self.tag + 2).contains(&community.local_1)
    }

    /// The owner of a path with these communities. Two different values of one tag count as unreadable.
    pub fn read(&self, communities: &[LargeCommunity]) -> Ownership {
        let values = |tag: u32| {
            communities
                .iter()
                .filter(move |c| c.global == self.local_asn && c.local_1 == tag)
                .map(|c| c.local_2)
        };
        let single = |tag: u32| {
            let mut found = values(tag);
            let first = found.next()?;
            found.all(|other| other == first).then_some(first)
        };
        if values(self.tag).any(|hash| hash == self.hash) {
            return Ownership::Own {
                not_after: single(self.tag + 1).map(NotAfter),
                mitigation: single(self.tag + 2).map(MitigationTag),
            };
        }
        match values(self.tag).next() {
            Some(owner) => Ownership::OtherPop { owner },
            None => Ownership::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(pop: &str) -> Owner {
        Owner::new(65_010, 8955, &pop.parse().unwrap())
    }

    fn tags() -> Tags {
        Tags { not_after: NotAfter(1_800_000_000), mitigation: MitigationTag(0xdead_beef) }
    }

    #[test]
    fn own_paths_are_recognised_with_their_tags() {
        let read = owner("fra1").read(&owner("fra1").communities(tags()));
        assert_eq!(
            read,
            Ownership::Own {
                not_after: Some(NotAfter(1_800_000_000)),
                mitigation: Some(MitigationTag(0xdead_beef))
            }
        );
    }

    #[test]
    fn the_owner_hash_is_the_head_of_the_sha256_of_the_pop() {
        // printf fra1 | sha256sum
        let digest = Sha256::digest(b"fra1");
        let expected = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        assert_eq!(owner("fra1").communities(tags())[0].local_2, expected);
    }

    #[test]
    fn a_path_of_another_pop_is_neither_ours_nor_foreign() {
        let read = owner("fra1").read(&owner("ams1").communities(tags()));
        assert!(matches!(read, Ownership::OtherPop { .. }));
    }

    #[test]
    fn untagged_and_otherwise_tagged_paths_are_foreign() {
        let other = LargeCommunity { global: 65_010, local_1: 1, local_2: 2 };
        assert_eq!(owner("fra1").read(&[]), Ownership::Foreign);
        assert_eq!(owner("fra1").read(&[other]), Ownership::Foreign);
    }

    #[test]
    fn a_contradictory_not_after_is_unreadable_rather_than_guessed() {
        let mut communities = owner("fra1").communities(tags()).to_vec();
        communities.push(LargeCommunity { local_2: 5, ..communities[1] });
        assert!(matches!(
            owner("fra1").read(&communities),
            Ownership::Own { not_after: None, mitigation: Some(_) }
        ));
    }

    #[test]
    fn not_after_is_never_earlier_than_the_deadline() {
        let time = DateTime::from_timestamp(100, 1).unwrap();
        assert_eq!(NotAfter::at_or_after(time), NotAfter(101));
        assert_eq!(NotAfter::at_or_after(DateTime::from_timestamp(100, 0).unwrap()), NotAfter(100));
    }
}
