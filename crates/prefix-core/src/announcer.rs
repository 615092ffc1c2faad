//! The port to the BGP speaker: announce, withdraw and read back own paths.
//!
//! The port is as small as the engine's needs. Pacing, coalescing, retries and the decision what *should* be in the
//! table belong to the engine; an adapter only carries out what it is told and reports honestly what it knows.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::address::Family;
use crate::flowspec::{Action, RouteKey, Rule};
use crate::ownership::{Ownership, Tags};

/// What a path matches: a FlowSpec rule, or a whole host given up by remotely triggered black hole (RFC 7999).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// A FlowSpec rule (RFC 8955, RFC 8956).
    FlowSpec(Box<Rule>),
    /// A unicast host route with the BLACKHOLE community.
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

/// A path of our own, as it has to stand in the speaker's table.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnPath {
    /// What it matches.
    pub route: Route,
    /// What is done with matching packets.
    pub action: Action,
    /// The communities that make it ours.
    pub tags: Tags,
}

/// A path as the speaker's table holds it, whoever put it there.
#[derive(Clone, Debug, PartialEq)]
pub struct RibPath {
    /// Its identity. Paths whose NLRI prefixd cannot decode are reported with the raw bytes as identity.
    pub key: RouteKey,
    /// Its action, or `None` if it carries none that prefixd knows.
    pub action: Option<Action>,
    /// Whose it is.
    pub ownership: Ownership,
    /// True for a path injected over the speaker's API, false for one learned from a BGP session.
    pub local: bool,
    /// The attributes in words, for the audit of a replaced path.
    pub attributes: String,
}

/// The state of a BGP session, as named in RFC 4271 §8.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of RFC 4271 §8.2.2")]
pub enum SessionState {
    Idle,
    Connect,
    Active,
    OpenSent,
    OpenConfirm,
    Established,
    /// The speaker cannot be reached.
    Unknown,
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Connect => "connect",
            Self::Active => "active",
            Self::OpenSent => "opensent",
            Self::OpenConfirm => "openconfirm",
            Self::Established => "established",
            Self::Unknown => "unknown",
        })
    }
}

/// An address and subsequent address family that prefixd announces in (AFI/SAFI).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfiSafi {
    /// AFI 1, SAFI 133 (RFC 8955).
    Ipv4Flowspec,
    /// AFI 2, SAFI 133 (RFC 8956).
    Ipv6Flowspec,
    /// AFI 1, SAFI 1.
    Ipv4Unicast,
    /// AFI 2, SAFI 1.
    Ipv6Unicast,
}

impl fmt::Display for AfiSafi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4Flowspec => "ipv4-flowspec",
            Self::Ipv6Flowspec => "ipv6-flowspec",
            Self::Ipv4Unicast => "ipv4-unicast",
            Self::Ipv6Unicast => "ipv6-unicast",
        })
    }
}

/// A BGP neighbor of the speaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Its autonomous system number.
    pub asn: u32,
    /// The state of the session.
    pub state: SessionState,
    /// How long the session has been established.
    pub uptime: Option<Duration>,
    /// The families that the established session carries (negotiated), else those configured.
    pub families: Vec<AfiSafi>,
}

/// What the speaker says unasked.
#[derive(Clone, Debug, PartialEq)]
pub enum SpeakerEvent {
    /// A connection stands and the watch is on; whatever happened before is unknown, so the table is to be read.
    Connected,
    /// The connection is gone; the table may be empty when the speaker returns.
    Disconnected {
        /// Why, in words.
        reason: String,
    },
    /// A session changed its state.
    PeerChanged(Peer),
    /// The best path of a route changed: replaced by `path`, or gone.
    PathChanged {
        /// The route.
        key: RouteKey,
        /// Its path now; `None` when it left the table.
        path: Option<Box<RibPath>>,
    },
}

/// Why a change is not known to have been carried out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnnounceError {
    /// The speaker answered that it will not: the change has had no effect and never will.
    #[error("the speaker refused: {0}")]
    Refused(String),
    /// Nothing was sent: the change has had no effect and never will.
    #[error("the speaker is not reachable: {0}")]
    Unreachable(String),
    /// Sent, but no answer came. The change may have had its effect, or may still have it when a stopped speaker
    /// wakes. Only reading back tells.
    #[error("no answer from the speaker: {0}")]
    Unknown(String),
}

/// The port to the BGP speaker.
///
/// Every call is bounded in time by the adapter. Implementations never delete by family, by uuid or without a path:
/// a withdraw names exactly one route.
#[async_trait]
pub trait Announcer: Send + Sync {
    /// Puts the paths into the table; an existing API path of the same route is replaced in place, without a gap.
    ///
    /// One result per path, in order. `Ok` means the speaker confirmed that the path is in its table.
    async fn announce(&self, paths: &[OwnPath]) -> Vec<Result<(), AnnounceError>>;

    /// Takes API paths out of the table. One result per key, in order; a route that is not there is `Ok`.
    async fn withdraw(&self, keys: &[RouteKey]) -> Vec<Result<(), AnnounceError>>;

    /// The whole table of the families prefixd uses, streamed: FlowSpec paths of anyone, unicast paths only if they
    /// are ours. An error item ends the stream; what came before is then no complete picture.
    async fn table(&self) -> Result<BoxStream<'static, Result<RibPath, AnnounceError>>, AnnounceError>;

    /// Reads single routes back, one answer per key, in order.
    async fn find(&self, keys: &[RouteKey]) -> Result<Vec<Option<RibPath>>, AnnounceError>;

    /// The speaker's neighbors.
    async fn peers(&self) -> Result<Vec<Peer>, AnnounceError>;

    /// What happens at the speaker, for ever: the adapter reconnects with backoff by itself. Each call is a watch of
    /// its own that begins with the current state (`Connected` or `Disconnected`).
    fn watch(&self) -> BoxStream<'static, SpeakerEvent>;
}
