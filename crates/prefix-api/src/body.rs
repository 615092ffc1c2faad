//! The body of a request: JSON in UTF-8, at most 1 MiB, read within a bounded time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};
use futures::StreamExt;
use prefix_diagnostics::{Diagnostic, KeyPath, Node};
use sha2::{Digest, Sha256};

use crate::problem::{Kind, Problem};

/// The largest body.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// What is read of a larger body, and thrown away, so that its sender hears the answer instead of a reset.
const DISCARD_BYTES: usize = 8 * MAX_BYTES;

/// A sender that needs longer for its body is not waited for.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

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

impl FromRequest for RawBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let checked = check_type(request.headers());
        let announced =
            request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        let payload = web::Payload::from_request(request, payload);
        Box::pin(async move {
            checked?;
            let payload = payload.await.map_err(|_| Problem::at("", "the body cannot be read"))?;
            let reading = tokio::time::timeout(READ_TIMEOUT, read(payload, announced));
            let bytes = reading.await.map_err(|_| {
                Problem::at(
                    "",
                    format!("the body did not arrive within {} s; nothing was done", READ_TIMEOUT.as_secs()),
                )
            })??;
            Ok(Self(bytes))
        })
    }
}

async fn read(mut payload: web::Payload, announced: Option<u64>) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let mut seen = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::at("", format!("the body broke off: {error}")))?;
        seen = seen.saturating_add(chunk.len());
        if seen <= MAX_BYTES {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = Vec::new();
        }
        if seen > DISCARD_BYTES {
            break;
        }
    }
    if seen > MAX_BYTES {
        let size = announced.map_or_else(|| format!("more than {MAX_BYTES}"), |size| size.to_string());
        return Err(Problem::new(
            Kind::TooLarge,
            format!(
                "the body has {size} bytes, at most {MAX_BYTES} (1 MiB) are read; split it into several requests"
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
