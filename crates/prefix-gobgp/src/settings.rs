//! The settings of the adapter: keys of `bgp.*` of the daemon's configuration.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use prefix_core::ownership::Owner;
use prefix_core::rtbh::RtbhTargets;
use serde::{Deserialize, Serialize};

use crate::{AnyCommunity, Community, Endpoint};

/// The version of the speaker's API: `bgp.gobgp_api`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// The version that the speaker answers to, found at each connection, so that the speaker may be upgraded.
    #[default]
    Auto,
    /// `GoBGP` 3.x only.
    V3,
    /// `GoBGP` 4.x only.
    V4,
}

/// TLS to the speaker. The files are read at each connection, so that they may be renewed.
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

/// The settings of the adapter.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the speaker's API listens.
    pub endpoint: Endpoint,
    /// TLS; ignored on a unix socket.
    pub tls: Option<TlsSettings>,
    /// The version of the API.
    pub api: Api,
    /// How own paths are marked.
    pub owner: Owner,
    /// The longest time to connect, version discovery included; 10 s unless configured.
    pub connect_timeout: Duration,
    /// The longest time of one call, or between two messages of a streamed response; 30 s unless configured.
    pub request_timeout: Duration,
    /// The next hop of IPv4 black holes (RFC 7999); 192.0.2.1 unless configured.
    pub next_hop_v4: Ipv4Addr,
    /// The next hop of IPv6 black holes (RFC 7999); `100::1` unless configured.
    pub next_hop_v6: Ipv6Addr,
    /// Communities of every own path.
    pub communities: Vec<AnyCommunity>,
    /// Further communities of black holes; `BLACKHOLE` and `NO_EXPORT` unless configured.
    pub rtbh_communities: Vec<AnyCommunity>,
    /// Where else black holes may go, each with the communities of every own path among its own.
    pub rtbh_targets: RtbhTargets<AnyCommunity>,
}

impl Settings {
    /// Settings with the defaults of the configuration.
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
            rtbh_communities: vec![Community::BLACKHOLE.into(), Community::NO_EXPORT.into()],
            rtbh_targets: RtbhTargets::default(),
        }
    }
}
