//! Peers, pops, and what is known of one address (http-api.md §11).

use std::net::IpAddr;

use prefix_api_macros::wire;

use crate::word::words;
use crate::{Event, Mitigation};

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

/// A BGP neighbor.
#[wire]
#[schema(as = PeerAnswer)]
pub struct Peer {
    /// The name in `bgp.neighbors`, else its address.
    pub name: String,
    /// Its address.
    #[wire(always)]
    pub address: Option<IpAddr>,
    /// Its autonomous system number.
    #[wire(always)]
    pub asn: Option<u32>,
    /// `idle`, `connect`, `active`, `opensent`, `openconfirm`, `established` or `unknown`.
    pub state: PeerState,
    /// How long the session has been established.
    pub uptime_seconds: Option<u64>,
    /// The families it carries.
    pub families: Vec<String>,
    /// Own rules that go to it.
    #[wire(always)]
    pub announced_rules: Option<u64>,
}

/// The BGP neighbors.
#[wire]
#[schema(as = PeersAnswer)]
pub struct Peers {
    /// Sorted by name.
    #[wire(strict)]
    pub peers: Vec<Peer>,
    /// How many.
    pub count: usize,
}

/// A pop.
#[wire]
#[derive(Eq)]
#[schema(as = PopAnswer)]
pub struct Pop {
    /// Its name.
    pub pop: String,
    /// Mitigations whose rule is wanted or still to be removed.
    pub active_mitigations: u64,
    /// All mitigations.
    pub total_mitigations: u64,
}

/// What is known about an address.
#[wire]
#[schema(as = HistoryAnswer)]
pub struct History {
    /// The address.
    pub ip: IpAddr,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerRef>,
    /// Which service of the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// Newest first.
    pub events: Vec<Event>,
    /// Newest first.
    pub mitigations: Vec<Mitigation>,
}

/// A customer, in short.
#[wire]
#[derive(Eq)]
#[schema(as = CustomerAnswer)]
#[allow(missing_docs, reason = "what the document does not describe speaks for itself")]
pub struct CustomerRef {
    pub customer_id: String,
    #[wire(always)]
    pub name: Option<String>,
    /// `strict`, `normal` or `relaxed`.
    #[wire(always)]
    pub policy_profile: Option<String>,
}

/// A service, in short.
#[wire]
#[derive(Eq)]
#[schema(as = ServiceAnswer)]
#[allow(missing_docs, reason = "what the document does not describe speaks for itself")]
pub struct ServiceRef {
    pub service_id: String,
    #[wire(always)]
    pub name: Option<String>,
}
