//! The outermost layer: every request gets an id, every answer its headers, every failure its form.

use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    self, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, web};

use crate::api::Api;
use crate::body::{Unread, is_chunked};
use crate::connections::Connection;
use crate::problem::Problem;
use crate::report;
use crate::request_id::{self, RequestId};

/// Wraps the whole application.
pub(crate) async fn envelope(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let origin = allowed_origin(&request);
    let route = request.match_pattern();
    let running = report::request_began(request.method(), route.as_deref());
    let began = Instant::now();
    let connection = request.request().conn_data::<Arc<Connection>>().cloned();
    if let Some(connection) = &connection {
        connection.request_began();
    }

    let mut response = if origin.is_some() && is_preflight(&request) {
        request.into_response(HttpResponse::NoContent().finish())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        let problem = response.response().extensions().get::<Problem>().cloned();
        let problem = problem.unwrap_or_else(|| Problem::of_status(response.status()));
        response = response.into_response(problem.response(id.as_str()));
    }
    let drained = response.status() == StatusCode::SERVICE_UNAVAILABLE && is_draining(response.request());
    if drained || leaves_a_body(response.request(), response.status()) {
        // on this connection nothing will be answered any more; the next one may lead to another instance
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    if let Some(connection) = &connection {
        connection.request_ended();
    }
    running.ended(response.status(), began.elapsed());
    let status = response.status();
    let headers = response.headers_mut();
    fixed_headers(headers);
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(request_id::HEADER, value);
    }
    if let Some(origin) = origin {
        cors_headers(headers, origin, status);
    }
    Ok(response)
}

/// Whether a part of the body may still come: what follows on this connection is then no request.
fn leaves_a_body(request: &HttpRequest, status: StatusCode) -> bool {
    request.extensions().contains::<Unread>() || (!status.is_success() && is_chunked(request))
}

fn is_draining(request: &HttpRequest) -> bool {
    request.app_data::<web::Data<Api>>().is_some_and(|api| api.is_draining())
}

fn fixed_headers(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

fn is_preflight(request: &ServiceRequest) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The configured origin, if the request comes from it.
fn allowed_origin(request: &ServiceRequest) -> Option<HeaderValue> {
    let allowed = request.app_data::<web::Data<Api>>()?.cors_origin.as_deref()?;
    request.headers().get(ORIGIN).filter(|origin| origin.as_bytes() == allowed.as_bytes()).cloned()
}

fn cors_headers(headers: &mut HeaderMap, origin: HeaderValue, status: StatusCode) {
    let mut put =
        |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    put(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    put(header::ACCESS_CONTROL_EXPOSE_HEADERS, "x-request-id, retry-after, idempotency-replayed");
    put(header::VARY, "Origin");
    if status == StatusCode::NO_CONTENT {
        put(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE, OPTIONS");
        put(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, idempotency-key, x-request-id",
        );
        put(header::ACCESS_CONTROL_MAX_AGE, "600");
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
}
