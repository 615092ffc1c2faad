//! What the API is told at start and keeps until it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prefix_core::address::Prefix;
use prefix_engine::AccessSettings;
use prefix_tls::ServerTls;

use crate::access::AuthMode;
use crate::connections::ConnectionLimits;
use crate::limits::RateLimits;

/// How the API listens and whom it lets in.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Where it listens; port 0 = any free one.
    pub listen: SocketAddr,
    /// The one origin that browsers may call from besides our own, e.g. `https://noc.example.net`.
    pub cors_origin: Option<String>,
    /// The address under which browsers reach it, e.g. `https://prefixd.example.net`.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Prefix>,
    /// TLS of the listener; without it HTTP is spoken in the clear.
    pub tls: Option<Arc<ServerTls>>,
    /// How many connections there may be.
    pub connections: ConnectionLimits,
    /// How callers prove who they are.
    pub auth: AuthMode,
    /// What is asked of passwords, sessions and tokens.
    pub access: AccessSettings,
    /// How many requests a principal may send.
    pub rate_limits: RateLimits,
    /// The largest body that an adapter reads; every other body may have 1 MiB.
    pub max_signal_body_bytes: usize,
    /// How long a shutdown waits for running requests.
    pub drain_timeout: Duration,
}

/// How long a request may take before it is answered without its result. What storage and speaker may take is bounded
/// more tightly below, so this ends only what is stuck.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take to send the head of a request, from its first byte on.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take to send the body of a request, however it is written.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// How long an answer waits for a client that takes nothing of it.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long an idle connection is kept.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The version that health and documents show.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
