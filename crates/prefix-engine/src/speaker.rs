//! The speakers: how each is reached, and its state and that of its neighbors, as it was last reported.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use metrics::{Label, gauge};
use prefix_core::Announcer;
use prefix_core::address::Family;
use prefix_core::announcer::{AfiSafi, AnnounceError, Peer, Route, SessionState};
use prefix_core::name::SpeakerName;
use prefix_core::speakers::{SpeakerId, Speakers};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::answer::Speaker;
use crate::engine::SpeakerPort;
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
    /// With which speaker; `None` = the only one.
    pub(crate) speaker: Option<SpeakerName>,
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

/// One speaker: whether it is connected, and the states of its BGP sessions.
pub(crate) struct SpeakerState {
    pub(crate) id: SpeakerId,
    /// `None` = the only one.
    pub(crate) name: Option<SpeakerName>,
    pub(crate) announcer: Arc<dyn Announcer>,
    state: Mutex<State>,
    neighbors: Vec<Neighbor>,
    /// Rules of others in its table, as of the last pass of the reconciler.
    pub(crate) foreign_rules: AtomicU64,
    /// Notified when a session went up or down.
    session_changed: Arc<Notify>,
}

impl SpeakerState {
    fn new(
        id: SpeakerId,
        name: Option<SpeakerName>,
        announcer: Arc<dyn Announcer>,
        neighbors: Vec<Neighbor>,
        session_changed: Arc<Notify>,
    ) -> Self {
        let state = State {
            connection: Speaker::Unknown,
            peers: BTreeMap::new(),
            up: BTreeMap::new(),
            changes: Vec::new(),
            unread: None,
        };
        let foreign_rules = AtomicU64::new(0);
        let state = Mutex::new(state);
        let speaker = Self { id, name, announcer, state, neighbors, foreign_rules, session_changed };
        speaker.neighbors.iter().for_each(|neighbor| speaker.set_up(&neighbor.name, false));
        speaker
    }

    fn set_up(&self, peer: &str, up: bool) {
        let mut labels = vec![Label::new("peer", peer.to_owned())];
        labels.extend(self.name.as_ref().map(|name| Label::new("speaker", name.to_string())));
        gauge!("prefixd_bgp_session_up", labels).set(f64::from(u8::from(up)));
    }

    pub(crate) fn connected(&self) {
        info!(speaker = self.name.as_ref().map(SpeakerName::as_str), "the speaker answers");
        self.state.lock().connection = Speaker::Connected;
    }

    pub(crate) fn disconnected(&self, reason: &str) {
        let mut state = self.state.lock();
        if !matches!(state.connection, Speaker::Disconnected(_)) {
            warn!(
                reason,
                speaker = self.name.as_ref().map(SpeakerName::as_str),
                "the speaker does not answer"
            );
        }
        state.connection = Speaker::Disconnected(reason.to_owned());
        for peer in state.peers.values_mut() {
            peer.state = SessionState::Unknown;
            peer.uptime = None;
        }
        let names: Vec<String> = state.peers.keys().map(|address| self.neighbor(*address)).collect();
        drop(state);
        names.iter().for_each(|name| self.set_up(name, false));
    }

    /// Reads the state of every neighbor.
    pub(crate) async fn refresh(&self) {
        if let Ok(peers) = self.announcer.peers().await {
            self.state.lock().peers.clear();
            peers.into_iter().for_each(|peer| self.peer_changed(peer));
        }
    }

