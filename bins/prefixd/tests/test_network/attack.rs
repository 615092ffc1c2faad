//! What a detector has to say, in the words of a test.

use prefix_client::{EventAction, NewEvent, NewMitigation};
use serde_json::{Value, json};

/// A report about one attack, ready to be posted as often as the test needs it.
#[derive(Debug, Clone)]
pub(crate) struct Attack {
    victim: String,
    vector: String,
    ports: Vec<u16>,
    episode: Option<String>,
}

/// A rule by hand that drops what goes to `victim`.
pub(crate) fn drop_by_hand(victim: &str, protocol: &str, reason: &str) -> NewMitigation {
    let rule = json!({"reason": reason, "victim_ip": victim, "protocol": protocol, "action": "discard"});
    serde_json::from_value(rule).expect("a rule")
}

/// A UDP flood on `victim`.
pub(crate) fn udp_flood(victim: &str) -> Attack {
    Attack::new("udp_flood", victim)
}

impl Attack {
    /// An attack of this vector on `victim`.
    pub(crate) fn new(vector: &str, victim: &str) -> Self {
        let (victim, vector) = (victim.to_owned(), vector.to_owned());
        Self { victim, vector, ports: Vec::new(), episode: None }
    }

    /// On these destination ports.
    pub(crate) fn on_ports(mut self, ports: &[u16]) -> Self {
        self.ports = ports.to_vec();
        self
    }

    /// The detector's own id of the attack.
    pub(crate) fn episode(mut self, id: impl Into<String>) -> Self {
        self.episode = Some(id.into());
        self
    }

    /// The event of `source` that says it began, or goes on.
    pub(crate) fn ban(&self, source: &str) -> NewEvent {
        let document = json!({
            "source": source, "victim_ip": self.victim, "vector": self.vector, "top_dst_ports": self.ports,
            "confidence": 0.9, "event_id": self.episode,
        });
        serde_json::from_value(document).expect("an event")
    }

    /// The event of `source` that says it is over.
    pub(crate) fn unban(&self, source: &str) -> NewEvent {
        let mut event = self.ban(source);
        event.action = Some(EventAction::Unban);
        event
    }

    /// The ban as a JSON document, for tests that spoil it.
    pub(crate) fn document(&self, source: &str) -> Value {
        json!(self.ban(source))
    }
}
