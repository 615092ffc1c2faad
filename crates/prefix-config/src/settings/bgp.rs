//! `bgp`: the speaker, the neighbors behind it, and how own paths are marked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use prefix_core::announcer::AfiSafi;
pub use prefix_core::guard::GuardMode;
use prefix_gobgp::{Api, Community, Endpoint};
use serde::{Deserialize, Serialize};

/// `bgp`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BgpKeys {
    /// What announces; [`BgpKeys::backend`] also heeds the old key.
    #[serde(rename = "backend")]
    pub backend_key: Option<Backend>,
    /// The old key for the same.
    pub mode: Option<OldMode>,
    /// Where the speaker's API listens.
    pub gobgp_grpc: Endpoint,
    /// Version of its API.
    pub gobgp_api: Api,
    /// TLS to it.
    pub gobgp_tls: SpeakerTlsKeys,
    /// Our autonomous system; required.
    pub local_asn: Option<u32>,
    /// Our BGP identifier; required.
    pub router_id: Option<Ipv4Addr>,
    /// Who should be up.
    pub neighbors: Vec<NeighborKeys>,
    /// Second word of the owner community.
    pub owner_tag: u32,
    /// Pace toward the speaker.
    pub max_changes_per_second: u32,
    /// Longest wait of a request for the speaker, milliseconds; 0 = none.
    pub announce_timeout_ms: u64,
    /// Longest time to connect, seconds.
    pub connect_timeout_seconds: u64,
    /// Longest time of one call, seconds.
    pub request_timeout_seconds: u64,
    /// From when on a withdrawal counts as stuck, seconds.
    pub withdraw_alarm_seconds: u64,
    /// Next hop of `rtbh`, IPv4.
    pub rtbh_next_hop_v4: Ipv4Addr,
    /// Next hop of `rtbh`, IPv6.
    pub rtbh_next_hop_v6: Ipv6Addr,
    /// The dead man.
    pub guard: GuardKeys,
    /// Further communities of every own rule.
    pub communities: Vec<Community>,
    /// Further communities of `rtbh`.
    pub rtbh_communities: Vec<Community>,
}

impl Default for BgpKeys {
    fn default() -> Self {
        Self {
            backend_key: None,
            mode: None,
            gobgp_grpc: Endpoint::Tcp { host: "127.0.0.1".to_owned(), port: 50051 },
            gobgp_api: Api::default(),
            gobgp_tls: SpeakerTlsKeys::default(),
            local_asn: None,
            router_id: None,
            neighbors: Vec::new(),
            owner_tag: 8955,
            max_changes_per_second: 10_000,
            announce_timeout_ms: 1000,
            connect_timeout_seconds: 10,
            request_timeout_seconds: 30,
            withdraw_alarm_seconds: 30,
            rtbh_next_hop_v4: Ipv4Addr::new(192, 0, 2, 1),
            rtbh_next_hop_v6: Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1),
            guard: GuardKeys::default(),
            communities: Vec::new(),
            rtbh_communities: vec![Community::BLACKHOLE, Community::NO_EXPORT],
        }
    }
}

impl BgpKeys {
    /// What announces, by the new key or the old one.
    pub fn backend(&self) -> Backend {
        self.backend_key.unwrap_or(match self.mode {
            Some(OldMode::Mock) => Backend::Mock,
            Some(OldMode::Sidecar) | None => Backend::Gobgp,
        })
    }
}

/// What announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// A GoBGP speaker.
    Gobgp,
    /// Nothing: a speaker in memory.
    Mock,
}

/// The words of the old key `bgp.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OldMode {
    /// A GoBGP speaker.
    Sidecar,
    /// Nothing.
    Mock,
}

/// `bgp.gobgp_tls`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpeakerTlsKeys {
    /// Certificates that the speaker is checked against, PEM.
    pub ca: Option<PathBuf>,
    /// Own certificate, PEM.
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
}

/// One element of `bgp.neighbors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeighborKeys {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its autonomous system.
    pub peer_asn: u32,
    /// The families that should be up.
    #[serde(default)]
    pub afi_safi: Vec<AfiSafi>,
    /// Accepted for old files, never read.
    #[serde(default)]
    pub password_env: Option<String>,
}

/// `bgp.guard`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardKeys {
    /// Who runs it.
    pub mode: GuardMode,
    /// How long after its not-after a path may stand, seconds.
    pub grace_seconds: u64,
}

impl Default for GuardKeys {
    fn default() -> Self {
        Self { mode: GuardMode::Spawn, grace_seconds: 10 }
    }
}
