//! The endless watch stream: it detects a speaker that went silent, and reconnects by itself.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use prefix_core::announcer::{Peer, SpeakerEvent};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tonic::Status;

use crate::client::{ResponseStream, WatchEvent};
use crate::connection::Connection;
use crate::error::classify;
use crate::gobgp::Shared;
use crate::path::RibEntry;

/// The time between two liveness checks of the speaker.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// The longest time for the answer of a liveness check.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time before the second attempt to connect.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
/// The longest time between two attempts: rules must be back within a second of the speaker's return, and a refused
/// attempt costs little.
const LONGEST_BACKOFF: Duration = Duration::from_millis(250);

/// One watch stream: what the caller was told so far, and what comes next.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    pending: VecDeque<SpeakerEvent>,
    session: Option<Session>,
    reported_down: bool,
    attempts: u32,
}

struct Session {
    connection: Connection,
    events: ResponseStream<WatchEvent>,
    heartbeat: Interval,
}

impl Watch {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, pending: VecDeque::new(), session: None, reported_down: false, attempts: 0 }
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

    /// Waits for the next event of the speaker, or for the next liveness check.
    async fn follow(&mut self) -> Result<(), String> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let watched = tokio::select! {
            event = session.events.next() => event.ok_or("the speaker ended the watch")?.map_err(|s| reason(&s))?,
            _ = session.heartbeat.tick() => {
                let limit = HEARTBEAT_TIMEOUT.min(self.shared.settings.request_timeout);
                let answer = timeout(limit, session.connection.client.is_started()).await;
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
                Some(SpeakerEvent::PeerChanged(Self::complete(&self.shared, &session.connection, peer).await))
            }
            WatchEvent::Path(listed) => self.path_changed(listed),
        };
        self.pending.extend(event);
        Ok(())
    }

    /// An event carries no families and no uptime; they are asked for. The state is that of the event, which may be
    /// newer.
    async fn complete(shared: &Shared, connection: &Connection, peer: Peer) -> Peer {
        let address = peer.address.to_string();
        let answer = shared.call(connection, |client| async move { client.peers(address).await }).await;
        match answer.ok().and_then(|peers| peers.into_iter().find(|known| known.address == peer.address)) {
            Some(known) if known.state == peer.state => known,
            Some(known) => Peer { families: known.families, ..peer },
            None => peer,
        }
    }

    /// Of unicast only host routes are reported: prefixd announces no others.
    fn path_changed(&self, listed: RibEntry) -> Option<SpeakerEvent> {
        let key = listed.key.clone();
        if !key.kind().is_flowspec() && !key.destination().is_host() {
            return None;
        }
        let path = (!listed.is_withdraw).then(|| Box::new(self.shared.codec.report(listed)));
        Some(SpeakerEvent::PathChanged { key, path })
    }

    async fn connect(&mut self) -> Result<(), String> {
        let connection =
            self.shared.connector.connection().await.map_err(|error| error.reason().to_owned())?;
        let limit = self.shared.settings.connect_timeout;
        let opened = timeout(limit, open(&connection)).await;
        let events = match opened {
            Ok(Ok(events)) => events,
            failed => {
                self.shared.connector.discard(&connection).await;
                return Err(match failed {
                    Ok(Err(status)) => reason(&status),
                    _ => format!("no answer within {limit:?}"),
                });
            }
        };
        let peers =
            self.shared.call(&connection, |client| async move { client.peers(String::new()).await }).await;
        let peers = peers.map_err(|status| reason(&status))?;
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        self.pending.push_back(SpeakerEvent::Connected);
        self.pending.extend(peers.into_iter().map(SpeakerEvent::PeerChanged));
        self.session = Some(Session { connection, events, heartbeat });
        self.reported_down = false;
        self.attempts = 0;
        Ok(())
    }

    /// Reports the loss once, then waits before the next attempt to connect, longer each time.
    async fn lost(&mut self, reason: String) {
        if let Some(session) = self.session.take() {
            self.shared.connector.discard(&session.connection).await;
        }
        if !self.reported_down {
            self.reported_down = true;
            self.pending.push_back(SpeakerEvent::Disconnected { reason });
            return;
        }
        sleep(backoff(self.attempts)).await;
        self.attempts = self.attempts.saturating_add(1);
    }
}

/// Begins a watch, and waits until the speaker confirms it: every event from then on is in the stream.
async fn open(connection: &Connection) -> Result<ResponseStream<WatchEvent>, Status> {
    let mut events = connection.client.watch().await?;
    while let Some(event) = events.next().await {
        if matches!(event?, WatchEvent::Ready) {
            return Ok(events);
        }
    }
    Err(Status::unavailable("the speaker ended the watch"))
}

/// Doubles up to the longest, less up to a quarter at random, so that several daemons do not connect at once.
fn backoff(attempts: u32) -> Duration {
    let full = FIRST_BACKOFF.saturating_mul(1 << attempts.min(16)).min(LONGEST_BACKOFF);
    let random = u32::from(RandomState::new().hash_one(attempts).to_be_bytes()[0]);
    full / 1024 * (1024 - random)
}

fn reason(status: &Status) -> String {
    classify(status).reason().to_owned()
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
