//! A carpet: one mitigation for a whole prefix, in the place of the rules of many attacked hosts (configuration.md §4.5).
//!
//! Its leases are per source and victim. [`Mitigation::leases`] sums them up, one lease per source, so that whoever asks who
//! reports a mitigation and how long it lives need not know about carpets.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Mitigation, ReportedMatch};
use crate::address::{Prefix, VictimIp};
use crate::lease::{self, Claim, Lease};
use crate::name::{SourceName, VectorName};
use crate::signal::Correlation;

/// The most victims of a carpet whose leases are kept apart. What leaves ends before what stays, as with leases.
pub const MOST_VICTIMS: usize = 1_024;

/// What a mitigation of a whole prefix knows besides its rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Carpet {
    /// So many victims made it; below half of that it gives back to host rules.
    pub min_victims: u32,
    /// What is reported: hosts, and prefixes that were reported as a whole.
    #[serde(default)]
    pub victims: BTreeMap<Prefix, CarpetVictim>,
    /// It gives back: the rules of its hosts are there, and it leaves once the speaker has confirmed them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub returning: bool,
}

/// One victim of a carpet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CarpetVictim {
    /// Who reports it.
    pub leases: Vec<Lease>,
    /// What was reported, for the rule that it gets back.
    #[serde(default)]
    pub reported: ReportedMatch,
    /// The signals that it stands on, where sources are weighed together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlation>,
}

impl CarpetVictim {
    fn lives(&self, now: DateTime<Utc>) -> bool {
        self.leases.iter().any(|lease| lease.lives(now))
    }
}

impl Carpet {
    /// The attacked hosts that somebody reports, ascending.
    pub fn hosts(&self, now: DateTime<Utc>) -> impl Iterator<Item = VictimIp> {
        let living =
            self.victims.iter().filter(move |(prefix, victim)| prefix.is_host() && victim.lives(now));
        living.map(|(prefix, _)| prefix.network().into())
    }

    /// Every attacked host that it has held, reported or not, ascending.
    pub fn all_hosts(&self) -> impl Iterator<Item = VictimIp> {
        self.victims.keys().filter(|prefix| prefix.is_host()).map(|prefix| prefix.network().into())
    }

    /// Whether somebody reports a whole prefix, of which no host rules can be made.
    pub fn is_reported_whole(&self, now: DateTime<Utc>) -> bool {
        self.victims.iter().any(|(prefix, victim)| !prefix.is_host() && victim.lives(now))
    }

    /// Whether somebody reports this victim.
    pub fn holds(&self, victim: Prefix, now: DateTime<Utc>) -> bool {
        self.victims.get(&victim).is_some_and(|victim| victim.lives(now))
    }

    /// The lease of a source on a victim.
    pub fn lease(&self, victim: Prefix, source: &SourceName) -> Option<&Lease> {
        self.victims.get(&victim)?.leases.iter().find(|lease| lease.source == *source)
    }

    /// Every lease of every victim.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.victims.values().flat_map(|victim| &victim.leases)
    }

    /// Leaves what is reported now, and of more than [`MOST_VICTIMS`] those whose leases end last.
    fn prune(&mut self, now: DateTime<Utc>) {
        for victim in self.victims.values_mut() {
            victim.leases.retain(|lease| !lease.claims.is_empty() && lease.lives(now));
            lease::bound(&mut victim.leases);
        }
        self.victims.retain(|_, victim| !victim.leases.is_empty());
        while self.victims.len() > MOST_VICTIMS {
            let ends = |victim: &CarpetVictim| victim.leases.iter().map(Lease::expires_at).max();
            let first = self.victims.iter().min_by_key(|(_, victim)| ends(victim)).map(|(prefix, _)| *prefix);
            first.map(|first| self.victims.remove(&first));
        }
    }
}

impl Mitigation {
    /// Whether it is a rule for this address alone, and not one for a prefix whose first address this is.
    pub fn is_of(&self, victim: VictimIp) -> bool {
        self.carpet.is_none() && self.victim_ip == victim
    }

    /// Whether it is the carpet of attacks of this vector on all or more than this prefix.
    pub fn is_carpet_over(&self, victim: Prefix, vector: Option<&VectorName>) -> bool {
        self.carpet.is_some()
            && self.matching.dst_prefix.covers(&victim)
            && vector.is_none_or(|vector| self.vector == *vector)
    }

