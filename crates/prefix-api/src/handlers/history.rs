//! What is known about one address.

use actix_web::web::{Data, Path};
use prefix_api_types::{CustomerRef, Event, History, ServiceRef};
use prefix_core::address::VictimIp;

use super::{Reply, checked, from_path, ok};
use crate::answer;
use crate::api::Api;
use crate::query::Query;

/// Whose an address is, and its newest events and mitigations.
#[utoipa::path(
    get, path = "/v1/ip/{ip}/history", tag = "operation", operation_id = "ip_history",
    params(
        ("ip" = String, Path, description = "An IPv4 or IPv6 address."),
        ("limit" = Option<u16>, Query, description = "The most of each, 1 to 1000; default 100.", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "What is known.", body = History))
)]
pub(crate) async fn get(api: Data<Api>, ip: Path<String>, mut query: Query) -> Reply {
    let ip = from_path("ip", &ip, |text| text.parse::<VictimIp>().map_err(|error| error.to_string()))?;
    let limit = query.integer("limit", 1..=1000).unwrap_or(100);
    checked(query.finish())?;
    let history = api.engine.history(ip.ip(), limit).await?;
    let policy = api.engine.policy();
    let owner = policy.lookup(ip);
    ok(&History {
        ip: ip.ip(),
        customer: owner.as_ref().map(|owner| CustomerRef {
            customer_id: owner.customer.customer_id.to_string(),
            name: Some(owner.customer.name.to_string()),
            policy_profile: Some(owner.customer.policy_profile.as_str().to_owned()),
        }),
        service: owner.as_ref().and_then(|owner| owner.service).map(|service| ServiceRef {
            service_id: service.service_id.to_string(),
            name: Some(service.name.to_string()),
        }),
        events: history.events.iter().map(|event| Event::of(event, false)).collect(),
        mitigations: history.mitigations.iter().map(|row| answer::mitigation(row, false)).collect(),
    })
}
