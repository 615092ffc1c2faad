//! Alerts: what somebody should be told (metrics-and-feeds.md §3).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::address::VictimIp;
use crate::flowspec::ActionType;
use crate::guardrail::Guardrail;
use crate::id::MitigationId;
use crate::mitigation::Mitigation;
use crate::name::{CustomerId, Pop, VectorName};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the words of the contract, metrics-and-feeds.md §3")]
pub enum AlertType {
    #[serde(rename = "mitigation.created")]
    MitigationCreated,
    #[serde(rename = "mitigation.escalated")]
    MitigationEscalated,
    #[serde(rename = "mitigation.withdrawn")]
    MitigationWithdrawn,
    #[serde(rename = "mitigation.expired")]
    MitigationExpired,
    #[serde(rename = "mitigation.queued")]
    MitigationQueued,
    #[serde(rename = "guardrail.rejected")]
    GuardrailRejected,
    #[serde(rename = "config.reloaded")]
    ConfigReloaded,
    #[serde(rename = "bgp.session_down")]
    SessionDown,
    #[serde(rename = "bgp.session_up")]
    SessionUp,
    #[serde(rename = "withdraw.stuck")]
    WithdrawStuck,
    #[serde(rename = "rule.unseen")]
    RuleUnseen,
    #[serde(rename = "detector.silent")]
    DetectorSilent,
    #[serde(rename = "guard.withdrew")]
    GuardWithdrew,
    #[serde(rename = "panic.started")]
    PanicStarted,
    #[serde(rename = "panic.thawed")]
    PanicThawed,
}

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words of the contract, metrics-and-feeds.md §3")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl AlertType {
    /// How urgent alerts of this type are.
    pub fn severity(self) -> Severity {
        match self {
            Self::MitigationEscalated
            | Self::SessionDown
            | Self::WithdrawStuck
            | Self::RuleUnseen
            | Self::GuardWithdrew
            | Self::PanicStarted => Severity::Critical,
            Self::MitigationCreated
            | Self::MitigationQueued
            | Self::GuardrailRejected
            | Self::DetectorSilent => Severity::Warning,
            Self::MitigationWithdrawn
            | Self::MitigationExpired
            | Self::ConfigReloaded
            | Self::SessionUp
            | Self::PanicThawed => Severity::Info,
        }
    }
}

/// An alert, in the shape in which it is sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// Lets a receiver drop one that it was sent twice.
    pub alert_id: Uuid,
    /// What happened.
    pub event_type: AlertType,
    /// How urgent it is.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// What to know and what to do.
    pub message: String,
    /// Always `prefixd`.
    pub source: &'static str,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// About this mitigation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mitigation_id: Option<MitigationId>,
    /// The address under attack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub victim_ip: Option<VictimIp>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// The kind of attack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<VectorName>,
    /// What the rule does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_type: Option<ActionType>,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop: Option<Pop>,
    /// The rule in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<String>,
    /// The guardrail that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<Guardrail>,
    /// The BGP neighbor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

impl Alert {
    /// An alert about nothing in particular.
    pub fn new(event_type: AlertType, at: DateTime<Utc>, title: String, message: String) -> Self {
        Self {
            alert_id: Uuid::now_v7(),
            event_type,
            severity: event_type.severity(),
            title,
            message,
            source: "prefixd",
            timestamp: at,
            mitigation_id: None,
            victim_ip: None,
            customer_id: None,
            vector: None,
            action_type: None,
            pop: None,
            flow: None,
            guardrail: None,
            peer: None,
        }
    }

    /// About this mitigation.
    #[must_use]
    pub fn of(mut self, row: &Mitigation) -> Self {
        self.mitigation_id = Some(row.mitigation_id);
        self.victim_ip = Some(row.victim_ip);
        self.customer_id.clone_from(&row.customer_id);
        self.vector = Some(row.vector.clone());
        self.action_type = Some(row.action.action_type());
        self.pop = Some(row.pop.clone());
        self.flow = row.route.as_ref().map(ToString::to_string);
        self.guardrail = row.guardrail;
        self
    }

    /// About this BGP neighbor.
    #[must_use]
    pub fn about_peer(mut self, name: &str) -> Self {
        self.peer = Some(name.to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_alert_says_only_what_applies() {
        let at = DateTime::UNIX_EPOCH;
        let alert = Alert::new(AlertType::SessionDown, at, "router-1 is down".into(), "look there".into())
            .about_peer("router-1");
        assert_eq!(
            json!(alert),
            json!({
                "alert_id": alert.alert_id, "event_type": "bgp.session_down", "severity": "critical",
                "title": "router-1 is down", "message": "look there", "source": "prefixd",
                "timestamp": "1970-01-01T00:00:00Z", "peer": "router-1",
            })
        );
    }

    #[test]
    fn what_must_wake_somebody_is_critical_and_good_news_is_not() {
        use AlertType::{MitigationExpired, PanicStarted, PanicThawed, RuleUnseen, SessionUp, WithdrawStuck};
        for urgent in [PanicStarted, RuleUnseen, WithdrawStuck] {
            assert_eq!(urgent.severity(), Severity::Critical);
        }
        for good in [PanicThawed, SessionUp, MitigationExpired] {
            assert_eq!(good.severity(), Severity::Info);
        }
        assert!(Severity::Critical > Severity::Warning);
    }
}
