//! Targets of black holes: to which upstream or exchange a host is given up, each with its own communities and next hop.
//!
//! An upstream takes a black hole by its own community, and only if that reaches it: whether `NO_EXPORT` is among the
//! communities decides if the route leaves the AS (RFC 7999 §3.4).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::name::RtbhTargetName;

/// The targets of one black hole: never empty, sorted, each once.
///
/// An action is copied all the time, so a set is kept once for the life of the process and is a reference to it. Sets are
/// made of names that the configuration has, or had when a row was stored: there are few.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetSet(&'static [RtbhTargetName]);

impl TargetSet {
    /// The set of these names; `None` without any.
    pub fn of(names: impl IntoIterator<Item = RtbhTargetName>) -> Option<Self> {
        static KNOWN: Mutex<BTreeSet<&'static [RtbhTargetName]>> = Mutex::new(BTreeSet::new());
        let names: BTreeSet<RtbhTargetName> = names.into_iter().collect();
        let names: Vec<RtbhTargetName> = names.into_iter().collect();
        if names.is_empty() {
            return None;
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = known.get(names.as_slice()) {
            return Some(Self(set));
        }
        let set: &'static [RtbhTargetName] = Box::leak(names.into_boxed_slice());
        known.insert(set);
        Some(Self(set))
    }

    /// The names, sorted.
    pub fn names(self) -> &'static [RtbhTargetName] {
        self.0
    }

    /// Whether all targets of `other` are among these.
    pub fn holds(self, other: Self) -> bool {
        other.0.iter().all(|name| self.0.contains(name))
    }
}

impl fmt::Debug for TargetSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(RtbhTargetName::as_str)).finish()
    }
}

impl fmt::Display for TargetSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(RtbhTargetName::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

impl Serialize for TargetSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TargetSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<RtbhTargetName>::deserialize(deserializer)?;
        Self::of(names)
            .ok_or_else(|| serde::de::Error::custom("a black hole has at least one target, or none is named"))
    }
}

/// One target, as it is configured (`bgp.rtbh_targets`); `C` is a community.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RtbhTarget<C> {
    /// What the route carries for it, besides what every own rule carries.
    pub communities: BTreeSet<C>,
    /// The next hop of an IPv4 black hole; `None` = the one of every black hole.
    pub next_hop_v4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub next_hop_v6: Option<Ipv6Addr>,
}

/// All configured targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtbhTargets<C> {
    targets: BTreeMap<RtbhTargetName, RtbhTarget<C>>,
    /// The communities of black holes without targets.
    usual: BTreeSet<C>,
    /// The next hops of black holes without targets, and of those whose targets name none.
    next_hop_v4: Ipv4Addr,
    next_hop_v6: Ipv6Addr,
}

impl<C> Default for RtbhTargets<C> {
    fn default() -> Self {
        Self {
            targets: BTreeMap::new(),
            usual: BTreeSet::new(),
            next_hop_v4: Ipv4Addr::new(192, 0, 2, 1),
            next_hop_v6: Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1),
        }
    }
}

/// What several targets make of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct United<C> {
    /// The communities of all.
    pub communities: BTreeSet<C>,
    /// The next hop for IPv4: the one that they name, else that of every black hole.
    pub next_hop_v4: Ipv4Addr,
    /// The same for IPv6.
    pub next_hop_v6: Ipv6Addr,
}

impl<C: Ord + Clone> RtbhTargets<C> {
    /// These targets, and the route of black holes without any.
    pub fn new(usual: United<C>, targets: impl IntoIterator<Item = (RtbhTargetName, RtbhTarget<C>)>) -> Self {
        let United { communities, next_hop_v4, next_hop_v6 } = usual;
        Self { targets: targets.into_iter().collect(), usual: communities, next_hop_v4, next_hop_v6 }
    }

