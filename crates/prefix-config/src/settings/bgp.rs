//! `bgp`: the speaker, the neighbors behind it, and how own paths are marked.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use prefix_core::announcer::AfiSafi;
pub use prefix_core::guard::GuardMode;
use prefix_core::name::{RtbhTargetName, SpeakerName};
use prefix_core::platform::Platform;
use prefix_core::rtbh::{RtbhTarget, RtbhTargets, United};
use prefix_core::section;
use prefix_gobgp::{AnyCommunity, Api, Community, Endpoint};
use serde::{Deserialize, Serialize};

section! {
    /// `bgp`.
    pub struct BgpKeys {
        /// What announces; [`BgpKeys::backend`] also heeds the old key.
        #[serde(rename = "backend")]
        pub backend_key: Option<Backend> = None,
        /// The old key for the same.
        pub mode: Option<OldMode> = None,
        /// Where the speaker's API listens; [`BgpKeys::speakers`] fills in the default.
        pub gobgp_grpc: Option<Endpoint> = None,
        /// Version of its API.
        pub gobgp_api: Option<Api> = None,
        /// TLS to it.
        pub gobgp_tls: Option<SpeakerTlsKeys> = None,
        /// Several speakers, instead of the three keys above.
        #[serde(rename = "speakers")]
        pub speakers_key: Option<Vec<SpeakerKeys>> = None,
        /// Our autonomous system; required.
        pub local_asn: Option<u32> = None,
        /// Our BGP identifier; required.
        pub router_id: Option<Ipv4Addr> = None,
        /// Who should be up.
        pub neighbors: Vec<NeighborKeys> = Vec::new(),
        /// Second word of the owner community.
        pub owner_tag: u32 = 8955,
        /// Pace toward the speaker.
        pub max_changes_per_second: u32 = 10_000,
        /// Longest wait of a request for the speaker, milliseconds; 0 = none.
        pub announce_timeout_ms: u64 = 1000,
        /// Longest time to connect, seconds.
        pub connect_timeout_seconds: u64 = 10,
        /// Longest time of one call, seconds.
        pub request_timeout_seconds: u64 = 30,
        /// From when on a withdrawal counts as stuck, seconds.
        pub withdraw_alarm_seconds: u64 = 30,
        /// Where `rtbh` may go besides: one per upstream or exchange, named by the steps of playbooks.
        pub rtbh_targets: BTreeMap<RtbhTargetName, RtbhTargetKeys> = BTreeMap::new(),
        /// Next hop of `rtbh`, IPv4.
        pub rtbh_next_hop_v4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1),
        /// Next hop of `rtbh`, IPv6.
        pub rtbh_next_hop_v6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1),
        /// The dead man.
        pub guard: GuardKeys = GuardKeys::default(),
        /// Further communities of every own rule.
        pub communities: Vec<AnyCommunity> = Vec::new(),
        /// Further communities of `rtbh`.
        pub rtbh_communities: Vec<AnyCommunity> =
            vec![Community::BLACKHOLE.into(), Community::NO_EXPORT.into()],
    }
}

/// One of the speakers, by whichever keys it is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfiguredSpeaker<'a> {
    /// Its name; `None` = the only one, configured by `bgp.gobgp_grpc`.
    pub name: Option<&'a SpeakerName>,
    /// Where its API listens.
    pub endpoint: Endpoint,
    /// Version of its API.
    pub api: Api,
    /// TLS to it.
    pub tls: SpeakerTlsKeys,
}

