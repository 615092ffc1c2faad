//! The BGP neighbors.

use actix_web::web::Data;

use super::{Reply, ok};
use crate::answer::{PeerAnswer, PeersAnswer};
use crate::api::Api;

/// The BGP neighbors, as the speaker sees them.
#[utoipa::path(
    get, path = "/v1/peers", tag = "operation", operation_id = "list_peers",
    responses((status = 200, description = "The neighbors.", body = PeersAnswer))
)]
pub(crate) async fn list(api: Data<Api>) -> Reply {
    let mut peers: Vec<_> = api
        .engine
        .peers()
        .await
        .into_iter()
        .map(|view| PeerAnswer {
            name: view.name,
            address: view.peer.address,
            asn: view.peer.asn,
            state: view.peer.state.to_string(),
            uptime_seconds: view.peer.uptime.map(|uptime| uptime.as_secs()),
            families: view.peer.families.iter().map(ToString::to_string).collect(),
            announced_rules: view.announced_rules,
        })
        .collect();
    peers.sort_by(|a, b| a.name.cmp(&b.name));
    ok(&PeersAnswer { count: peers.len(), peers })
}
