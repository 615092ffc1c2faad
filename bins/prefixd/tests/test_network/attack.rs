//! What a detector has to say, in the words of a test.

use prefix_client::{EventAction, NewEvent};
use serde_json::{Value, json};

/// A report about one attack, ready to be posted as often as the test needs it.
#[derive(Debug, Clone)]
pub(crate) struct Attack {
    victim: String,
    vector: String,
    ports: Vec<u16>,
    episode: Option<String>,
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
        let victim = self.victim.parse().expect("a victim is an address");
        let mut event = NewEvent::ban(source, victim, &self.vector);
        event.top_dst_ports.clone_from(&self.ports);
        event.confidence = Some(0.9);
        event.event_id.clone_from(&self.episode);
        event
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
