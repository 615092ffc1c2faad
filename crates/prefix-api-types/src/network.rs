//! Peers, pops, and what is known of one address (http-api.md §11).

use std::net::IpAddr;

use prefix_api_macros::wire;

use crate::lenient::{Always, IfAny};
use crate::word::words;
use crate::{Event, Mitigation};

words! {
    /// The state of a BGP session (RFC 4271 §8.2.2).
    pub enum PeerState from prefix_core::announcer::SessionState {
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
#[wire(as = PeerAnswer)]
pub struct Peer {
    /// The name in `bgp.neighbors`, else its address.
    pub name: String,
    /// With which speaker it has this session, where the pop has several.
    pub speaker: IfAny<String>,
    /// Its address.
    pub address: Always<IpAddr>,
    /// Its autonomous system number.
    pub asn: Always<u32>,
    /// `idle`, `connect`, `active`, `opensent`, `openconfirm`, `established` or `unknown`.
    pub state: PeerState,
    /// How long the session has been established.
    pub uptime_seconds: Option<u64>,
    /// The families it carries.
    pub families: Vec<String>,
    /// Own rules that go to it.
    pub announced_rules: Always<u64>,
    /// Its platform, as `bgp.neighbors[].profile` says.
    pub profile: String,
    /// The entries of its filter memory that these rules take, as computed for its platform; 0 where nothing is known.
    pub entries: u64,
    /// How many it has for our rules (`bgp.neighbors[].max_entries`).
    pub max_entries: Option<u64>,
    /// What it does not do as announced.
    pub problems: Vec<String>,
}

/// The BGP neighbors.
#[wire(as = PeersAnswer)]
pub struct Peers {
    /// Sorted by name.
    #[wire(strict)]
    pub peers: Vec<Peer>,
    /// How many.
    pub count: usize,
}

/// A pop.
#[wire(as = PopAnswer)]
pub struct Pop {
    /// Its name.
    pub pop: String,
    /// Mitigations whose rule is wanted or still to be removed.
    pub active_mitigations: u64,
    /// All mitigations.
    pub total_mitigations: u64,
}

/// What is known about an address.
#[wire(as = HistoryAnswer)]
pub struct History {
    /// The address.
    pub ip: IpAddr,
    /// Whose it is.
    pub customer: IfAny<CustomerRef>,
    /// Which service of the customer.
    pub service: IfAny<ServiceRef>,
    /// Newest first.
    pub events: Vec<Event>,
    /// Newest first.
    pub mitigations: Vec<Mitigation>,
}

/// A customer, in short.
#[wire(as = CustomerAnswer)]
pub struct CustomerRef {
    pub customer_id: String,
    pub name: Always<String>,
    /// `strict`, `normal` or `relaxed`.
    pub policy_profile: Always<String>,
}

/// A service, in short.
#[wire(as = ServiceAnswer)]
pub struct ServiceRef {
    pub service_id: String,
    pub name: Always<String>,
}
