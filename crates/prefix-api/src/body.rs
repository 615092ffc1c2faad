//! The body of a request: JSON in UTF-8, at most 1 MiB (of what an adapter takes: `http.max_signal_body_bytes`), read within a bounded time. After a body that could not be read
//! the connection is closed: what still comes on it is nobody's request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures::StreamExt;
use prefix_diagnostics::{Diagnostic, KeyPath, Node};
use sha2::{Digest, Sha256};

use crate::api::Api;
use crate::connections::Connection;
use crate::endpoint::{self, Endpoint};
use crate::problem::{Kind, Problem};
use crate::request;
use crate::settings::BODY_TIMEOUT;

/// The largest body, but for adapters.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// What is read beyond the limit, and thrown away, so that the sender hears the answer instead of a reset.
const DISCARD_BYTES: usize = 7 * MAX_BYTES;

/// How long a body is still read when the daemon goes down.
const DRAIN_GRACE: Duration = Duration::from_secs(2);

/// A body that is JSON.
#[derive(Debug)]
pub(crate) struct Body {
    /// What it says.
    pub(crate) tree: Node,
    /// SHA-256 of its bytes.
    pub(crate) hash: [u8; 32],
    text: String,
}

/// A body that says to be JSON, byte by byte as it came.
#[derive(Debug)]
pub(crate) struct RawBody(pub(crate) Vec<u8>);

/// No body: who sends one nevertheless means something by it, which would be ignored. `{}` says nothing.
#[derive(Debug)]
pub(crate) struct NoBody;

/// Marks a request whose body was not read to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unread;

impl Body {
    /// Reads bytes as JSON.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, Problem> {
        let hash = Sha256::digest(&bytes).into();
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Problem::at("", format!("the body is not UTF-8 at byte {at}"))
        })?;
        let tree = Node::from_json_text(&text).map_err(|detail| Problem::at("", detail))?;
        Ok(Self { tree, hash, text })
    }

    /// The body as a value of its own, each member once.
    pub(crate) fn value(&self) -> Result<serde_json::Value, Vec<Diagnostic>> {
        let errors = self.tree.repeated_members(&KeyPath::root(), None);
        if !errors.is_empty() {
            return Err(errors);
        }
        serde_json::from_str(&self.text).map_err(|error| {
            vec![Diagnostic::shape(KeyPath::root(), format!("the body is no JSON: {error}"))]
        })
    }
}

impl FromRequest for Body {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let raw = RawBody::from_request(request, payload);
        Box::pin(async move { Self::parse(raw.await?.0) })
    }
}

impl FromRequest for NoBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let length = request.headers().get(CONTENT_LENGTH);
        let is_empty = length.is_none_or(|length| length.as_bytes().iter().all(|byte| *byte == b'0'));
        if is_empty && !is_chunked(request) {
            return Box::pin(async { Ok(Self) });
        }
        let body = Body::from_request(request, payload);
        Box::pin(async move {
            request::nothing(&body.await?.tree).map_err(Problem::bad_request)?;
            Ok(Self)
        })
    }
}

/// Whether the body comes in chunks, so that nobody knows where it ends.
pub(crate) fn is_chunked(request: &HttpRequest) -> bool {
    request.headers().contains_key(TRANSFER_ENCODING)
}

impl FromRequest for RawBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let checked = check_type(request.headers());
        let announced =
            request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        let payload = web::Payload::from_request(request, payload);
        let most = most_bytes(request);
        let request = request.clone();
        Box::pin(async move {
            let sender = request.conn_data::<Arc<Connection>>().cloned();
            let read = async {
                checked?;
                let payload = payload.await.map_err(|_| Problem::at("", "the body cannot be read"))?;
                if let Some(sender) = &sender {
                    sender.body_began();
                }
                in_time(&request, read(payload, announced, most)).await
            };
            let read = read.await;
            if let Some(sender) = &sender {
                sender.body_ended();
            }
            if read.is_err() {
                request.extensions_mut().insert(Unread);
            }
            read.map(Self)
        })
    }
}

/// The body, if it arrives in time. A daemon that goes down gives it less.
async fn in_time(
    request: &HttpRequest,
    body: impl Future<Output = Result<Vec<u8>, Problem>>,
) -> Result<Vec<u8>, Problem> {
    let goes_down = async {
        let Some(api) = request.app_data::<web::Data<Api>>() else { return std::future::pending().await };
        api.connections.draining().cancelled().await;
        tokio::time::sleep(DRAIN_GRACE).await;
    };
    tokio::select! {
        body = tokio::time::timeout(BODY_TIMEOUT, body) => body.map_err(|_| {
            let text = format!("the body did not arrive within {} s; nothing was done", BODY_TIMEOUT.as_secs());
            Problem::at("", text)
        })?,
        () = goes_down => Err(prefix_engine::EngineError::ShuttingDown.into()),
    }
}

/// The largest body that this request may have.
fn most_bytes(request: &HttpRequest) -> usize {
    let pattern = request.match_pattern().unwrap_or_default();
    let is_adapter = endpoint::find(request.method(), &pattern).is_some_and(Endpoint::is_adapter);
    let api = request.app_data::<web::Data<Api>>().filter(|_| is_adapter);
    api.map_or(MAX_BYTES, |api| api.max_signal_body_bytes)
}

async fn read(mut payload: web::Payload, announced: Option<u64>, most: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let mut seen = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::at("", format!("the body broke off: {error}")))?;
        seen = seen.saturating_add(chunk.len());
        if seen <= most {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = Vec::new();
        }
        if seen > most + DISCARD_BYTES {
            break;
        }
    }
    if seen > most {
        let size = announced.map_or_else(|| format!("more than {most}"), |size| size.to_string());
        let mib = most / MAX_BYTES;
        let in_mib = if mib * MAX_BYTES == most { format!(" ({mib} MiB)") } else { String::new() };
        return Err(Problem::new(
            Kind::TooLarge,
            format!(
                "the body has {size} bytes, at most {most}{in_mib} are read; split it into several requests"
            ),
        ));
    }
    Ok(bytes)
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |detail: String| Err(Problem::new(Kind::UnsupportedMediaType, detail));
    if headers.get(CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return refuse("a body is read uncompressed only; leave Content-Encoding out".to_owned());
    }
    match headers.get(CONTENT_TYPE).map(|value| value.to_str()) {
        Some(Ok(given)) if is_json(given) => Ok(()),
        Some(Ok(given)) => {
            refuse(format!("a body must be application/json, not {}", crate::value::quoted(given)))
        }
        _ => refuse("a body must say that it is JSON; send Content-Type: application/json".to_owned()),
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((kind, subtype)) = essence.split_once('/') else { return false };
    kind == "application" && (subtype == "json" || (subtype.len() > 5 && subtype.ends_with("+json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_several_names() {
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/vnd.x+json",
            "application/json;",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "text/plain",
            "text/json",
            "application/+json",
            "application/jsonp",
            "json",
            "",
            "application/xml",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_place() {
        let problem = Body::parse(b"{\"a\":\"\xff\"}".to_vec()).unwrap_err();
        assert_eq!(problem.kind(), Kind::BadRequest);
        assert_eq!(problem.detail(), "the body is not UTF-8 at byte 6");
    }
}
