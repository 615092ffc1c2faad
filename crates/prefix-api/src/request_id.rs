//! Every request has an id, which answer, log and audit share.

use std::sync::Arc;

use actix_web::HttpMessage;
use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};
use uuid::Uuid;

/// The header that carries it.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: 1 to 128 characters of `[A-Za-z0-9._-]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// The client's if it is valid, otherwise a new UUID.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).filter(|text| is_valid(text));
        Self(given.map_or_else(|| Uuid::new_v4().to_string().into(), Into::into))
    }

    /// That of a request which passed the envelope.
    pub(crate) fn of_request(request: &HttpRequest) -> Self {
        let known = request.extensions().get::<Self>().cloned();
        known.unwrap_or_else(|| Self::of(request.headers()))
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_valid(text: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=128).contains(&text.len()) && text.bytes().all(ok)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn id(given: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(given).unwrap());
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_valid_id_of_the_client_is_kept_and_any_other_is_replaced() {
        assert_eq!(id("req-1.A_b"), "req-1.A_b");
        for bad in ["", "a b", "a\"b", "é", &"x".repeat(129)] {
            assert!(Uuid::try_parse(&id(bad)).is_ok(), "{bad}");
        }
        assert!(Uuid::try_parse(RequestId::of(&HeaderMap::new()).as_str()).is_ok());
    }
}
