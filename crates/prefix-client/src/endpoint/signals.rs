//! Passing on what foreign detectors send, as they wrote it.

use crate::client::Client;
use crate::error::ApiError;
use crate::operation;
use crate::reply::Reply;
use crate::transport::Call;
use bytes::Bytes;
use prefix_api_types::{EventAnswer, SignalsAnswer};

impl Client {
    /// Passes a payload of Alertmanager's webhook on; `source` replaces the usual one.
    pub async fn send_alertmanager(
        &self,
        payload: impl Into<Bytes>,
        source: Option<&str>,
    ) -> Result<Reply<SignalsAnswer>, ApiError> {
        let source = source.map(|source| ("source", source.to_owned()));
        let call = Call::new(operation::SIGNALS_ALERTMANAGER).query(source).raw_body(payload);
        self.call(call.idempotent(None)).await
    }

    /// Passes a message of FastNetMon on; `action` is for payloads without one, `explain` asks for the decision.
    pub async fn send_fastnetmon(
        &self,
        payload: impl Into<Bytes>,
        source: Option<&str>,
        action: Option<&str>,
        explain: bool,
    ) -> Result<Reply<EventAnswer>, ApiError> {
        let source = source.map(|source| ("source", source.to_owned()));
        let action = action.map(|action| ("action", action.to_owned()));
        let explain = explain.then(|| ("explain", "true".to_owned()));
        let call = Call::new(operation::SIGNALS_FASTNETMON).query(source).query(action).query(explain);
        self.call(call.raw_body(payload).idempotent(None)).await
    }

    /// Passes a payload on to the webhook adapter `name`, with the headers of its signature.
    pub async fn send_webhook(
        &self,
        name: &str,
        payload: impl Into<Bytes>,
        headers: Vec<(String, String)>,
    ) -> Result<Reply<SignalsAnswer>, ApiError> {
        let call = Call::new(operation::SIGNALS_WEBHOOK).argument(&name).headers(headers).raw_body(payload);
        self.call(call.idempotent(None)).await
    }
}
