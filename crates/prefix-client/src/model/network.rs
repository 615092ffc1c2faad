//! The network around the rules: protocols, peers, sites, counts, and the history of an address.

use crate::model::event::Event;
use crate::model::lenient::or_default;
use crate::model::mitigation::Mitigation;
use crate::word::words;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IP protocol, by number or by the API's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Protocol {
    /// 0 to 255.
    Number(u8),
    /// `udp`, `tcp`, `icmp`, `gre` or `any`.
    Word(String),
}

impl FromStr for Protocol {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Word(text.to_owned()), Self::Number))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(1) => formatter.pad("icmp"),
            Self::Number(6) => formatter.pad("tcp"),
            Self::Number(17) => formatter.pad("udp"),
            Self::Number(47) => formatter.pad("gre"),
            Self::Number(58) => formatter.pad("icmpv6"),
            Self::Number(number) => formatter.pad(&number.to_string()),
            Self::Word(word) => formatter.pad(word),
        }
    }
}

words! {
    /// The state of a BGP session (RFC 4271 §8.2.2).
    pub enum PeerState {
        /// Not trying.
        Idle = "idle",
        /// Waiting for TCP.
        Connect = "connect",
        /// Listening for TCP.
        Active = "active",
        /// OPEN sent.
        OpenSent = "opensent",
        /// OPEN received.
        OpenConfirm = "openconfirm",
        /// Up.
        Established = "established",
        /// The speaker cannot be asked.
        Unknown = "unknown",
    }
}

/// A BGP neighbour.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Peer {
    /// Its name in the configuration.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its AS number.
    pub asn: Option<u32>,
    /// The state of the session.
    pub state: PeerState,
    /// How long the session is up, in seconds.
    pub uptime_seconds: Option<u64>,
    /// The address families it carries.
    #[serde(default, deserialize_with = "or_default")]
    pub families: Vec<String>,
    /// How many rules it was sent.
    pub announced_rules: Option<u64>,
}

/// The peers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Peers {
    pub(crate) peers: Vec<Peer>,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pop {
    /// Its name.
    pub pop: String,
    /// How many mitigations live there.
    #[serde(default, deserialize_with = "or_default")]
    pub active_mitigations: u64,
    /// How many there ever were.
    #[serde(default, deserialize_with = "or_default")]
    pub total_mitigations: u64,
}

/// Totals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Stats {
    /// Living mitigations.
    #[serde(default, deserialize_with = "or_default")]
    pub total_active: u64,
    /// All mitigations in storage.
    #[serde(default, deserialize_with = "or_default")]
    pub total_mitigations: u64,
    /// All events in storage.
    #[serde(default, deserialize_with = "or_default")]
    pub total_events: u64,
    /// The same by site.
    #[serde(default, deserialize_with = "or_default")]
    pub pops: Vec<PopCount>,
}

/// The totals of one site.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PopCount {
    /// The site.
    pub pop: String,
    /// Living mitigations.
    #[serde(default, deserialize_with = "or_default")]
    pub active: u64,
    /// All mitigations.
    #[serde(default, deserialize_with = "or_default")]
    pub total: u64,
}

words! {
    /// What a series counts.
    pub enum Series {
        /// New mitigations.
        Mitigations = "mitigations",
        /// Events received.
        Events = "events",
    }
}

/// Counts over time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Timeseries {
    /// What is counted.
    pub metric: Series,
    /// The buckets, oldest first, without gaps.
    #[serde(default, deserialize_with = "or_default")]
    pub buckets: Vec<Bucket>,
}

/// One bucket of a series.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Bucket {
    /// When it begins.
    pub bucket: DateTime<Utc>,
    /// How many.
    pub count: u64,
}

/// What happened to an address.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct History {
    /// The address.
    pub ip: IpAddr,
    /// Whose it is; missing = not ours.
    pub customer: Option<CustomerRef>,
    /// What runs there.
    pub service: Option<ServiceRef>,
    /// The events, newest first.
    #[serde(default, deserialize_with = "or_default")]
    pub events: Vec<Event>,
    /// The mitigations, newest first.
    #[serde(default, deserialize_with = "or_default")]
    pub mitigations: Vec<Mitigation>,
}

/// A customer, in short.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CustomerRef {
    /// Its id.
    pub customer_id: String,
    /// Its name.
    pub name: Option<String>,
    /// How its attacks are handled.
    pub policy_profile: Option<String>,
}

/// A service, in short.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServiceRef {
    /// Its id.
    pub service_id: String,
    /// Its name.
    pub name: Option<String>,
}