    pub(crate) fn peer_changed(&self, peer: Peer) {
        let name = self.neighbor(peer.address);
        let up = peer.state == SessionState::Established;
        self.set_up(&name, up);
        let mut state = self.state.lock();
        let before = state.peers.get(&peer.address).map(|peer| peer.state);
        if before.is_some_and(|before| before != peer.state) {
            let speaker = self.name.as_ref().map(SpeakerName::as_str);
            info!(peer = name, speaker, state = %peer.state, "BGP session changed");
        }
        if self.is_configured(peer.address) && peer.state != SessionState::Unknown {
            let was_up = state.up.insert(peer.address, up);
            // what is found at a start is no change
            if was_up.is_some_and(|was_up| was_up != up) {
                let speaker = self.name.clone();
                state.changes.push(SessionChange { peer: name, speaker, state: peer.state });
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
        let table = match &self.name {
            Some(name) => format!("the table of speaker {name}"),
            None => "the speaker's table".to_owned(),
        };
        Some(format!("{table} could not be read for {seconds} s, so rules are not compared with it: {error}"))
    }

    /// The sessions that went up or down since the last time.
    fn take_changes(&self) -> Vec<SessionChange> {
        std::mem::take(&mut self.state.lock().changes)
    }

    /// True if the speaker has any neighbor.
    fn has_peers(&self) -> bool {
        !self.state.lock().peers.is_empty()
    }

    fn is_configured(&self, address: IpAddr) -> bool {
        self.neighbors.iter().any(|neighbor| neighbor.address == address)
    }

    /// Established sessions that carry a family.
    fn established(&self, family: AfiSafi) -> u32 {
        let state = self.state.lock();
        let carries =
            |peer: &&Peer| peer.state == SessionState::Established && peer.families.contains(&family);
        u32::try_from(state.peers.values().filter(carries).count()).unwrap_or(u32::MAX)
    }

    fn neighbor(&self, address: IpAddr) -> String {
        let known = self.neighbors.iter().find(|neighbor| neighbor.address == address);
        known.map_or_else(|| address.to_string(), |neighbor| neighbor.name.clone())
    }
}

/// A neighbor of one of the speakers.
pub(crate) struct Neighboring {
    /// Its name, else its address.
    pub(crate) name: String,
    /// Of which speaker it is a neighbor; `None` = of the only one, or of none of several.
    pub(crate) speaker: Option<SpeakerName>,
    pub(crate) peer: Peer,
}

/// Every configured speaker.
pub(crate) struct SpeakerSet {
    all: Vec<Arc<SpeakerState>>,
    neighbors: Vec<Neighbor>,
    /// Notified when a session of any of them went up or down.
    pub(crate) session_changed: Arc<Notify>,
}

impl SpeakerSet {
    /// From the ports to all of them, in the order of the configuration.
    pub(crate) fn new(ports: Vec<SpeakerPort>, neighbors: Vec<Neighbor>) -> (Self, Speakers) {
        let session_changed = Arc::new(Notify::new());
        let speakers = Speakers::named(ports.iter().filter_map(|port| port.name.clone()).collect());
        let all = ports.into_iter().zip(speakers.ids()).map(|(port, id)| {
            let name = speakers.name(id).cloned();
            Arc::new(SpeakerState::new(id, name, port.announcer, neighbors.clone(), session_changed.clone()))
        });
        (Self { all: all.collect(), neighbors, session_changed }, speakers)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<SpeakerState>> {
        self.all.iter()
    }

    /// The worst of their connections; of several speakers it says which one it is.
    pub(crate) fn connection(&self) -> Speaker {
        let mut worst = Speaker::Connected;
        for speaker in &self.all {
            match (speaker.connection(), &speaker.name, &mut worst) {
                (Speaker::Disconnected(reason), Some(name), Speaker::Disconnected(reasons)) => {
                    *reasons = format!("{reasons}; {name}: {reason}");
                }
                (Speaker::Disconnected(reason), Some(name), worst) => {
                    *worst = Speaker::Disconnected(format!("{name}: {reason}"));
                }
                (Speaker::Disconnected(reason), None, worst) => *worst = Speaker::Disconnected(reason),
                (Speaker::Unknown, _, worst @ Speaker::Connected) => *worst = Speaker::Unknown,
                _ => {}
            }
        }
        worst
    }

    /// Reads the state of every neighbor of those that answer, within `patience`: a hanging speaker is not waited for.
    pub(crate) async fn refresh(&self, patience: Duration) {
        let answers =
            |speaker: &&Arc<SpeakerState>| !matches!(speaker.connection(), Speaker::Disconnected(_));
        let reads = self.all.iter().filter(answers).map(|speaker| async {
            let _ = tokio::time::timeout(patience, speaker.refresh()).await;
        });
        join_all(reads).await;
    }

    /// The sessions of all that went up or down since the last time.
    pub(crate) fn take_changes(&self) -> Vec<SessionChange> {
        self.all.iter().flat_map(|speaker| speaker.take_changes()).collect()
    }

    /// True if any has a neighbor.
    pub(crate) fn have_peers(&self) -> bool {
        self.all.iter().any(|speaker| speaker.has_peers())
    }

    /// Every neighbor that a speaker has, and those that the configuration names and no speaker has.
    pub(crate) fn peers(&self) -> Vec<Neighboring> {
        let mut peers: BTreeMap<(IpAddr, Option<SpeakerId>), Neighboring> = BTreeMap::new();
        for speaker in &self.all {
            for (address, peer) in speaker.state.lock().peers.clone() {
                let (name, of) = (speaker.neighbor(address), speaker.name.clone());
                peers.insert((address, Some(speaker.id)), Neighboring { name, speaker: of, peer });
            }
        }
        for neighbor in &self.neighbors {
            if !peers.keys().any(|(address, _)| *address == neighbor.address) {
                let peer = Peer {
                    address: neighbor.address,
                    asn: neighbor.peer_asn,
                    state: SessionState::Unknown,
                    uptime: None,
                    families: Vec::new(),
                };
                let name = neighbor.name.clone();
                peers.insert((neighbor.address, None), Neighboring { name, speaker: None, peer });
            }
        }
        peers.into_values().collect()
    }

    /// Established sessions that carry a family, of all speakers.
    pub(crate) fn established(&self, family: AfiSafi) -> u32 {
        self.all.iter().map(|speaker| speaker.established(family)).fold(0, u32::saturating_add)
    }

    /// True if a speaker answers.
    pub(crate) fn any_connected(&self) -> bool {
        self.all.iter().any(|speaker| speaker.connection() == Speaker::Connected)
    }

    /// Which tables are not compared with the intent any more.
    pub(crate) fn table_problems(&self) -> impl Iterator<Item = String> {
        self.all.iter().filter_map(|speaker| speaker.table_problem())
    }

    /// Rules of others in all their tables.
    pub(crate) fn foreign_rules(&self) -> u64 {
        self.all.iter().map(|speaker| speaker.foreign_rules.load(Ordering::Relaxed)).sum()
    }
}
