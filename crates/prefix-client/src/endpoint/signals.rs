//! Signals: what foreign detectors send, as they wrote it, and sources that only corroborate.

use crate::client::Client;
use crate::endpoint::Answer;
use crate::operation;
use crate::transport::Call;
use bytes::Bytes;
use prefix_api_types::{CorroborationAnswer, EventAnswer, NewCorroboration, SignalsAnswer};
use serde_json::json;

impl Client {
    /// Passes a payload of Alertmanager's webhook on; `source` replaces the usual one.
    pub async fn send_alertmanager(
        &self,
        payload: impl Into<Bytes>,
        source: Option<&str>,
    ) -> Answer<SignalsAnswer> {
        let call = Call::new(operation::SIGNALS_ALERTMANAGER).query(&json!({"source": source}));
        self.call(call.raw_body(payload).idempotent()).await
    }

    /// Passes a message of FastNetMon on; `action` is for payloads without one, `explain` asks for the decision.
    pub async fn send_fastnetmon(
        &self,
        payload: impl Into<Bytes>,
        source: Option<&str>,
        action: Option<&str>,
        explain: bool,
    ) -> Answer<EventAnswer> {
        let query = json!({"source": source, "action": action, "explain": explain.then_some(true)});
        let call = Call::new(operation::SIGNALS_FASTNETMON).query(&query).raw_body(payload);
        self.call(call.idempotent()).await
    }

    /// Passes a payload on to the webhook adapter `name`, with the headers of its signature.
    pub async fn send_webhook(
        &self,
        name: &str,
        payload: impl Into<Bytes>,
        headers: Vec<(String, String)>,
    ) -> Answer<SignalsAnswer> {
        let call = Call::new(operation::SIGNALS_WEBHOOK).argument(&name).headers(headers).raw_body(payload);
        self.call(call.idempotent()).await
    }

    /// Corroborates what others report, or will report within the window.
    ///
    /// The call carries a new idempotency key, the same on every retry.
    pub async fn corroborate(&self, signal: &NewCorroboration) -> Answer<CorroborationAnswer> {
        self.call(Call::new(operation::SIGNALS_CORROBORATE).body(signal)?.idempotent()).await
    }
}
