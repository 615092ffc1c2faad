//! The clients of both versions, made by one macro.

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use prefix_core::announcer::{AfiSafi, Peer, SessionState};
use prefix_core::flowspec::{RouteKey, RouteKind};
use tonic::Status;
use tonic::transport::Channel;
use tracing::debug;

use super::{
    Client, ResponseStream, WatchEvent, afi_safi, negotiated, neighbor_address, session_state, since,
};
use crate::attributes::Attributes;
use crate::path::{Change, RibEntry, is_local, kind_of};
use crate::{decode, proto};

/// The largest message that is accepted, in octets: it bounds what a broken speaker can make prefixd allocate.
const MAX_MESSAGE: usize = 64 << 20;

macro_rules! version {
    ($name:ident, $number:literal, $version:ident, $client:path) => {
        #[doc = concat!("Version ", $number, " of the API.")]
        pub(crate) struct $name($client);

        impl $name {
            pub(crate) fn new(channel: Channel) -> Self {
                Self(<$client>::new(channel).max_decoding_message_size(MAX_MESSAGE))
            }
        }

        #[async_trait]
        impl Client for $name {
            fn version(&self) -> &'static str {
                $number
            }

            async fn is_started(&self) -> Result<bool, Status> {
                let answer = self.0.clone().get_bgp(proto::$version::GetBgpRequest {}).await?.into_inner();
                Ok(answer.global.is_some_and(|global| global.asn != 0))
            }

            async fn apply(&self, changes: &[Change]) -> Result<(), Status> {
                let request = proto::$version::AddPathStreamRequest {
                    table_type: proto::$version::TableType::Global.into(),
                    paths: changes.iter().map($version::path).collect(),
                };
                self.0.clone().add_path_stream(stream::iter([request])).await?;
                Ok(())
            }

            async fn list(&self, kind: RouteKind, prefixes: Vec<String>) -> Result<ResponseStream<RibEntry>, Status> {
                let exact = proto::$version::table_lookup_prefix::Type::Exact.into();
                let lookup = |prefix| proto::$version::TableLookupPrefix { prefix, r#type: exact };
                let request = proto::$version::ListPathRequest {
                    table_type: proto::$version::TableType::Global.into(),
                    family: Some($version::family(kind)),
                    prefixes: prefixes.into_iter().map(lookup).collect(),
                    enable_only_binary: true,
                };
                let answers = self.0.clone().list_path(request).await?.into_inner();
                let paths = answers.map_ok(move |answer| {
                    let paths = answer.destination.map(|destination| destination.paths).unwrap_or_default();
                    stream::iter(paths.into_iter().filter_map(move |path| $version::rib_entry(kind, &path)).map(Ok))
                });
                Ok(paths.try_flatten().boxed())
            }

            async fn peers(&self, address: String) -> Result<Vec<Peer>, Status> {
                let request = proto::$version::ListPeerRequest { address };
                let answers = self.0.clone().list_peer(request).await?.into_inner();
                answers.try_filter_map(async |answer| Ok(answer.peer.and_then($version::peer))).try_collect().await
            }

            async fn watch(&self) -> Result<ResponseStream<WatchEvent>, Status> {
                use proto::$version::watch_event_request::{Peer, Table, table};
                let best = table::Filter { r#type: table::filter::Type::Best.into(), init: false };
                let request = proto::$version::WatchEventRequest {
                    peer: Some(Peer {}),
                    table: Some(Table { filters: vec![best] }),
                };
                let answers = self.0.clone().watch_event(request).await?.into_inner();
                let events = answers.map_ok(|answer| stream::iter($version::watch_events(answer).into_iter().map(Ok)));
                Ok(events.try_flatten().boxed())
            }
        }

        mod $version {
            use super::{
                AfiSafi, Attributes, Change, RibEntry, Peer, RouteKey, RouteKind, SessionState, WatchEvent, afi_safi, debug, is_local,
                kind_of, negotiated, neighbor_address, session_state, since,
            };
            use super::proto::$version::watch_event_response::{Event, peer_event};
            use super::proto::$version::{self as messages, Family, Path, WatchEventResponse};
            use super::decode::$version as decode;

            pub(super) fn family(kind: RouteKind) -> Family {
                Family { afi: kind.family().afi().into(), safi: kind.safi().into() }
            }

            pub(super) fn path(change: &Change) -> Path {
                Path {
                    family: Some(family(change.kind)),
                    is_withdraw: change.is_withdraw,
                    nlri_binary: change.nlri.clone(),
                    pattrs_binary: change.attributes.clone(),
                    ..Path::default()
                }
            }

            /// `None` for what prefixd cannot announce, and so is never its own.
            pub(super) fn rib_entry(kind: RouteKind, path: &Path) -> Option<RibEntry> {
                match RouteKey::decode(kind, &path.nlri_binary) {
                    Ok(key) => Some(RibEntry {
                        attributes: Attributes::decode(path.pattrs_binary.iter().map(|octets| &octets[..])),
                        // the speaker keeps a rule that is not in canonical form beside the canonical one, and no
                        // change of prefixd replaces it
                        local: is_local(&path.neighbor_ip) && key.nlri().as_bytes() == path.nlri_binary,
                        key,
                        is_withdraw: path.is_withdraw,
                    }),
                    Err(error) => {
                        debug!(table = %AfiSafi::from(kind), nlri = ?path.nlri_binary, %error, "skipped a foreign route");
                        None
                    }
                }
            }

            pub(super) fn watch_events(answer: WatchEventResponse) -> Vec<WatchEvent> {
                match answer.event {
                    Some(Event::Peer(event)) if event.r#type() == peer_event::Type::EndOfInit => vec![WatchEvent::Ready],
                    Some(Event::Peer(event)) => event.peer.and_then(peer).map(WatchEvent::Peer).into_iter().collect(),
                    Some(Event::Table(event)) => event.paths.into_iter().filter_map(|path| best(&path)).map(WatchEvent::Path).collect(),
                    None => Vec::new(),
                }
            }

            fn best(path: &Path) -> Option<RibEntry> {
                let kind = path.family.as_ref().and_then(|family| kind_of(family.afi, family.safi))?;
                Some(RibEntry {
                    key: decode::key(kind, path.nlri.as_ref())?,
                    attributes: decode::attributes(&path.pattrs),
                    local: is_local(&path.neighbor_ip),
                    is_withdraw: path.is_withdraw,
                })
            }

            pub(super) fn peer(peer: messages::Peer) -> Option<Peer> {
                let state = peer.state?;
                let conf = peer.conf.unwrap_or_default();
                // the state at run time wins: dynamic neighbors have no configuration
                let address = neighbor_address(&state.neighbor_address).or(neighbor_address(&conf.neighbor_address))?;
                let asn = if state.peer_asn == 0 { conf.peer_asn } else { state.peer_asn };
                let session = session_state(state.session_state);
                let is_established = session == SessionState::Established;
                let families = if is_established {
                    negotiated(decode::families(&state.local_cap), &decode::families(&state.remote_cap))
                } else {
                    configured(&peer.afi_safis)
                };
                let established = peer.timers.and_then(|timers| timers.state).and_then(|state| state.uptime);
                let uptime = established.as_ref().filter(|_| is_established).and_then(since);
                Some(Peer { address, asn, state: session, uptime, families })
            }

            fn configured(families: &[messages::AfiSafi]) -> Vec<AfiSafi> {
                let enabled = families.iter().filter_map(|family| family.config.as_ref()).filter(|c| c.enabled);
                enabled.filter_map(|c| c.family.as_ref()).filter_map(|f| afi_safi(f.afi, f.safi)).collect()
            }
        }
    };
}

version!(V3, "v3", v3, proto::v3::gobgp_api_client::GobgpApiClient<Channel>);
version!(V4, "v4", v4, proto::v4::go_bgp_service_client::GoBgpServiceClient<Channel>);
