//! Leases: each source keeps a mitigation live by its own lease, and can release only its own.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::confidence::Confidence;
use crate::name::{ExternalEventId, SourceName};

/// The most leases of a mitigation: every answer that shows it holds all of them.
pub const MOST_LEASES: usize = 100;

/// The most claims of a lease.
pub const MOST_CLAIMS: usize = 100;

/// Leaves the leases that end last, and those of operators. What leaves ends before what stays, so no rule ends sooner
/// for it; a source that goes on reporting gets a lease again.
pub fn bound(leases: &mut Vec<Lease>) {
    while leases.len() > MOST_LEASES {
        let of_detectors = leases.iter().enumerate().filter(|(_, lease)| !lease.source.is_operator());
        let Some((first, _)) = of_detectors.min_by_key(|(_, lease)| lease.expires_at()) else { return };
        leases.remove(first);
    }
}

/// One attack episode that a source reports on this mitigation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The detector's identifier; reports without one share a single claim.
    pub event_id: Option<ExternalEventId>,
    /// When the claim expires.
    pub expires_at: DateTime<Utc>,
}

/// The lease of one source on a mitigation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The source that holds it.
    pub source: SourceName,
    /// The time of the last report.
    pub last_event_at: DateTime<Utc>,
    /// The confidence of the newest report.
    pub confidence: Confidence,
    /// Whether the source reports only the beginning and end of an attack, and so counts as still reporting until its
    /// lease expires.
    pub edge: bool,
    /// Its episodes; never empty.
    pub claims: Vec<Claim>,
    /// When a report of this lease was last written to the audit log, and how many have come since: repeats are
    /// audited once per minute, with a count.
    #[serde(default)]
    pub audited_at: Option<DateTime<Utc>>,
    /// Reports since `audited_at`.
    #[serde(default)]
    pub unaudited: u32,
}

impl Lease {
    /// A lease with its first claim.
    pub fn new(
        source: SourceName,
        event_id: Option<ExternalEventId>,
        confidence: Confidence,
        edge: bool,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Self {
        Self {
            source,
            last_event_at: now,
            confidence,
            edge,
            claims: vec![Claim { event_id, expires_at }],
            audited_at: Some(now),
            unaudited: 0,
        }
    }

    /// When the last claim expires.
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.claims.iter().map(|claim| claim.expires_at).max().unwrap_or(self.last_event_at)
    }

    /// Whether a claim has not expired.
    pub fn lives(&self, now: DateTime<Utc>) -> bool {
        self.expires_at() > now
    }

    /// Another report of an episode: its claim is renewed or added, and never shortened. Expired claims of other
    /// episodes are removed.
    pub fn renew(
        &mut self,
        event_id: Option<&ExternalEventId>,
        confidence: Confidence,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) {
        self.last_event_at = now;
        self.confidence = confidence;
        self.claims.retain(|claim| claim.event_id.as_ref() == event_id || claim.expires_at > now);
        match self.claims.iter_mut().find(|claim| claim.event_id.as_ref() == event_id) {
            Some(claim) => claim.expires_at = claim.expires_at.max(expires_at),
            None => {
                if self.claims.len() >= MOST_CLAIMS {
                    let ends_first =
                        (0..self.claims.len()).min_by_key(|index| self.claims[*index].expires_at);
                    ends_first.into_iter().for_each(|index| drop(self.claims.remove(index)));
                }
                self.claims.push(Claim { event_id: event_id.cloned(), expires_at });
            }
        }
    }

    /// Word that what the source reported goes on, under no id of its own: every living claim is renewed, none is added.
    pub fn go_on(&mut self, confidence: Confidence, now: DateTime<Utc>, expires_at: DateTime<Utc>) {
        self.last_event_at = now;
        self.confidence = confidence;
        self.claims.retain(|claim| claim.expires_at > now);
        self.claims.iter_mut().for_each(|claim| claim.expires_at = claim.expires_at.max(expires_at));
    }

    /// Removes the claim of an episode. Returns whether there was one.
    pub fn release(&mut self, event_id: &ExternalEventId) -> bool {
        let before = self.claims.len();
        self.claims.retain(|claim| claim.event_id.as_ref() != Some(event_id));
        before != self.claims.len()
    }

    /// Whether the lease has a claim of this episode, expired or not.
    pub fn claims_episode(&self, event_id: &ExternalEventId) -> bool {
        self.claims.iter().any(|claim| claim.event_id.as_ref() == Some(event_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn id(text: &str) -> ExternalEventId {
        text.parse().unwrap()
    }

    fn lease() -> Lease {
        let source = "fastnetmon".parse().unwrap();
        Lease::new(source, Some(id("a")), Confidence::ONE, false, at(0), at(100))
    }

    #[test]
    fn a_source_with_two_episodes_holds_until_the_last_has_ended() {
        let mut lease = lease();
        lease.renew(Some(&id("b")), Confidence::ONE, at(10), at(110));
        assert!(lease.release(&id("a")));
        assert!(lease.lives(at(109)));
        assert!(lease.release(&id("b")));
        assert!(!lease.lives(at(11)));
    }

    #[test]
    fn a_source_cannot_release_what_it_does_not_hold() {
        assert!(!lease().release(&id("other")));
    }

    #[test]
    fn a_report_never_shortens_a_claim() {
        let mut lease = lease();
        lease.renew(Some(&id("a")), Confidence::ZERO, at(10), at(40));
        assert_eq!(lease.expires_at(), at(100));
        assert_eq!(lease.confidence, Confidence::ZERO);
    }

    #[test]
    fn leases_and_claims_are_bounded_and_those_that_end_last_stay() {
        let of = |source: &str, ends: i64| {
            Lease::new(source.parse().unwrap(), None, Confidence::ONE, false, at(0), at(ends))
        };
        let mut leases: Vec<_> = (0..5_000).map(|n| of(&format!("s{n}"), 100 + n % 500)).collect();
        leases.insert(0, Lease { source: SourceName::operator("alice"), ..of("x", 1) });
        bound(&mut leases);
        assert_eq!(leases.len(), MOST_LEASES);
        assert!(leases[0].source.is_operator(), "an operator's lease stays");
        assert!(leases[1..].iter().all(|lease| lease.expires_at() >= at(590)), "{leases:?}");

        let mut lease = lease();
        for n in 0..1_000 {
            lease.renew(Some(&id(&format!("e{n}"))), Confidence::ONE, at(1), at(200 + n));
        }
        assert_eq!(lease.claims.len(), MOST_CLAIMS);
        assert!(lease.claims_episode(&id("e999")) && !lease.claims_episode(&id("e1")));
    }

    #[test]
    fn lapsed_claims_of_other_episodes_leave_with_the_next_report() {
        let mut lease = lease();
        lease.renew(Some(&id("b")), Confidence::ONE, at(200), at(300));
        assert_eq!(lease.claims.len(), 1);
    }
}
