//! What happens at the speaker, for ever: watches, notices a speaker that went silent, and comes back by itself.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use prefix_core::announcer::{AnnounceError, Peer, SpeakerEvent};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tonic::Status;

use crate::client::{ResponseStream, WatchEvent};
use crate::connection::Connection;
use crate::error::classify;
use crate::gobgp::Shared;
use crate::path::RibEntry;

/// A silent speaker is asked whether it is still there.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Longest wait for the answer.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);
/// First wait before another attempt to connect.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
/// Rules must be back within a second of the speaker's return, and a refused attempt costs next to nothing.
const LONGEST_BACKOFF: Duration = Duration::from_millis(250);

/// One watch: what the caller has been told so far, and what comes next.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    pending: VecDeque<SpeakerEvent>,
    session: Option<Session>,
    told_down: bool,
    attempts: u32,
}

struct Session {
    link: Connection,
    events: ResponseStream<WatchEvent>,
    heartbeat: Interval,
}

impl Watch {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, pending: VecDeque::new(), session: None, told_down: false, attempts: 0 }
    }

    pub(crate) fn into_stream(self) -> BoxStream<'static, SpeakerEvent> {
        stream::unfold(self, |mut watch| async move { Some((watch.next().await, watch)) }).boxed()
    }

    async fn next(&mut self) -> SpeakerEvent {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return event;
            }
            let outcome = match &mut self.session {
                Some(_) => self.follow().await,
                None => self.connect().await,
            };
            if let Err(reason) = outcome {
                self.lost(reason).await;
            }
        }
    }

    /// Waits for one thing to happen at the speaker.
    async fn follow(&mut self) -> Result<(), String> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let watched = tokio::select! {
            event = session.events.next() => event.ok_or("the speaker ended the watch")?.map_err(|s| reason(&s))?,
            _ = session.heartbeat.tick() => {
                let limit = HEARTBEAT_TIMEOUT.min(self.shared.settings.request_timeout);
                let answer = timeout(limit, session.link.client.is_started()).await;
                return match answer {
                    Ok(Ok(true)) => Ok(()),
                    Ok(Ok(false)) => Err("the speaker stopped BGP".to_owned()),
                    Ok(Err(status)) => Err(reason(&status)),
                    Err(_) => Err(format!("the speaker has not answered for {limit:?}")),
                };
            }
        };
        let event = match watched {
            WatchEvent::Ready => None,
            WatchEvent::Peer(peer) => {
                Some(SpeakerEvent::PeerChanged(Self::complete(&self.shared, &session.link, peer).await))
            }
            WatchEvent::Path(listed) => self.path_changed(listed),
        };
        self.pending.extend(event);
        Ok(())
    }

    /// The event names no families and no uptime; they are asked for. The state is the event's, which may be newer.
    async fn complete(shared: &Shared, link: &Connection, peer: Peer) -> Peer {
        let address = peer.address.to_string();
        let answer = shared.call(link, |client| async move { client.peers(address).await }).await;
        match answer.ok().and_then(|peers| peers.into_iter().find(|known| known.address == peer.address)) {
            Some(known) if known.state == peer.state => known,
            Some(known) => Peer { families: known.families, ..peer },
            None => peer,
        }
    }

    /// Of unicast only host routes are told: a full table is none of prefixd's business.
    fn path_changed(&self, listed: RibEntry) -> Option<SpeakerEvent> {
        let key = listed.key.clone();
        if !key.kind().is_flowspec() && !key.destination().is_host() {
            return None;
        }
        let path = (!listed.is_withdraw).then(|| Box::new(self.shared.codec.report(listed)));
        Some(SpeakerEvent::PathChanged { key, path })
    }

    async fn connect(&mut self) -> Result<(), String> {
        let link = self.shared.connector.link().await.map_err(|error| text(&error))?;
        let limit = self.shared.settings.connect_timeout;
        let opened = timeout(limit, open(&link)).await;
        let events = match opened {
            Ok(Ok(events)) => events,
            failed => {
                self.shared.connector.discard(&link).await;
                return Err(match failed {
                    Ok(Err(status)) => reason(&status),
                    _ => format!("no answer within {limit:?}"),
                });
            }
        };
        let peers = self.shared.call(&link, |client| async move { client.peers(String::new()).await }).await;
        let peers = peers.map_err(|status| reason(&status))?;
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        self.pending.push_back(SpeakerEvent::Connected);
        self.pending.extend(peers.into_iter().map(SpeakerEvent::PeerChanged));
        self.session = Some(Session { link, events, heartbeat });
        self.told_down = false;
        self.attempts = 0;
        Ok(())
    }

    /// Tells the loss once, then waits longer and longer between attempts.
    async fn lost(&mut self, reason: String) {
        if let Some(session) = self.session.take() {
            self.shared.connector.discard(&session.link).await;
        }
        if !self.told_down {
            self.told_down = true;
            self.pending.push_back(SpeakerEvent::Disconnected { reason });
            return;
        }
        sleep(backoff(self.attempts)).await;
        self.attempts = self.attempts.saturating_add(1);
    }
}

/// Begins a watch, and waits until the speaker has it on: what happens from then on will be told.
async fn open(link: &Connection) -> Result<ResponseStream<WatchEvent>, Status> {
    let mut events = link.client.watch().await?;
    while let Some(event) = events.next().await {
        if matches!(event?, WatchEvent::Ready) {
            return Ok(events);
        }
    }
    Err(Status::unavailable("the speaker ended the watch"))
}

/// Doubles up to the longest, with up to a quarter less so that several daemons do not come at once.
fn backoff(attempts: u32) -> Duration {
    let full = FIRST_BACKOFF.saturating_mul(1 << attempts.min(16)).min(LONGEST_BACKOFF);
    let random = u32::from(RandomState::new().hash_one(attempts).to_be_bytes()[0]);
    full / 1024 * (1024 - random)
}

fn reason(status: &Status) -> String {
    text(&classify(status))
}

fn text(error: &AnnounceError) -> String {
    match error {
        AnnounceError::Refused(text) | AnnounceError::Unreachable(text) | AnnounceError::Unknown(text) => {
            text.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempts_are_fast_and_none_waits_longer_than_a_quarter_second() {
        assert!(backoff(0) <= Duration::from_millis(10));
        assert!(backoff(3) <= Duration::from_millis(80));
        for attempts in [0, 1, 5, 16, 31, 32, u32::MAX] {
            assert!(backoff(attempts) <= LONGEST_BACKOFF);
            assert!(backoff(attempts) >= FIRST_BACKOFF * 3 / 4);
        }
    }
}