    /// The lease of a source on this victim.
    pub fn lease_on(&self, victim: Prefix, source: &SourceName) -> Option<&Lease> {
        match &self.carpet {
            Some(carpet) => carpet.lease(victim, source),
            None => self.lease(source),
        }
    }

    /// The leases on this victim, to be changed; [`Self::settle_leases`] is to follow.
    pub fn leases_on(&mut self, victim: Prefix) -> &mut Vec<Lease> {
        match &mut self.carpet {
            Some(carpet) => &mut carpet.victims.entry(victim).or_default().leases,
            None => &mut self.leases,
        }
    }

    /// Removes leases that are over, keeps the rest within bounds, and sets `expires_at` by them. Without a lease it stays.
    pub fn settle_leases(&mut self, now: DateTime<Utc>) {
        if let Some(carpet) = &mut self.carpet {
            carpet.prune(now);
            self.leases.retain(|lease| lease.source.is_operator());
            for lease in carpet.leases() {
                sum_up(&mut self.leases, lease);
            }
        }
        self.leases.retain(|lease| !lease.claims.is_empty() && lease.lives(now));
        lease::bound(&mut self.leases);
        self.follow_leases();
    }
}

/// Adds a lease on one victim to the one that stands for all of its source: one claim, for as long as the longest.
fn sum_up(all: &mut Vec<Lease>, lease: &Lease) {
    let until = lease.expires_at();
    let claims = vec![Claim { event_id: None, expires_at: until }];
    match all.iter_mut().find(|known| known.source == lease.source) {
        None => all.push(Lease { claims, unaudited: 0, ..lease.clone() }),
        Some(known) => {
            if lease.last_event_at >= known.last_event_at {
                (known.last_event_at, known.confidence) = (lease.last_event_at, lease.confidence);
            }
            known.edge |= lease.edge;
            known.audited_at = known.audited_at.max(lease.audited_at);
            if known.expires_at() < until {
                known.claims = claims;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confidence::Confidence;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn held(source: &str, until: i64) -> Lease {
        Lease::new(source.parse().unwrap(), None, Confidence::ONE, false, at(0), at(until))
    }

    fn carpet(victims: &[(&str, &[Lease])]) -> Carpet {
        let victim = |leases: &[Lease]| CarpetVictim { leases: leases.to_vec(), ..CarpetVictim::default() };
        let victims = victims.iter().map(|(prefix, leases)| (prefix.parse().unwrap(), victim(leases)));
        Carpet { min_victims: 2, victims: victims.collect(), returning: false }
    }

    #[test]
    fn a_host_counts_while_somebody_reports_it() {
        let mut carpet = carpet(&[
            ("203.0.113.7/32", &[held("a", 10), held("b", 30)]),
            ("203.0.113.8/32", &[held("a", 10)]),
            ("203.0.113.0/25", &[held("c", 30)]),
        ]);
        assert_eq!(carpet.hosts(at(9)).count(), 2);
        assert_eq!(carpet.hosts(at(10)).count(), 1);
        assert!(carpet.is_reported_whole(at(29)) && !carpet.is_reported_whole(at(30)));
        carpet.prune(at(10));
        assert_eq!(carpet.leases().count(), 2);
        assert_eq!(carpet.all_hosts().count(), 1);
    }

    #[test]
    fn victims_are_bounded_and_those_that_end_last_stay() {
        let mut carpet = Carpet::default();
        for n in 0..2_000_u32 {
            let prefix = Prefix::host(std::net::IpAddr::from((0x0a00_0000 + n).to_be_bytes()).into());
            let leases = vec![held("a", 10 + i64::from(n))];
            carpet.victims.insert(prefix, CarpetVictim { leases, ..CarpetVictim::default() });
        }
        carpet.prune(at(0));
        assert_eq!(carpet.victims.len(), MOST_VICTIMS);
        assert!(carpet.leases().all(|lease| lease.expires_at() >= at(10 + 976)));
    }

    #[test]
    fn the_leases_of_a_source_on_many_victims_are_shown_as_one() {
        let mut all = Vec::new();
        for (source, until) in [("a", 20), ("b", 5), ("a", 90), ("a", 40)] {
            sum_up(&mut all, &held(source, until));
        }
        let ends: Vec<_> = all.iter().map(|lease| (lease.source.as_str(), lease.expires_at())).collect();
        assert_eq!(ends, [("a", at(90)), ("b", at(5))]);
    }
}
