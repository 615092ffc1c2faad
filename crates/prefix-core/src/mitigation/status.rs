//! The statuses of a mitigation and which may follow which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where a mitigation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Refused for now; waits for a quota, the rate of new rules or a quiet period.
    Queued,
    /// Stored, not yet confirmed by the speaker.
    Pending,
    /// Confirmed, step 0.
    Active,
    /// Confirmed, step above 0.
    Escalated,
    /// The removal is a durable intent, repeated until the speaker confirms it.
    Withdrawing,
    /// Removal confirmed after a decision to end it early.
    Withdrawn,
    /// Removal confirmed after its time, or never announced at all.
    Expired,
    /// Refused by a guardrail; never announced.
    Rejected,
}

/// A word is no status.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no mitigation status; use queued, pending, active, escalated, withdrawing, withdrawn, expired or rejected"
)]
pub struct UnknownStatus(String);

impl Status {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Pending,
        Self::Active,
        Self::Escalated,
        Self::Withdrawing,
        Self::Withdrawn,
        Self::Expired,
        Self::Rejected,
    ];

    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Escalated => "escalated",
            Self::Withdrawing => "withdrawing",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
        }
    }

    /// Pending, active or escalated: its rule is wanted at the speaker.
    pub fn lives(self) -> bool {
        matches!(self, Self::Pending | Self::Active | Self::Escalated)
    }

    /// Withdrawn, expired or rejected: nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Withdrawn | Self::Expired | Self::Rejected)
    }

    /// True while no other mitigation of the same rule may be of one of these statuses at the same pop.
    pub fn claims_rule(self) -> bool {
        self.lives() || self == Self::Queued
    }

    /// Whether `next` may follow directly.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Pending | Self::Withdrawn | Self::Expired),
            Self::Pending => {
                matches!(
                    next,
                    Self::Active | Self::Escalated | Self::Withdrawing | Self::Expired | Self::Withdrawn
                )
            }
            Self::Active => matches!(next, Self::Escalated | Self::Withdrawing),
            Self::Escalated => matches!(next, Self::Active | Self::Withdrawing),
            Self::Withdrawing => matches!(next, Self::Withdrawn | Self::Expired),
            Self::Withdrawn | Self::Expired | Self::Rejected => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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

/// Why a mitigation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The last lease lapsed.
    Ttl,
    /// The absolute lifetime is over.
    MaxLifetime,
    /// An operator withdrew it.
    Operator,
    /// The last reporting source released it.
    DetectorUnban,
    /// The kill switch.
    Panic,
    /// A safelist entry covers it now.
    Safelist,
    /// It no longer passes the configuration.
    Revalidation,
    /// It was made in dry-run, which ended.
    DryRunEnded,
}

impl EndReason {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ttl => "ttl",
            Self::MaxLifetime => "max_lifetime",
            Self::Operator => "operator",
            Self::DetectorUnban => "detector_unban",
            Self::Panic => "panic",
            Self::Safelist => "safelist",
            Self::Revalidation => "revalidation",
            Self::DryRunEnded => "dry_run_ended",
        }
    }

    /// The final status it leads to.
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
