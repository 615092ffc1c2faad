//! What the API counts: one call per thing that happened.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{counter, gauge, histogram};

use crate::endpoint::ENDPOINTS;

const REQUESTS: &str = "prefixd_http_requests_total";
const DURATION: &str = "prefixd_http_request_duration_seconds";
const IN_FLIGHT: &str = "prefixd_http_in_flight_requests";
const CONNECTIONS: &str = "prefixd_http_connections";
const CLOSED: &str = "prefixd_http_connections_closed_total";
const REJECTED: &str = "prefixd_events_rejected_total";

/// The label of what came from outside and is not known.
const OTHER: &str = "_other";

/// Describes the metrics and puts them to 0, so that they exist from the start.
pub(crate) fn register() {
    metrics::describe_counter!(REQUESTS, "HTTP requests answered");
    metrics::describe_histogram!(
        DURATION,
        metrics::Unit::Seconds,
        "from the head of a request to its answer"
    );
    metrics::describe_gauge!(IN_FLIGHT, "HTTP requests being worked on");
    metrics::describe_counter!(REJECTED, "events refused");
    for endpoint in ENDPOINTS {
        let (method, route) = (endpoint.method.as_str(), endpoint.path);
        gauge!(IN_FLIGHT, "method" => method, "route" => route).set(0.0);
        for class in ["2xx", "4xx", "5xx"] {
            counter!(REQUESTS, "method" => method, "route" => route, "status_class" => class).increment(0);
        }
    }
    metrics::describe_gauge!(CONNECTIONS, "open HTTP connections");
    metrics::describe_counter!(CLOSED, "HTTP connections that the server ended, by why");
    gauge!(CONNECTIONS).set(0.0);
    for why in Closed::ALL {
        counter!(CLOSED, "reason" => why.as_str()).increment(0);
    }
    for reason in
        ["guardrail", "unknown_vector", "corroborating_only", "forbidden_source", "rate_limited", "invalid"]
    {
        counter!(REJECTED, "source" => OTHER, "reason" => reason).increment(0);
    }
}

/// A request that is being worked on; counted down when it ends, also if its client went away.
pub(crate) struct Running {
    method: &'static str,
    route: &'static str,
}

/// A request began. Methods and paths that the API does not know share a label each.
pub(crate) fn request_began(method: &Method, pattern: Option<&str>) -> Running {
    let known = ENDPOINTS.iter().map(|endpoint| endpoint.path).find(|path| Some(*path) == pattern);
    let running = Running { method: method_label(method), route: known.unwrap_or(OTHER) };
    gauge!(IN_FLIGHT, "method" => running.method, "route" => running.route).increment(1.0);
    running
}

impl Running {
    /// It was answered.
    pub(crate) fn ended(self, status: StatusCode, took: Duration) {
        let class = match status.as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        let (method, route) = (self.method, self.route);
        counter!(REQUESTS, "method" => method, "route" => route, "status_class" => class).increment(1);
        histogram!(DURATION, "method" => method, "route" => route, "status_class" => class)
            .record(took.as_secs_f64());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT, "method" => self.method, "route" => self.route).decrement(1.0);
    }
}

fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER)
}

/// Why the server ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It had waited longest when there were too many.
    Crowded,
    /// There were too many, and none of them could make room.
    Refused,
    /// The head of its request took too long.
    SlowHead,
    /// It sent no further request.
    Idle,
    /// It did not read its answer.
    SlowReader,
    /// What it sent is no HTTP.
    Malformed,
    /// TLS was not agreed on.
    Handshake,
}

impl Closed {
    const ALL: [Self; 7] = [
        Self::Crowded,
        Self::Refused,
        Self::SlowHead,
        Self::Idle,
        Self::SlowReader,
        Self::Malformed,
        Self::Handshake,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Crowded => "crowded",
            Self::Refused => "refused",
            Self::SlowHead => "slow_head",
            Self::Idle => "idle",
            Self::SlowReader => "slow_reader",
            Self::Malformed => "malformed",
            Self::Handshake => "handshake",
        }
    }
}

/// The server ended a connection.
pub(crate) fn connection_closed(why: Closed) {
    counter!(CLOSED, "reason" => why.as_str()).increment(1);
}

/// So many connections are open.
pub(crate) fn connections(count: usize) {
    gauge!(CONNECTIONS).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

/// Why events were refused at the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// They break the schema.
    Invalid,
    /// There were too many.
    RateLimited,
    /// The principal may not report as that source.
    ForbiddenSource,
    /// No vector can have that name.
    UnknownVector,
}

/// Events were refused before the engine saw them. `source` is who sent them, if that could be read.
pub(crate) fn event_refused(why: Rejection, source: Option<&str>, count: u64) {
    let reason = match why {
        Rejection::Invalid => "invalid",
        Rejection::RateLimited => "rate_limited",
        Rejection::ForbiddenSource => "forbidden_source",
        Rejection::UnknownVector => "unknown_vector",
    };
    let source = source.map_or_else(|| OTHER.to_owned(), source_label);
    counter!(REJECTED, "source" => source, "reason" => reason).increment(count);
}

/// Names of sources come from requests: beyond so many values they share one label.
fn source_label(source: &str) -> String {
    const MOST: usize = 100;
    static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.contains(source) || (seen.len() < MOST && seen.insert(source.to_owned())) {
        return source.to_owned();
    }
    OTHER.to_owned()
}
