//! Sending and reading events.

use crate::client::Client;
use crate::error::ApiError;
use crate::operation;
use crate::page::Paged;
use crate::query::EventQuery;
use crate::reply::Reply;
use crate::transport::Call;
use bytes::Bytes;
use prefix_api_types::{BatchAnswer, Event, EventAnswer, EventId, NewEvent, Page};

impl Client {
    /// Reports an attack, or its end; `explain` asks for the decision.
    ///
    /// The call carries a new idempotency key, the same on every retry.
    pub async fn send_event(&self, event: &NewEvent, explain: bool) -> Result<Reply<EventAnswer>, ApiError> {
        self.send_event_with_key(event, explain, None).await
    }

    /// As [`Client::send_event`], with an idempotency key of one's own (1 to 255 printable ASCII characters).
    pub async fn send_event_with_key(
        &self,
        event: &NewEvent,
        explain: bool,
        key: Option<&str>,
    ) -> Result<Reply<EventAnswer>, ApiError> {
        let explain = explain.then(|| ("explain", "true".to_owned()));
        self.call(Call::new(operation::EVENTS_SEND).query(explain).body(event)?.idempotent(key)).await
    }

    /// Reports 1 to 100 events at once.
    pub async fn send_events(&self, events: &[NewEvent]) -> Result<Reply<BatchAnswer>, ApiError> {
        #[derive(serde::Serialize)]
        struct Batch<'a> {
            events: &'a [NewEvent],
        }
        self.call(Call::new(operation::EVENTS_BATCH).body(&Batch { events })?.idempotent(None)).await
    }

    /// Sends a batch whose body, `{"events": [...]}`, is written already.
    pub async fn send_raw_batch(&self, body: impl Into<Bytes>) -> Result<Reply<BatchAnswer>, ApiError> {
        self.call(Call::new(operation::EVENTS_BATCH).raw_body(body).idempotent(None)).await
    }

    /// The first page of events.
    pub async fn events(&self, query: &EventQuery) -> Result<Reply<Page<Event>>, ApiError> {
        self.call(Call::new(operation::EVENTS_LIST).query(query.pairs())).await
    }

    /// All events, page by page.
    pub fn all_events(&self, query: &EventQuery) -> Paged<Event> {
        Paged::new(self, operation::EVENTS_LIST, query.pairs())
    }

    /// One event with its decision.
    pub async fn event(&self, id: EventId) -> Result<Reply<Event>, ApiError> {
        self.call(Call::new(operation::EVENTS_GET).argument(&id)).await
    }
}
