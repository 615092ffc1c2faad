//! Alerts to operators (metrics-and-feeds.md §3).

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::address::VictimIp;
use crate::flowspec::ActionType;
use crate::guardrail::Guardrail;
use crate::id::{MitigationId, uuid_at};
use crate::mitigation::Mitigation;
use crate::name::{CustomerId, Pop, VectorName};

words! {
    /// The type of the alert.
    #[allow(missing_docs, reason = "the words of the contract, metrics-and-feeds.md §3")]
    pub enum AlertType {
        MitigationCreated = "mitigation.created",
        MitigationEscalated = "mitigation.escalated",
        MitigationWithdrawn = "mitigation.withdrawn",
        MitigationExpired = "mitigation.expired",
        MitigationQueued = "mitigation.queued",
        GuardrailRejected = "guardrail.rejected",
        ConfigReloaded = "config.reloaded",
        SessionDown = "bgp.session_down",
        SessionUp = "bgp.session_up",
        WithdrawStuck = "withdraw.stuck",
        RuleUnseen = "rule.unseen",
        DetectorSilent = "detector.silent",
        GuardWithdrew = "guard.withdrew",
        PanicStarted = "panic.started",
        PanicThawed = "panic.thawed",
    }
}

words! {
    /// How urgent it is.
    #[allow(missing_docs, reason = "the words of the contract, metrics-and-feeds.md §3")]
    pub enum Severity {
        Info = "info",
        Warning = "warning",
        Critical = "critical",
    }
}

impl AlertType {
    /// The urgency of alerts of this type.
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

/// An alert, in the JSON form in which it is sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// A UUID version 7 by which a receiver recognises an alert that was sent twice.
    pub alert_id: Uuid,
    /// The type of the alert.
    pub event_type: AlertType,
    /// The urgency, given by the type.
    pub severity: Severity,
    /// A summary of one line.
    pub title: String,
    /// The details, and what the operator can do.
    pub message: String,
    /// Always `prefixd`.
    pub source: &'static str,
    /// When it happened.
    pub timestamp: DateTime<Utc>,
    /// The mitigation that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mitigation_id: Option<MitigationId>,
    /// The address under attack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub victim_ip: Option<VictimIp>,
    /// The customer of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// The kind of attack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<VectorName>,
    /// The action of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_type: Option<ActionType>,
    /// The site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop: Option<Pop>,
    /// The rule in its text form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<String>,
    /// The guardrail that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<Guardrail>,
    /// The BGP neighbor that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

impl Alert {
    /// An alert without a subject.
    pub fn new(event_type: AlertType, at: DateTime<Utc>, title: String, message: String) -> Self {
        Self {
            alert_id: uuid_at(at),
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

    /// Makes it an alert about a mitigation.
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

    /// Makes it an alert about a BGP neighbor.
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
