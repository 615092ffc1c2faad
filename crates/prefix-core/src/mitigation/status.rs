//! The statuses of a mitigation and which may follow which.

use std::str::FromStr;

use thiserror::Error;

words! {
    /// The status of a mitigation.
    pub enum Status {
        /// Refused for now; waits for a quota, the rate of new rules or a quiet period.
        Queued = "queued",
        /// Stored, not yet confirmed by the speaker.
        Pending = "pending",
        /// Confirmed, step 0.
        Active = "active",
        /// Confirmed, step above 0.
        Escalated = "escalated",
        /// The withdrawal is stored, and repeated until the speaker confirms it.
        Withdrawing = "withdrawing",
        /// The withdrawal was confirmed after a decision to end it early.
        Withdrawn = "withdrawn",
        /// The withdrawal was confirmed after its expiry, or it was never announced.
        Expired = "expired",
        /// Refused by a guardrail; never announced.
        Rejected = "rejected",
    }
}

/// The word is no status.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no mitigation status; use queued, pending, active, escalated, withdrawing, withdrawn, expired or rejected"
)]
pub struct UnknownStatus(String);

impl Status {
    /// Pending, active or escalated: its rule should be at the speaker.
    pub fn lives(self) -> bool {
        matches!(self, Self::Pending | Self::Active | Self::Escalated)
    }

    /// Withdrawn, expired or rejected: no status follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Withdrawn | Self::Expired | Self::Rejected)
    }

    /// Queued or live: it wants its rule, or waits to be allowed to.
    pub fn claims_rule(self) -> bool {
        self.lives() || self == Self::Queued
    }

    /// Whether `next` may follow directly.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Pending | Self::Withdrawn | Self::Expired),
            Self::Pending => !matches!(next, Self::Queued | Self::Pending | Self::Rejected),
            Self::Active => matches!(next, Self::Escalated | Self::Withdrawing),
            Self::Escalated => matches!(next, Self::Active | Self::Withdrawing),
            Self::Withdrawing => matches!(next, Self::Withdrawn | Self::Expired),
            Self::Withdrawn | Self::Expired | Self::Rejected => false,
        }
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| UnknownStatus(word.chars().take(40).collect()))
    }
}

words! {
    /// Why a mitigation ended.
    pub enum EndReason {
        /// The last lease expired.
        Ttl = "ttl",
        /// The absolute lifetime is over.
        MaxLifetime = "max_lifetime",
        /// An operator withdrew it.
        Operator = "operator",
        /// The last reporting source released it.
        DetectorUnban = "detector_unban",
        /// A panic covers it.
        Panic = "panic",
        /// A safelist entry covers it now.
        Safelist = "safelist",
        /// It no longer passes the configuration.
        Revalidation = "revalidation",
        /// It was created in dry-run mode, which ended.
        DryRunEnded = "dry_run_ended",
        /// A rule for more than it took its place: a carpet that of its host, or the other way round.
        Superseded = "superseded",
    }
}

impl EndReason {
    /// The final status after this reason.
    pub fn final_status(self) -> Status {
        match self {
            Self::Ttl | Self::MaxLifetime | Self::DryRunEnded => Status::Expired,
            _ => Status::Withdrawn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_way_through_text() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert!("alive".parse::<Status>().is_err());
    }

    #[test]
    fn nothing_follows_a_final_status() {
        for (from, to) in Status::ALL.iter().flat_map(|from| Status::ALL.iter().map(move |to| (from, to))) {
            if from.is_final() {
                assert!(!from.may_become(*to), "{from} -> {to}");
            }
        }
    }

    #[test]
    fn a_living_rule_ends_only_through_withdrawing_unless_it_was_never_announced() {
        for status in [Status::Active, Status::Escalated] {
            assert!(!status.may_become(Status::Withdrawn));
            assert!(!status.may_become(Status::Expired));
        }
        assert!(Status::Pending.may_become(Status::Expired));
    }
}
