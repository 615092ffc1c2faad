//! The log of requests: one span each, which everything that happens in it belongs to, and one line at its end.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage};
use tracing::Span;
use tracing::field::Empty;
use tracing_actix_web::RootSpanBuilder;

use crate::request_id::RequestId;

/// Builds the span of a request: the id that the client sees, never a header or a body.
pub(crate) struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let id = request.extensions().get::<RequestId>().cloned();
        tracing::info_span!(
            "request",
            request_id = id.as_ref().map(RequestId::as_str),
            method = %request.method(),
            route = request.match_pattern(),
            path = request.path(),
            actor = Empty,
            status = Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("status", status.as_u16());
        if status.is_server_error() {
            tracing::warn!(parent: &span, "request failed");
        } else {
            tracing::debug!(parent: &span, "request answered");
        }
    }
}
