//! What the speaker says of itself and its neighbors, as last heard.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics::gauge;
use prefix_core::Announcer;
use prefix_core::address::Family;
use prefix_core::announcer::{AfiSafi, Peer, Route, SessionState};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::answer::Speaker;
use crate::settings::Neighbor;

/// The family of the speaker's table that a route belongs to.
pub(crate) fn family_of(route: &Route) -> AfiSafi {
    match (route, route.family()) {
        (Route::FlowSpec(_), Family::Ipv4) => AfiSafi::Ipv4Flowspec,
        (Route::FlowSpec(_), Family::Ipv6) => AfiSafi::Ipv6Flowspec,
        (Route::Blackhole(_), Family::Ipv4) => AfiSafi::Ipv4Unicast,
        (Route::Blackhole(_), Family::Ipv6) => AfiSafi::Ipv6Unicast,
    }
}

/// A session of a configured neighbor went up or down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionChange {
    /// The neighbor's name.
    pub(crate) peer: String,
    /// The state it has now.
    pub(crate) state: SessionState,
}

struct Heard {
    connection: Speaker,
    peers: BTreeMap<IpAddr, Peer>,
    /// Whether the session of a configured neighbor was up when its speaker last said something of it.
    up: BTreeMap<IpAddr, bool>,
    changes: Vec<SessionChange>,
}

/// See the module.
pub(crate) struct SpeakerState {
    heard: Mutex<Heard>,
    neighbors: Vec<Neighbor>,
    /// Rung when a session changed.
    pub(crate) moved: Notify,
}

impl SpeakerState {
    pub(crate) fn new(neighbors: Vec<Neighbor>) -> Self {
        for neighbor in &neighbors {
            gauge!("prefixd_bgp_session_up", "peer" => neighbor.name.clone()).set(0.0);
        }
        let heard = Heard {
            connection: Speaker::Unknown,
            peers: BTreeMap::new(),
            up: BTreeMap::new(),
            changes: Vec::new(),
        };
        Self { heard: Mutex::new(heard), neighbors, moved: Notify::new() }
    }

    fn open(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn connected(&self) {
        info!("the speaker answers");
        self.open().connection = Speaker::Connected;
    }

    pub(crate) fn disconnected(&self, reason: &str) {
        let mut heard = self.open();
        if !matches!(heard.connection, Speaker::Disconnected(_)) {
            warn!(reason, "the speaker does not answer");
        }
        heard.connection = Speaker::Disconnected(reason.to_owned());
        for peer in heard.peers.values_mut() {
            peer.state = SessionState::Unknown;
            peer.uptime = None;
        }
        let names: Vec<String> = heard.peers.keys().map(|address| self.name(*address)).collect();
        drop(heard);
        names.into_iter().for_each(|name| gauge!("prefixd_bgp_session_up", "peer" => name).set(0.0));
    }

    /// Asks for every neighbor anew.
    pub(crate) async fn refresh(&self, announcer: &dyn Announcer) {
        if let Ok(peers) = announcer.peers().await {
            self.open().peers.clear();
            peers.into_iter().for_each(|peer| self.peer_changed(peer));
        }
    }

    pub(crate) fn peer_changed(&self, peer: Peer) {
        let name = self.name(peer.address);
        let up = peer.state == SessionState::Established;
        gauge!("prefixd_bgp_session_up", "peer" => name.clone()).set(f64::from(u8::from(up)));
        let mut heard = self.open();
        let before = heard.peers.get(&peer.address).map(|peer| peer.state);
        if before.is_some_and(|before| before != peer.state) {
            info!(peer = name, state = %peer.state, "BGP session changed");
        }
        if self.is_configured(peer.address) && peer.state != SessionState::Unknown {
            let was_up = heard.up.insert(peer.address, up);
            // what a start finds is no change
            if was_up.is_some_and(|was_up| was_up != up) {
                heard.changes.push(SessionChange { peer: name, state: peer.state });
                self.moved.notify_one();
            }
        }
        // events name no families once a session is down; what it carried is still worth showing
        let mut peer = peer;
        if peer.families.is_empty()
            && let Some(known) = heard.peers.get(&peer.address)
        {
            peer.families.clone_from(&known.families);
        }
        heard.peers.insert(peer.address, peer);
    }

    pub(crate) fn connection(&self) -> Speaker {
        self.open().connection.clone()
    }

    /// The sessions that went up or down since the last time.
    pub(crate) fn take_changes(&self) -> Vec<SessionChange> {
        std::mem::take(&mut self.open().changes)
    }

    /// True if the speaker has any neighbor.
    pub(crate) fn has_peers(&self) -> bool {
        !self.open().peers.is_empty()
    }

    fn is_configured(&self, address: IpAddr) -> bool {
        self.neighbors.iter().any(|neighbor| neighbor.address == address)
    }

    /// Every neighbor that the speaker has or the configuration names.
    pub(crate) fn peers(&self) -> Vec<(String, Peer)> {
        let heard = self.open();
        let mut peers: BTreeMap<IpAddr, Peer> = heard.peers.clone();
        for neighbor in &self.neighbors {
            peers.entry(neighbor.address).or_insert_with(|| Peer {
                address: neighbor.address,
                asn: neighbor.peer_asn,
                state: SessionState::Unknown,
                uptime: None,
                families: Vec::new(),
            });
        }
        drop(heard);
        peers.into_values().map(|peer| (self.name(peer.address), peer)).collect()
    }

    /// Established sessions that carry a family.
    pub(crate) fn established(&self, family: AfiSafi) -> u32 {
        let heard = self.open();
        let carries =
            |peer: &&Peer| peer.state == SessionState::Established && peer.families.contains(&family);
        u32::try_from(heard.peers.values().filter(carries).count()).unwrap_or(u32::MAX)
    }

    fn name(&self, address: IpAddr) -> String {
        let known = self.neighbors.iter().find(|neighbor| neighbor.address == address);
        known.map_or_else(|| address.to_string(), |neighbor| neighbor.name.clone())
    }
}
