//! The state of the speaker and its neighbors, as it was last reported.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use metrics::gauge;
use prefix_core::Announcer;
use prefix_core::address::Family;
use prefix_core::announcer::{AfiSafi, AnnounceError, Peer, Route, SessionState};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::answer::Speaker;
use crate::mutex::Mutex;
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

struct State {
    connection: Speaker,
    peers: BTreeMap<IpAddr, Peer>,
    /// Whether the session of a configured neighbor was up when it was last reported.
    up: BTreeMap<IpAddr, bool>,
    changes: Vec<SessionChange>,
    /// Since when the table could not be read, and why.
    unread: Option<(Instant, String)>,
}

/// The table may be unreadable for so long before that is a problem: a speaker that was just restarted is none.
const UNREAD_FOR: Duration = Duration::from_mins(1);

/// Whether the speaker is connected, and the states of its BGP sessions.
pub(crate) struct SpeakerState {
    state: Mutex<State>,
    neighbors: Vec<Neighbor>,
    /// Rules of others in its table, as of the last pass of the reconciler.
    pub(crate) foreign_rules: AtomicU64,
    /// Notified when a session went up or down.
    pub(crate) session_changed: Notify,
}

impl SpeakerState {
    pub(crate) fn new(neighbors: Vec<Neighbor>) -> Self {
        for neighbor in &neighbors {
            gauge!("prefixd_bgp_session_up", "peer" => neighbor.name.clone()).set(0.0);
        }
        let state = State {
            connection: Speaker::Unknown,
            peers: BTreeMap::new(),
            up: BTreeMap::new(),
            changes: Vec::new(),
            unread: None,
        };
        Self {
            state: Mutex::new(state),
            neighbors,
            foreign_rules: AtomicU64::new(0),
            session_changed: Notify::new(),
        }
    }

    pub(crate) fn connected(&self) {
        info!("the speaker answers");
        self.state.lock().connection = Speaker::Connected;
    }

    pub(crate) fn disconnected(&self, reason: &str) {
        let mut state = self.state.lock();
        if !matches!(state.connection, Speaker::Disconnected(_)) {
            warn!(reason, "the speaker does not answer");
        }
        state.connection = Speaker::Disconnected(reason.to_owned());
        for peer in state.peers.values_mut() {
            peer.state = SessionState::Unknown;
            peer.uptime = None;
        }
        let names: Vec<String> = state.peers.keys().map(|address| self.name(*address)).collect();
        drop(state);
        names.into_iter().for_each(|name| gauge!("prefixd_bgp_session_up", "peer" => name).set(0.0));
    }

    /// Reads the state of every neighbor.
    pub(crate) async fn refresh(&self, announcer: &dyn Announcer) {
        if let Ok(peers) = announcer.peers().await {
            self.state.lock().peers.clear();
            peers.into_iter().for_each(|peer| self.peer_changed(peer));
        }
    }

    pub(crate) fn peer_changed(&self, peer: Peer) {
        let name = self.name(peer.address);
        let up = peer.state == SessionState::Established;
        gauge!("prefixd_bgp_session_up", "peer" => name.clone()).set(f64::from(u8::from(up)));
        let mut state = self.state.lock();
        let before = state.peers.get(&peer.address).map(|peer| peer.state);
        if before.is_some_and(|before| before != peer.state) {
            info!(peer = name, state = %peer.state, "BGP session changed");
        }
        if self.is_configured(peer.address) && peer.state != SessionState::Unknown {
            let was_up = state.up.insert(peer.address, up);
            // what is found at a start is no change
            if was_up.is_some_and(|was_up| was_up != up) {
                state.changes.push(SessionChange { peer: name, state: peer.state });
                self.session_changed.notify_one();
            }
        }
        // events name no families once a session is down; what it carried is still worth showing
        let mut peer = peer;
        if peer.families.is_empty()
            && let Some(known) = state.peers.get(&peer.address)
        {
            peer.families.clone_from(&known.families);
        }
        state.peers.insert(peer.address, peer);
    }

    pub(crate) fn connection(&self) -> Speaker {
        self.state.lock().connection.clone()
    }

    /// A read of the whole table has ended, with this error or well.
    pub(crate) fn table_read(&self, error: Option<&AnnounceError>) {
        let unread = &mut self.state.lock().unread;
        *unread = error.map(|error| {
            let since = unread.as_ref().map_or_else(Instant::now, |(since, _)| *since);
            (since, error.to_string())
        });
    }

    /// Why rules are not compared with the speaker's table any more, if that lasts.
    pub(crate) fn table_problem(&self) -> Option<String> {
        let state = self.state.lock();
        let (since, error) = state.unread.as_ref().filter(|(since, _)| since.elapsed() >= UNREAD_FOR)?;
        let seconds = since.elapsed().as_secs();
        Some(format!(
            "the speaker's table could not be read for {seconds} s, so rules are not compared with it: {error}"
        ))
    }

    /// The sessions that went up or down since the last time.
    pub(crate) fn take_changes(&self) -> Vec<SessionChange> {
        std::mem::take(&mut self.state.lock().changes)
    }

    /// True if the speaker has any neighbor.
    pub(crate) fn has_peers(&self) -> bool {
        !self.state.lock().peers.is_empty()
    }

    fn is_configured(&self, address: IpAddr) -> bool {
        self.neighbors.iter().any(|neighbor| neighbor.address == address)
    }

    /// Every neighbor that the speaker has or the configuration names.
    pub(crate) fn peers(&self) -> Vec<(String, Peer)> {
        let state = self.state.lock();
        let mut peers: BTreeMap<IpAddr, Peer> = state.peers.clone();
        for neighbor in &self.neighbors {
            peers.entry(neighbor.address).or_insert_with(|| Peer {
                address: neighbor.address,
                asn: neighbor.peer_asn,
                state: SessionState::Unknown,
                uptime: None,
                families: Vec::new(),
            });
        }
        drop(state);
        peers.into_values().map(|peer| (self.name(peer.address), peer)).collect()
    }

    /// Established sessions that carry a family.
    pub(crate) fn established(&self, family: AfiSafi) -> u32 {
        let state = self.state.lock();
        let carries =
            |peer: &&Peer| peer.state == SessionState::Established && peer.families.contains(&family);
        u32::try_from(state.peers.values().filter(carries).count()).unwrap_or(u32::MAX)
    }

    fn name(&self, address: IpAddr) -> String {
        let known = self.neighbors.iter().find(|neighbor| neighbor.address == address);
        known.map_or_else(|| address.to_string(), |neighbor| neighbor.name.clone())
    }
}