impl BgpKeys {
    /// The speakers that every own rule goes to, at least one.
    pub fn speakers(&self) -> Vec<ConfiguredSpeaker<'_>> {
        if let Some(speakers) = self.speakers_key.as_ref().filter(|speakers| !speakers.is_empty()) {
            let speakers = speakers.iter().map(|keys| ConfiguredSpeaker {
                name: Some(&keys.name),
                endpoint: keys.gobgp_grpc.clone(),
                api: keys.gobgp_api,
                tls: keys.gobgp_tls.clone(),
            });
            return speakers.collect();
        }
        let default = || Endpoint::Tcp { host: "127.0.0.1".to_owned(), port: 50051 };
        vec![ConfiguredSpeaker {
            name: None,
            endpoint: self.gobgp_grpc.clone().unwrap_or_else(default),
            api: self.gobgp_api.unwrap_or_default(),
            tls: self.gobgp_tls.clone().unwrap_or_default(),
        }]
    }

    /// The same with the defaults of the keys of a single speaker filled in, where they count.
    #[must_use]
    pub fn with_defaults(self) -> Self {
        if self.speakers_key.is_some() {
            return self;
        }
        let only = self.speakers().into_iter().next();
        let Some(ConfiguredSpeaker { endpoint, api, tls, .. }) = only else { return self };
        Self { gobgp_grpc: Some(endpoint), gobgp_api: Some(api), gobgp_tls: Some(tls), ..self }
    }

    /// The files that say by which certificates the speakers are reached.
    pub fn speaker_tls_paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let of_speakers = self.speakers_key.iter_mut().flatten().map(|keys| &mut keys.gobgp_tls);
        let all = self.gobgp_tls.iter_mut().chain(of_speakers);
        all.flat_map(|tls| [&mut tls.ca, &mut tls.cert, &mut tls.key]).flatten()
    }

    /// What announces, by the new key or the old one.
    pub fn backend(&self) -> Backend {
        self.backend_key.unwrap_or(match self.mode {
            Some(OldMode::Mock) => Backend::Mock,
            Some(OldMode::Sidecar) | None => Backend::Gobgp,
        })
    }
}

impl BgpKeys {
    /// The targets of black holes, each with the communities that every own rule carries among its own.
    pub fn rtbh_targets(&self) -> RtbhTargets<AnyCommunity> {
        let with_all = |own: &[AnyCommunity]| own.iter().chain(&self.communities).copied().collect();
        let usual = United {
            communities: with_all(&self.rtbh_communities),
            next_hop_v4: self.rtbh_next_hop_v4,
            next_hop_v6: self.rtbh_next_hop_v6,
        };
        let target = |keys: &RtbhTargetKeys| RtbhTarget {
            communities: with_all(&keys.communities),
            next_hop_v4: keys.next_hop_v4,
            next_hop_v6: keys.next_hop_v6,
        };
        RtbhTargets::new(usual, self.rtbh_targets.iter().map(|(name, keys)| (name.clone(), target(keys))))
    }
}

/// One member of `bgp.rtbh_targets`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RtbhTargetKeys {
    /// Communities of a black hole that goes there, instead of `bgp.rtbh_communities`.
    pub communities: Vec<AnyCommunity>,
    /// Its next hop, IPv4; `bgp.rtbh_next_hop_v4` if there is none.
    #[serde(default)]
    pub next_hop_v4: Option<Ipv4Addr>,
    /// Its next hop, IPv6; `bgp.rtbh_next_hop_v6` if there is none.
    #[serde(default)]
    pub next_hop_v6: Option<Ipv6Addr>,
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

/// One element of `bgp.speakers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeakerKeys {
    /// Its name.
    pub name: SpeakerName,
    /// Where its API listens.
    pub gobgp_grpc: Endpoint,
    /// Version of its API.
    #[serde(default)]
    pub gobgp_api: Api,
    /// TLS to it.
    #[serde(default)]
    pub gobgp_tls: SpeakerTlsKeys,
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
    /// What it is, or what the routers behind it are.
    #[serde(default)]
    pub profile: Platform,
    /// How many entries its filter memory has for our rules.
    #[serde(default)]
    pub max_entries: Option<u64>,
    /// Accepted for old files, never read.
    #[serde(default)]
    pub password_env: Option<String>,
}

section! {
    /// `bgp.guard`.
    #[derive(Eq)]
    pub struct GuardKeys {
        /// Who runs it.
        pub mode: GuardMode = GuardMode::Spawn,
        /// How long after its not-after a path may stand, seconds.
        pub grace_seconds: u64 = 10,
    }
}
