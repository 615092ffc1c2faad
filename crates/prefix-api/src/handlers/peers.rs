//! The BGP neighbors.

use actix_web::web::Data;
use prefix_api_types::Peers;

use super::{Reply, ok};
use crate::answer;
use crate::api::Api;

/// The BGP neighbors, as the speaker sees them.
#[utoipa::path(
    get, path = "/v1/peers", tag = "operation", operation_id = "list_peers",
    responses((status = 200, description = "The neighbors.", body = Peers))
)]
pub(crate) async fn list(api: Data<Api>) -> Reply {
    let mut peers: Vec<_> = api.engine.peers().await.into_iter().map(answer::peer).collect();
    peers.sort_by(|a, b| a.name.cmp(&b.name));
    ok(&Peers { count: peers.len(), peers })
}
