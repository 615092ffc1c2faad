//! One answer: what it means, and what was sent, byte for byte.

use bytes::Bytes;
use prefix_api_types::Secret;

/// A successful answer of the server.
#[derive(Debug, Clone)]
pub struct Reply<T> {
    /// What the body says.
    pub value: T,
    /// The body as it came; empty for 204.
    pub body: Bytes,
    /// The HTTP status, 200 to 299 (503 for readiness).
    pub status: u16,
    /// The server's `x-request-id`.
    pub request_id: Option<String>,
    /// True if the server answered from its store of idempotency keys: the request had been carried out before.
    pub replayed: bool,
    /// The cookie that the server sets, as `name=value`: that of a login.
    pub set_cookie: Option<Secret>,
}

impl<T> Reply<T> {
    /// The same answer with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reply<U> {
        let Self { value, body, status, request_id, replayed, set_cookie } = self;
        Reply { value: change(value), body, status, request_id, replayed, set_cookie }
    }
}
