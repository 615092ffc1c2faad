//! The calls of the speaker's API, the same for both versions.
//!
//! Messages and calls differ in their package and in how NLRI and attributes are wrapped; each version's client is
//! made by one macro.

mod calls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::stream::BoxStream;
use prefix_core::announcer::{AfiSafi, Peer, SessionState};
use prefix_core::flowspec::RouteKind;
use prost_types::Timestamp;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::Api;
use crate::path::{Change, RibEntry, kind_of};

/// An event of the watch stream.
#[derive(Debug)]
pub(crate) enum WatchEvent {
    /// The speaker confirms the watch.
    Ready,
    /// A peer changed; families and uptime are not known.
    Peer(Peer),
    /// The best path of a route changed.
    Path(RibEntry),
}

/// A streamed response.
pub(crate) type ResponseStream<T> = BoxStream<'static, Result<T, Status>>;

/// The calls of the speaker's API.
#[async_trait]
pub(crate) trait Client: Send + Sync {
    /// The version of the API, for logs.
    fn version(&self) -> &'static str;

    /// Whether BGP runs at the speaker: its API listens before that.
    async fn is_started(&self) -> Result<bool, Status>;

    /// Applies all changes, or none if the speaker refuses.
    async fn apply(&self, changes: &[Change]) -> Result<(), Status>;

    /// The table, or only the routes to `prefixes` (unicast only).
    async fn list(&self, kind: RouteKind, prefixes: Vec<String>) -> Result<ResponseStream<RibEntry>, Status>;

    /// All peers, or the one with this address.
    async fn peers(&self, address: String) -> Result<Vec<Peer>, Status>;

    /// Changes of peers and best paths, without end.
    async fn watch(&self) -> Result<ResponseStream<WatchEvent>, Status>;
}

/// The time between two checks whether BGP runs at a speaker that was just started.
const START_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A client of the version that the speaker answers to, once BGP runs there.
pub(crate) async fn discover(channel: &Channel, api: Api) -> Result<Arc<dyn Client>, Status> {
    let v4 = || Arc::new(calls::V4::new(channel.clone())) as Arc<dyn Client>;
    let v3 = || Arc::new(calls::V3::new(channel.clone())) as Arc<dyn Client>;
    let candidates = match api {
        Api::Auto => vec![v4(), v3()],
        Api::V3 => vec![v3()],
        Api::V4 => vec![v4()],
    };
    let mut refusal = Status::unimplemented("");
    for client in candidates {
        let started = loop {
            match client.is_started().await {
                Ok(false) => tokio::time::sleep(START_POLL_INTERVAL).await,
                answer => break answer,
            }
        };
        match started {
            Ok(_) => return Ok(client),
            Err(status) if status.code() == Code::Unimplemented => refusal = status,
            Err(status) => return Err(status),
        }
    }
    let asked = match api {
        Api::Auto => "neither version 3 nor 4 of GoBGP's API",
        Api::V3 => "not version 3 of GoBGP's API; set bgp.gobgp_api to auto",
        Api::V4 => "not version 4 of GoBGP's API; set bgp.gobgp_api to auto",
    };
    Err(Status::unimplemented(format!("the speaker speaks {asked} ({})", refusal.message())))
}

/// A family that prefixd announces in; `None` for others.
pub(crate) fn afi_safi(afi: i32, safi: i32) -> Option<AfiSafi> {
    kind_of(afi, safi).map(AfiSafi::from)
}

/// The session state by its number in both versions of the API.
fn session_state(number: i32) -> SessionState {
    match number {
        1 => SessionState::Idle,
        2 => SessionState::Connect,
        3 => SessionState::Active,
        4 => SessionState::OpenSent,
        5 => SessionState::OpenConfirm,
        6 => SessionState::Established,
        _ => SessionState::Unknown,
    }
}

/// Nanoseconds of a second: a timestamp has fewer beside its seconds.
const NANOS: u32 = 1_000_000_000;

fn since(timestamp: &Timestamp) -> Option<Duration> {
    let seconds = u64::try_from(timestamp.seconds).ok().filter(|seconds| *seconds > 0)?;
    // a speaker may name any time, also one that no clock can have
    let then = SystemTime::UNIX_EPOCH
        .checked_add(Duration::new(seconds, u32::try_from(timestamp.nanos).ok().filter(|n| *n < NANOS)?))?;
    Some(SystemTime::now().duration_since(then).unwrap_or_default())
}

/// A neighbor's address without its IPv6 zone.
fn neighbor_address(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok()
}

/// The families that both sides offer, in the order of this side.
fn negotiated(local: Vec<AfiSafi>, remote: &[AfiSafi]) -> Vec<AfiSafi> {
    local.into_iter().filter(|family| remote.contains(family)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_clock_can_have_is_no_uptime() {
        let timestamp = |seconds, nanos| Timestamp { seconds, nanos };
        let impossible =
            [timestamp(1, i32::MAX), timestamp(1, -1), timestamp(-1, 0), timestamp(i64::MAX, i32::MAX)];
        for timestamp in impossible {
            assert_eq!(since(&timestamp), None, "{timestamp:?}");
        }
        assert_eq!(
            since(&timestamp(i64::MAX, 0)),
            Some(Duration::ZERO),
            "what is yet to come has lasted no time"
        );
        assert!(since(&timestamp(1_767_225_600, 5)).is_some_and(|uptime| uptime > Duration::from_secs(1)));
    }
}
