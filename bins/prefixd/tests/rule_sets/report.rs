//! What detectors say, in the form in which they send it.

use crate::test_network::Network;
use prefix_client::{EventStatus, NewEvent};
use serde_json::{Value, json};

/// The report that makes a scenario's rules.
pub(super) enum Report {
    /// FastNetMon 1.2.9 about packets from port 123 to port 53 of 203.0.113.10, as its notify script passed it on.
    CapturedByFastNetMon,
    /// An alert of Alertmanager: severity critical, this vector, no ports.
    Alert(&'static str),
    /// `POST /v1/events`, with these members besides source and victim.
    Event(Value),
    /// The same, for which there is no playbook: nothing is done.
    Unanswered(Value),
}

impl Report {
    /// Sends it about each of the victims.
    pub(super) async fn is_sent(&self, net: &Network, victims: &[&str]) {
        match self {
            Self::CapturedByFastNetMon => {
                let captured = include_str!(
                    "../../../../crates/prefix-signals/tests/payloads/fastnetmon/1.2.9-netflow-ban.json"
                );
                let answer = net.client.send_fastnetmon(captured, None, None, false).await.unwrap().value;
                assert!(is_taken(&answer.status), "{answer:?}");
            }
            Self::Alert(vector) => {
                let alerts: Vec<Value> = victims.iter().map(|victim| alert(vector, victim)).collect();
                let group = json!({
                    "version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing",
                    "receiver": "prefixd", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
                    "externalURL": "http://alertmanager.example", "alerts": alerts,
                });
                let answer = net.client.send_alertmanager(group.to_string(), None).await.unwrap().value;
                assert_eq!(answer.failed, 0, "{answer:?}");
            }
            Self::Event(members) => is_posted(net, victims, members, is_taken).await,
            Self::Unanswered(members) => {
                is_posted(net, victims, members, |status| *status == EventStatus::AcceptedNoPlaybook).await;
            }
        }
    }
}

fn is_taken(status: &EventStatus) -> bool {
    matches!(status, EventStatus::Accepted | EventStatus::Extended)
}

async fn is_posted(
    net: &Network,
    victims: &[&str],
    members: &Value,
    is_right: impl Fn(&EventStatus) -> bool,
) {
    for victim in victims {
        let answer = net.client.send_event(&event("netflow", victim, members), false).await.unwrap().value;
        assert!(is_right(&answer.status), "{answer:?}");
    }
}

/// An event of `source` with these members.
pub(super) fn event(source: &str, victim: &str, members: &Value) -> NewEvent {
    let mut document = members.clone();
    document["source"] = source.into();
    document["victim_ip"] = victim.into();
    serde_json::from_value(document).unwrap()
}

fn alert(vector: &str, victim: &str) -> Value {
    json!({
        "status": "firing", "startsAt": "2026-11-29T10:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example", "fingerprint": format!("{vector}-{victim}"),
        "labels": {"alertname": "Flood", "severity": "critical", "vector": vector, "victim_ip": victim},
        "annotations": {"pps": "2.5e+06"},
    })
}
