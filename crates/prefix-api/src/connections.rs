//! Connections: how many there may be, and who has to leave when there are too many.
//!
//! Descriptors are shared with storage, speaker, heartbeat and panic marker, so the API never takes more than its part.
//! When that part is used up a newcomer takes the place of whoever has waited longest, first of those that wait between
//! two requests: crowds of idle connections cost an attacker everything and an honest client one reconnect. Only when
//! every connection has a request that is being worked on is the newcomer refused.

mod connection;
mod malformed;
mod peer_certificate;
mod seldom;
mod stream;
mod transport;

use std::collections::HashMap;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::rt::net::TcpStream;
use prefix_core::address::Prefix;
use prefix_tls::ServerTls;
use tokio_util::sync::CancellationToken;

pub(crate) use connection::Connection;
pub(crate) use peer_certificate::PeerCertificate;
pub(crate) use seldom::Seldom;
pub(crate) use stream::GuardedStream;
pub(crate) use transport::Transport;

use crate::problem::{Kind, Problem};
use crate::proxies;
use crate::report::{self, Closed};

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all.
    pub total: usize,
    /// From one address that is no trusted proxy.
    pub per_address: usize,
}

impl ConnectionLimits {
    /// The part of the API in so many descriptors, of which `reserve` are for everything else: what is left, and never
    /// less than a few, nor more than anybody needs.
    pub fn of_descriptors(descriptors: u64, reserve: u64) -> Self {
        let left = descriptors.saturating_sub(reserve.max(descriptors / 4));
        let total = usize::try_from(left).unwrap_or(MOST).clamp(FEWEST, MOST);
        Self { total, per_address: (total / 2).max(1) }
    }
}

/// With fewer connections nobody could work.
const FEWEST: usize = 16;
/// More connections would only be memory.
const MOST: usize = 20_000;

/// Every connection of the server.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: ConnectionLimits,
    proxies: Arc<[Prefix]>,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    draining: CancellationToken,
    crowded: Seldom,
}

impl Connections {
    /// None yet. `proxies` may have as many as there are.
    pub(crate) fn new(limits: ConnectionLimits, proxies: Arc<[Prefix]>) -> Self {
        Self {
            limits,
            proxies,
            next: AtomicU64::new(0),
            open: Mutex::default(),
            draining: CancellationToken::new(),
            crowded: Seldom::default(),
        }
    }

