//! The guardrails and their codes: why a rule was refused.

use std::fmt;

use serde::{Deserialize, Serialize};

words! {
    /// A guardrail, in the order in which they are checked.
    pub enum Guardrail {
        /// A panic scope covers the rule.
        Frozen = "frozen",
        /// The destination is not within a customer's prefix.
        NotOwned = "not_owned",
        /// The destination is covered by, or covers, a safelist entry.
        Safelisted = "safelisted",
        /// The rule would touch the control plane.
        ControlPlane = "control_plane",
        /// The destination is shorter or longer than configured for its family.
        PrefixLength = "prefix_length",
        /// No packet can match, or the match cannot be encoded.
        Semantic = "semantic",
        /// The configuration forbids the action.
        ActionNotAllowed = "action_not_allowed",
        /// The configuration forbids a component of the match.
        MatchNotAllowed = "match_not_allowed",
        /// More port terms than `guardrails.max_ports`.
        MaxPorts = "max_ports",
        /// The encoding has 240 octets or more.
        NlriSize = "nlri_size",
        /// The time to live is outside its bounds.
        Ttl = "ttl",
        /// The police rate is below its bound.
        PoliceRate = "police_rate",
        /// The rule just reached its absolute lifetime.
        MaxLifetime = "max_lifetime",
        /// An operator withdrew the rule a short time ago.
        QuietPeriod = "quiet_period",
        /// Too many new rules in a minute.
        NewRate = "new_rate",
        /// Too many rules of one victim.
        QuotaVictim = "quota_victim",
        /// Too many rules of one customer.
        QuotaCustomer = "quota_customer",
        /// Too many rules of one pop.
        QuotaPop = "quota_pop",
        /// Too many rules in total.
        QuotaGlobal = "quota_global",
    }
}

impl Guardrail {
    /// The word, as a code of API, log and metrics.
    pub const fn code(self) -> &'static str {
        self.as_str()
    }

    /// Whether the refusal passes with time: an automatic rule waits as `queued` instead of being rejected.
    pub fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::QuietPeriod
                | Self::NewRate
                | Self::QuotaVictim
                | Self::QuotaCustomer
                | Self::QuotaPop
                | Self::QuotaGlobal
        )
    }
}

/// A refusal by a guardrail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The guardrail.
    pub guardrail: Guardrail,
    /// What it refused and what would pass, as text for operators.
    pub detail: String,
    /// The seconds until the same request may pass, if time alone helps.
    pub retry_after_seconds: Option<u64>,
}

impl Refusal {
    /// A refusal that does not pass with time.
    pub fn new(guardrail: Guardrail, detail: impl Into<String>) -> Self {
        Self { guardrail, detail: detail.into(), retry_after_seconds: None }
    }

    /// A refusal that may pass after this number of seconds.
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
