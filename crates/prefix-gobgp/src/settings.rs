//! What the adapter has to know; all of it is `bgp.*` of the daemon's configuration.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use prefix_core::ownership::Owner;
use serde::{Deserialize, Serialize};

use crate::{Community, Endpoint};

/// Which version of the speaker's API is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// Whichever the speaker answers to, found anew at each connection, so it may be upgraded meanwhile.
    #[default]
    Auto,
    /// `GoBGP` 3.x only.
    V3,
    /// `GoBGP` 4.x only.
    V4,
}

/// TLS to the speaker. The files are read anew at each connection, so they may be renewed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Certificates (PEM) that the speaker's certificate is checked against.
    pub ca: PathBuf,
    /// Our own certificate, for mutual TLS.
    pub identity: Option<TlsIdentity>,
}

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The certificate, with its chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What the adapter has to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the speaker's API listens.
    pub endpoint: Endpoint,
    /// TLS; ignored on a unix socket.
    pub tls: Option<TlsSettings>,
    /// Which version of the API is spoken.
    pub api: Api,
    /// How own paths are marked.
    pub owner: Owner,
    /// Longest time to connect, version discovery included.
    pub connect_timeout: Duration,
    /// Longest time of one call, or between two parts of a streamed answer.
    pub request_timeout: Duration,
    /// Next hop of black holes, IPv4.
    pub next_hop_v4: Ipv4Addr,
    /// Next hop of black holes, IPv6.
    pub next_hop_v6: Ipv6Addr,
    /// Communities of every own path.
    pub communities: Vec<Community>,
    /// Further communities of black holes.
    pub rtbh_communities: Vec<Community>,
}

impl Settings {
    /// The defaults of the configuration.
    pub fn new(endpoint: Endpoint, owner: Owner) -> Self {
        Self {
            endpoint,
            tls: None,
            api: Api::Auto,
            owner,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            next_hop_v4: Ipv4Addr::new(192, 0, 2, 1),
            next_hop_v6: Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1),
            communities: Vec::new(),
            rtbh_communities: vec![Community::BLACKHOLE, Community::NO_EXPORT],
        }
    }
}