    /// From now on nobody is waited for any longer than a moment.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
        for connection in self.lock().values() {
            connection.wake();
        }
    }

    /// Is cancelled when the daemon goes down.
    pub(crate) fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Takes a connection, at the cost of another one if there are too many; `None` if that cannot be.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Arc<Connection>> {
        let mut open = self.lock();
        let of_address = |connection: &Connection| connection.address() == address;
        let crowded_address = !proxies::trusts(&self.proxies, address)
            && open.values().filter(|connection| of_address(connection)).count() >= self.limits.per_address;
        let crowded = crowded_address || open.len() >= self.limits.total;
        if crowded {
            let candidates = open
                .values()
                .filter(|connection| !crowded_address || of_address(connection))
                .filter_map(|connection| connection.waits().map(|waits| (waits, connection.number())));
            let leaves = candidates.min().and_then(|(_, number)| open.remove(&number));
            report::connection_closed(if leaves.is_some() { Closed::Crowded } else { Closed::Refused });
            self.crowded.note(|times| {
                tracing::warn!(
                    %address,
                    connections = self.limits.total,
                    of_one_address = self.limits.per_address,
                    times,
                    "too many connections: the one that has waited longest makes room, or the new one is refused"
                );
            });
            leaves?.leave();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection::new(number, address));
        open.insert(number, Arc::clone(&connection));
        report::connections(open.len());
        Some(connection)
    }

    /// Takes the stream of a connection; a refused one is told so and closed.
    pub(crate) fn take(
        self: &Arc<Self>,
        stream: TcpStream,
        tls: Option<&ServerTls>,
    ) -> Option<GuardedStream<Transport>> {
        let address = stream.peer_addr().ok()?.ip().to_canonical();
        match self.admit(address) {
            Some(connection) => {
                let transport = Transport::new(stream, tls, &connection);
                Some(GuardedStream::new(transport, connection, Arc::clone(self)))
            }
            None => {
                // best effort: whoever is refused must not cost anything
                if tls.is_none()
                    && let Ok(mut stream) = stream.into_std()
                {
                    let _ = stream.write(&refusal());
                }
                None
            }
        }
    }

    /// Takes any stream, whatever the limits say.
    #[cfg(test)]
    pub(crate) fn guard<S>(self: &Arc<Self>, stream: S) -> GuardedStream<S> {
        let connection = self.admit(IpAddr::from([192, 0, 2, 1])).unwrap();
        GuardedStream::new(stream, connection, Arc::clone(self))
    }

    /// How many are open.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// A connection is closed.
    fn forget(&self, connection: &Connection) {
        let mut open = self.lock();
        open.remove(&connection.number());
        report::connections(open.len());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refusal() -> Vec<u8> {
    let problem = Problem::new(
        Kind::RateLimited,
        "too many connections, and each has a request that is being worked on; send the request again",
    );
    malformed::answer("429 Too Many Requests", &problem, "Retry-After: 5\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(total: usize, per_address: usize) -> Arc<Connections> {
        let proxies = Arc::from(["198.51.100.0/24".parse().unwrap()]);
        Arc::new(Connections::new(ConnectionLimits { total, per_address }, proxies))
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_part_of_the_descriptors_is_for_everything_else() {
        let total = |descriptors, reserve| ConnectionLimits::of_descriptors(descriptors, reserve).total;
        assert_eq!(total(256, 110), 146);
        assert_eq!(total(1024, 110), 768);
        assert_eq!(total(100, 110), FEWEST, "who has too few is warned at the start");
        assert_eq!(total(u64::MAX, 110), MOST);
        assert_eq!(ConnectionLimits::of_descriptors(256, 110).per_address, 73);
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_takes_the_place_of_whoever_waited_longest_between_two_requests() {
        let connections = connections(3, 3);
        let all: Vec<_> = (1..=3).map(|last| connections.admit(address(last)).unwrap()).collect();
        all[0].request_began();
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        all[2].request_began();
        all[2].request_ended();
        let newcomer = connections.admit(address(4)).unwrap();
        assert!(all[1].has_to_leave() && !all[0].has_to_leave() && !all[2].has_to_leave());
        newcomer.request_began();
        all[2].request_began();
        assert!(connections.admit(address(5)).is_none(), "everybody is being worked for");
        all[0].request_ended();
        assert!(connections.admit(address(5)).is_some());
        assert!(all[0].has_to_leave());
    }

    #[tokio::test(start_paused = true)]
    async fn who_drips_makes_room_after_those_that_are_idle() {
        let connections = connections(2, 2);
        let (dripping, idle) =
            (connections.admit(address(1)).unwrap(), connections.admit(address(2)).unwrap());
        dripping.request_began();
        dripping.body_began();
        idle.request_began();
        idle.request_ended();
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        let busy = connections.admit(address(3)).unwrap();
        busy.request_began();
        assert!(idle.has_to_leave() && !dripping.has_to_leave());
        assert!(connections.admit(address(4)).is_some());
        assert!(dripping.has_to_leave());
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_cannot_take_the_places_of_others() {
        let connections = connections(4, 2);
        let other = connections.admit(address(1)).unwrap();
        let own: Vec<_> = (0..3).map(|_| connections.admit(address(2)).unwrap()).collect();
        assert!(own[0].has_to_leave() && !other.has_to_leave());
        own[1].request_began();
        own[2].request_began();
        assert!(connections.admit(address(2)).is_none());
        let proxied: Vec<_> =
            (0..4).map(|_| connections.admit(IpAddr::from([198, 51, 100, 1])).unwrap()).collect();
        assert!(proxied[3].waits().is_some(), "a trusted proxy speaks for many");
    }
}
