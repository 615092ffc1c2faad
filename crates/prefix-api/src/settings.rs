//! What the API is told at start and keeps until it stops.

use std::net::SocketAddr;
use std::time::Duration;

use crate::access::AuthMode;
use crate::limits::RateLimits;

/// How the API listens and whom it lets in.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Where it listens; port 0 = any free one.
    pub listen: SocketAddr,
    /// The one origin that browsers may call from besides our own, e.g. `https://noc.example.net`.
    pub cors_origin: Option<String>,
    /// How callers prove who they are.
    pub auth: AuthMode,
    /// How many requests a principal may send.
    pub rate_limits: RateLimits,
    /// How long a shutdown waits for running requests.
    pub drain_timeout: Duration,
}

/// How long a request may take before it is answered without its result. What storage and speaker may take is bounded
/// more tightly below, so this ends only what is stuck.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take to send the head of a request.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an idle connection is kept.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The version that health and documents show.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
