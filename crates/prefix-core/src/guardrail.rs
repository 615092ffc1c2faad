//! The codes of the guardrails: why a rule was refused.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A guardrail, in the order in which they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guardrail {
    /// A panic scope covers the rule.
    Frozen,
    /// The destination is not within a customer's prefix.
    NotOwned,
    /// The destination is covered by, or covers, a safelist entry.
    Safelisted,
    /// The rule would touch the control plane.
    ControlPlane,
    /// The destination is shorter or longer than configured for its family.
    PrefixLength,
    /// A match that cannot exist.
    Semantic,
    /// The action is switched off.
    ActionNotAllowed,
    /// A component is switched off.
    MatchNotAllowed,
    /// More port terms than allowed.
    MaxPorts,
    /// The encoding has 240 bytes or more.
    NlriSize,
    /// The time to live is outside its bounds.
    Ttl,
    /// The police rate is below its bound.
    PoliceRate,
    /// The rule just reached its absolute lifetime.
    MaxLifetime,
    /// An operator withdrew the rule a short time ago.
    QuietPeriod,
    /// Too many new rules in a minute.
    NewRate,
    /// Too many rules of one customer.
    QuotaCustomer,
    /// Too many rules of one pop.
    QuotaPop,
    /// Too many rules in all.
    QuotaGlobal,
}

impl Guardrail {
    /// Every guardrail, in the order of the checks.
    pub const ALL: [Self; 18] = [
        Self::Frozen,
        Self::NotOwned,
        Self::Safelisted,
        Self::ControlPlane,
        Self::PrefixLength,
        Self::Semantic,
        Self::ActionNotAllowed,
        Self::MatchNotAllowed,
        Self::MaxPorts,
        Self::NlriSize,
        Self::Ttl,
        Self::PoliceRate,
        Self::MaxLifetime,
        Self::QuietPeriod,
        Self::NewRate,
        Self::QuotaCustomer,
        Self::QuotaPop,
        Self::QuotaGlobal,
    ];

    /// The code as it stands in API, log and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::NotOwned => "not_owned",
            Self::Safelisted => "safelisted",
            Self::ControlPlane => "control_plane",
            Self::PrefixLength => "prefix_length",
            Self::Semantic => "semantic",
            Self::ActionNotAllowed => "action_not_allowed",
            Self::MatchNotAllowed => "match_not_allowed",
            Self::MaxPorts => "max_ports",
            Self::NlriSize => "nlri_size",
            Self::Ttl => "ttl",
            Self::PoliceRate => "police_rate",
            Self::MaxLifetime => "max_lifetime",
            Self::QuietPeriod => "quiet_period",
            Self::NewRate => "new_rate",
            Self::QuotaCustomer => "quota_customer",
            Self::QuotaPop => "quota_pop",
            Self::QuotaGlobal => "quota_global",
        }
    }

    /// True for a refusal that passes by itself: an automatic rule waits as `queued` instead of being rejected.
    pub fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::QuietPeriod | Self::NewRate | Self::QuotaCustomer | Self::QuotaPop | Self::QuotaGlobal
        )
    }
}

impl fmt::Display for Guardrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What a guardrail said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which one.
    pub guardrail: Guardrail,
    /// What it refused and how to mend it, for people.
    pub detail: String,
    /// Seconds until the same request may pass, if time alone helps.
    pub retry_after_seconds: Option<u64>,
}

impl Refusal {
    /// A refusal that time does not mend.
    pub fn new(guardrail: Guardrail, detail: impl Into<String>) -> Self {
        Self { guardrail, detail: detail.into(), retry_after_seconds: None }
    }

    /// A refusal that passes after so many seconds.
    pub fn retry_after(guardrail: Guardrail, detail: impl Into<String>, seconds: u64) -> Self {
        Self { guardrail, detail: detail.into(), retry_after_seconds: Some(seconds) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_same_in_json_and_in_text() {
        for guardrail in Guardrail::ALL {
            assert_eq!(serde_json::to_value(guardrail).unwrap(), guardrail.code());
        }
    }

    #[test]
    fn the_list_is_complete_and_in_order() {
        assert!(Guardrail::ALL.is_sorted());
        assert_eq!(Guardrail::ALL.last(), Some(&Guardrail::QuotaGlobal));
    }
}