    /// The same with communities of another form.
    pub fn map<D: Ord>(&self, form: impl Fn(&C) -> D) -> RtbhTargets<D> {
        let target = |target: &RtbhTarget<C>| RtbhTarget {
            communities: target.communities.iter().map(&form).collect(),
            next_hop_v4: target.next_hop_v4,
            next_hop_v6: target.next_hop_v6,
        };
        RtbhTargets {
            targets: self.targets.iter().map(|(name, one)| (name.clone(), target(one))).collect(),
            usual: self.usual.iter().map(&form).collect(),
            next_hop_v4: self.next_hop_v4,
            next_hop_v6: self.next_hop_v6,
        }
    }

    /// What these targets make of one route.
    ///
    /// # Errors
    /// A name that is not configured, or next hops that differ: a route has one.
    pub fn unite(&self, set: &[RtbhTargetName]) -> Result<United<C>, String> {
        let (mut communities, mut v4, mut v6) = (BTreeSet::new(), None, None);
        for name in set {
            let target = self.targets.get(name).ok_or_else(|| self.unknown(name))?;
            communities.extend(target.communities.iter().cloned());
            v4 = one_of(v4, target.next_hop_v4).map_err(|hops| differ(set, hops))?;
            v6 = one_of(v6, target.next_hop_v6).map_err(|hops| differ(set, hops))?;
        }
        let (next_hop_v4, next_hop_v6) = (v4.unwrap_or(self.next_hop_v4), v6.unwrap_or(self.next_hop_v6));
        Ok(United { communities, next_hop_v4, next_hop_v6 })
    }

    /// The same list with every target that its route reaches as well: two lists that make one route are one. `None` where
    /// that is the route of black holes without targets.
    ///
    /// # Errors
    /// As [`Self::unite`].
    pub fn complete(&self, set: &[RtbhTargetName]) -> Result<Option<TargetSet>, String> {
        let united = self.unite(set)?;
        if (&united.communities, united.next_hop_v4, united.next_hop_v6)
            == (&self.usual, self.next_hop_v4, self.next_hop_v6)
        {
            return Ok(None);
        }
        let fits = |target: &RtbhTarget<C>| {
            target.communities.is_subset(&united.communities)
                && target.next_hop_v4.is_none_or(|hop| hop == united.next_hop_v4)
                && target.next_hop_v6.is_none_or(|hop| hop == united.next_hop_v6)
        };
        let complete = self.targets.iter().filter(|(_, target)| fits(target));
        Ok(TargetSet::of(complete.map(|(name, _)| name.clone())))
    }

    /// The targets that a path with these communities and this next hop was made for: all that it reaches, if it carries
    /// nothing else.
    pub fn reached_by(&self, communities: &BTreeSet<C>, next_hop: IpAddr) -> Option<TargetSet> {
        let has_hop = |v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>| match next_hop {
            IpAddr::V4(hop) => v4.is_none_or(|own| own == hop),
            IpAddr::V6(hop) => v6.is_none_or(|own| own == hop),
        };
        let reached = self.targets.iter().filter(|(_, target)| {
            target.communities.is_subset(communities) && has_hop(target.next_hop_v4, target.next_hop_v6)
        });
        let names: Vec<RtbhTargetName> = reached.map(|(name, _)| name.clone()).collect();
        let united = self.unite(&names).ok()?;
        let is_usual = *communities == self.usual && has_hop(Some(self.next_hop_v4), Some(self.next_hop_v6));
        let is_all = !is_usual
            && united.communities == *communities
            && has_hop(Some(united.next_hop_v4), Some(united.next_hop_v6));
        TargetSet::of(names).filter(|_| is_all)
    }

    fn unknown(&self, name: &RtbhTargetName) -> String {
        let known: Vec<&str> = self.targets.keys().map(RtbhTargetName::as_str).collect();
        let known =
            if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        format!("there is no target {:?} in bgp.rtbh_targets: {known}", name.as_str())
    }
}

/// The one of two next hops that is named; both, if they differ.
fn one_of<A: PartialEq + Into<IpAddr> + Copy>(
    one: Option<A>,
    other: Option<A>,
) -> Result<Option<A>, [IpAddr; 2]> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err([one.into(), other.into()]),
        _ => Ok(one.or(other)),
    }
}

