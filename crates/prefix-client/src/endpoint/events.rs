//! Sending events.

use crate::client::Client;
use crate::endpoint::Answer;
use crate::operation;
use crate::transport::Call;
use bytes::Bytes;
use prefix_api_types::{BatchAnswer, EventAnswer, NewEvent};
use serde_json::json;

impl Client {
    /// Reports an attack, or its end; `explain` asks for the decision.
    ///
    /// The call carries a new idempotency key, the same on every retry.
    pub async fn send_event(&self, event: &NewEvent, explain: bool) -> Answer<EventAnswer> {
        let query = json!({"explain": explain.then_some(true)});
        self.call(Call::new(operation::EVENTS_SEND).query(&query).body(event)?.idempotent()).await
    }

    /// Reports 1 to 100 events at once.
    pub async fn send_events(&self, events: &[NewEvent]) -> Answer<BatchAnswer> {
        self.call(Call::new(operation::EVENTS_BATCH).body(&json!({"events": events}))?.idempotent()).await
    }

    /// Sends a batch whose body, `{"events": [...]}`, is written already.
    pub async fn send_raw_batch(&self, body: impl Into<Bytes>) -> Answer<BatchAnswer> {
        self.call(Call::new(operation::EVENTS_BATCH).raw_body(body).idempotent()).await
    }
}
