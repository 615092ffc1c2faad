//! The port to the BGP speaker: announce, withdraw and read back own paths.
//!
//! Pacing, coalescing, retries and the decision what *should* be in the table belong to the engine; an adapter only
//! applies changes and reports what is known of their effect.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use thiserror::Error;

use crate::address::Family;
use crate::flowspec::{Action, RouteKey, RouteKind, Rule};
use crate::ownership::{Ownership, Tags};

/// What a path matches: a FlowSpec rule, or a destination whose traffic is dropped by a remotely triggered black hole
/// (RFC 7999).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// A FlowSpec rule (RFC 8955, RFC 8956).
    FlowSpec(Box<Rule>),
    /// A unicast route with the BLACKHOLE community (RFC 7999).
    Blackhole(crate::address::Prefix),
}

impl Route {
    /// The identity of this route in the speaker's table.
    pub fn key(&self) -> RouteKey {
        match self {
            Self::FlowSpec(rule) => RouteKey::for_rule(rule),
            Self::Blackhole(prefix) => RouteKey::blackhole(*prefix),
        }
    }

    /// The rule, unless this is a black hole.
    pub fn rule(&self) -> Option<&Rule> {
        match self {
            Self::FlowSpec(rule) => Some(rule),
            Self::Blackhole(_) => None,
        }
    }

    /// The destination of the traffic this route acts on.
    pub fn destination(&self) -> crate::address::Prefix {
        match self {
            Self::FlowSpec(rule) => rule.destination(),
            Self::Blackhole(prefix) => *prefix,
        }
    }

    /// The address family of the destination.
    pub fn family(&self) -> Family {
        self.destination().family()
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FlowSpec(rule) => rule.fmt(f),
            Self::Blackhole(prefix) => f.write_str(&crate::flowspec::blackhole_text(*prefix)),
        }
    }
}

/// An own path, as it should be in the speaker's table.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnPath {
    /// What it matches.
    pub route: Route,
    /// What is done with matching packets.
    pub action: Action,
    /// The values of its owner communities (RFC 8092).
    pub tags: Tags,
}

/// A path in the speaker's table, own or foreign.
#[derive(Clone, Debug, PartialEq)]
pub struct RibPath {
    /// The identity of its route.
    pub key: RouteKey,
    /// Its action; `None` if its communities name none that prefixd knows.
    pub action: Option<Action>,
    /// Whether it is own, of another pop, or foreign.
    pub ownership: Ownership,
    /// True for a path injected over the speaker's API, false for one learned from a BGP session.
    pub local: bool,
    /// The attributes as text, for the audit of a replaced path; an adapter may leave it empty for own paths.
    pub attributes: String,
}

words! {
    /// The state of a BGP session, as named in RFC 4271 §8.2.2.
    #[allow(missing_docs, reason = "the names are those of RFC 4271 §8.2.2")]
    pub enum SessionState {
        Idle = "idle",
        Connect = "connect",
        Active = "active",
        OpenSent = "opensent",
        OpenConfirm = "openconfirm",
        Established = "established",
        /// The speaker cannot be reached.
        Unknown = "unknown",
    }
}

words! {
    /// An address family and subsequent address family (RFC 4760) that prefixd announces in.
    pub enum AfiSafi {
        /// AFI 1, SAFI 133 (RFC 8955).
        Ipv4Flowspec = "ipv4-flowspec",
        /// AFI 2, SAFI 133 (RFC 8956).
        Ipv6Flowspec = "ipv6-flowspec",
        /// AFI 1, SAFI 1.
        Ipv4Unicast = "ipv4-unicast",
        /// AFI 2, SAFI 1.
        Ipv6Unicast = "ipv6-unicast",
    }
}

impl From<RouteKind> for AfiSafi {
    fn from(kind: RouteKind) -> Self {
        match kind {
            RouteKind::FlowSpecV4 => Self::Ipv4Flowspec,
            RouteKind::FlowSpecV6 => Self::Ipv6Flowspec,
            RouteKind::UnicastV4 => Self::Ipv4Unicast,
            RouteKind::UnicastV6 => Self::Ipv6Unicast,
        }
    }
}

/// A BGP neighbor of the speaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Its autonomous system number, 32 bits (RFC 6793).
    pub asn: u32,
    /// The state of the session.
    pub state: SessionState,
    /// How long the session has been established.
    pub uptime: Option<Duration>,
    /// The families that the established session carries (negotiated), else those configured.
    pub families: Vec<AfiSafi>,
}

/// An event of the speaker.
#[derive(Clone, Debug, PartialEq)]
pub enum SpeakerEvent {
    /// Connected, and the watch has begun. Earlier events are unknown, so the table has to be read.
    Connected,
    /// The connection is lost. The table may be empty when the speaker is back.
    Disconnected {
        /// The cause, as text.
        reason: String,
    },
    /// A session changed its state.
    PeerChanged(Peer),
    /// The best path of a route changed: it is `path` now, or none.
    PathChanged {
        /// The route.
        key: RouteKey,
        /// Its best path; `None` if it has none any more.
        path: Option<Box<RibPath>>,
    },
}

/// Why a change is not known to have been carried out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnnounceError {
    /// The speaker refused: the change has had no effect and never will.
    #[error("the speaker refused: {0}")]
    Refused(String),
    /// Nothing was sent: the change has had no effect and never will.
    #[error("the speaker is not reachable: {0}")]
    Unreachable(String),
    /// Sent, but not answered. The change may have had its effect, or may still have it when a stopped speaker
    /// continues. Only a read-back tells.
    #[error("no answer from the speaker: {0}")]
    Unknown(String),
}

impl AnnounceError {
    /// What the speaker or the transport said.
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused(reason) | Self::Unreachable(reason) | Self::Unknown(reason) => reason,
        }
    }
}

/// The port to the BGP speaker.
///
/// Every call is bounded in time by the adapter. Implementations never delete by family, by uuid or without a path:
/// a withdraw names exactly one route.
#[async_trait]
pub trait Announcer: Send + Sync {
    /// Announces the paths. An existing API path of the same route is replaced without a gap.
    ///
    /// One result per path, in order. `Ok` means the speaker confirmed that the path is in its table.
    async fn announce(&self, paths: &[OwnPath]) -> Vec<Result<(), AnnounceError>>;

    /// Withdraws the API paths of these routes. One result per key, in order; a route without a path is `Ok`.
    async fn withdraw(&self, keys: &[RouteKey]) -> Vec<Result<(), AnnounceError>>;

    /// The whole table of the families prefixd uses, streamed: every FlowSpec path, and unicast paths with the owner
    /// community of any pop. An error item ends the stream; the table is then incomplete.
    async fn table(&self) -> Result<BoxStream<'static, Result<RibPath, AnnounceError>>, AnnounceError>;

    /// Reads the paths of single routes, one per key, in order; `None` for a route without a path.
    async fn find(&self, keys: &[RouteKey]) -> Result<Vec<Option<RibPath>>, AnnounceError>;

    /// The speaker's neighbors.
    async fn peers(&self) -> Result<Vec<Peer>, AnnounceError>;

    /// The events of the speaker, without end: the adapter reconnects by itself. Each call is a stream of its own that
    /// begins with the current state (`Connected` or `Disconnected`).
    fn watch(&self) -> BoxStream<'static, SpeakerEvent>;
}