fn differ(set: &[RtbhTargetName], [one, other]: [IpAddr; 2]) -> String {
    let names: Vec<&str> = set.iter().map(RtbhTargetName::as_str).collect();
    format!(
        "the targets {} have differing next hops ({one}, {other}), and a route has one: use a step for each",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RtbhTargetName {
        text.parse().unwrap()
    }

    fn targets() -> RtbhTargets<&'static str> {
        let target = |name_: &str, communities: &[&'static str], hop: Option<[u8; 4]>| {
            let communities = communities.iter().copied().collect();
            (name(name_), RtbhTarget { communities, next_hop_v4: hop.map(Ipv4Addr::from), next_hop_v6: None })
        };
        let all = [
            target("transit", &["65001:666", "NO_EXPORT"], None),
            target("exchange", &["65535:666"], Some([192, 0, 2, 66])),
            target("both", &["65535:666", "65001:666", "NO_EXPORT"], None),
            target("usual", &["65535:666"], Some([192, 0, 2, 1])),
        ];
        let usual = United {
            communities: ["65535:666", "NO_EXPORT"].into_iter().collect(),
            next_hop_v4: [192, 0, 2, 1].into(),
            next_hop_v6: Ipv6Addr::LOCALHOST,
        };
        RtbhTargets::new(usual, all)
    }

    fn set(names: &[&str]) -> Vec<RtbhTargetName> {
        names.iter().map(|text| name(text)).collect()
    }

    #[test]
    fn a_set_is_sorted_without_doubles_and_equal_by_its_names() {
        let both = TargetSet::of(set(&["b", "a", "b"])).unwrap();
        assert_eq!(both.names(), set(&["a", "b"]));
        assert_eq!(Some(both), TargetSet::of(set(&["a", "b"])));
        assert_ne!(Some(both), TargetSet::of(set(&["a"])));
        assert_eq!(TargetSet::of([]), None);
        assert_eq!(serde_json::to_string(&both).unwrap(), r#"["a","b"]"#);
        assert_eq!(serde_json::from_str::<TargetSet>(r#"["b","a"]"#).unwrap(), both);
        assert!(serde_json::from_str::<TargetSet>("[]").is_err());
    }

    #[test]
    fn communities_are_united_and_differing_next_hops_are_told() {
        let targets = targets();
        let united = targets.unite(&set(&["transit", "exchange"])).unwrap();
        assert_eq!(united.communities, ["65001:666", "65535:666", "NO_EXPORT"].into_iter().collect());
        assert_eq!(united.next_hop_v4, Ipv4Addr::new(192, 0, 2, 66));
        let unknown = targets.unite(&set(&["nobody"])).unwrap_err();
        assert!(unknown.contains("\"nobody\"") && unknown.contains("both, exchange, transit"), "{unknown}");
        let error = targets.unite(&set(&["exchange", "usual"])).unwrap_err();
        assert!(error.contains("differing next hops (192.0.2.66, 192.0.2.1)"), "{error}");
    }

    #[test]
    fn a_path_tells_its_targets_and_lists_that_make_one_route_are_one() {
        let targets = targets();
        for names in [
            &["transit"][..],
            &["exchange"],
            &["both"],
            &["both", "exchange"],
            &["usual"],
            &["usual", "transit"],
        ] {
            let complete = targets.complete(&set(names)).unwrap().unwrap();
            let united = targets.unite(complete.names()).unwrap();
            assert_eq!(targets.unite(&set(names)), Ok(united.clone()), "{names:?}");
            let read = targets.reached_by(&united.communities, united.next_hop_v4.into());
            assert_eq!(read, Some(complete), "{names:?}");
        }
        assert_eq!(targets.complete(&set(&["both"])), targets.complete(&set(&["usual", "transit"])));
        let usual = IpAddr::from([192, 0, 2, 1]);
        let read =
            |communities: &[&'static str]| targets.reached_by(&communities.iter().copied().collect(), usual);
        assert_eq!(read(&["65001:666", "NO_EXPORT", "65000:1"]), None, "it carries more");
        assert_eq!(read(&["65001:666"]), None, "it carries less");
        assert!(read(&["65535:666"]).is_some());
        assert_eq!(read(&["65535:666", "NO_EXPORT"]), None, "every black hole is so");
    }
}
