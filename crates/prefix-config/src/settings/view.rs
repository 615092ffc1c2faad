//! What `GET /v1/config/settings` shows: the listed keys and nothing else, so that a new secret is never shown by accident.

use serde_json::{Value, json};

use super::Settings;
use super::bgp::Backend;

/// The member `settings` of the answer.
pub fn settings_view(settings: &Settings) -> Value {
    let keys = &settings.keys;
    let neighbors: Vec<Value> = keys
        .bgp
        .neighbors
        .iter()
        .map(|neighbor| {
            json!({
                "name": neighbor.name,
                "address": neighbor.address,
                "peer_asn": neighbor.peer_asn,
                "afi_safi": neighbor.afi_safi,
                "profile": neighbor.profile,
                "max_entries": neighbor.max_entries,
            })
        })
        .collect();
    let old_mode = match keys.bgp.backend() {
        Backend::Gobgp => "sidecar",
        Backend::Mock => "mock",
    };
    json!({
        "pop": settings.pop,
        "mode": keys.mode,
        "http": {
            "listen": keys.http.listen,
            "public_url": keys.http.public_url,
            "auth": {"mode": settings.auth_mode},
            "rate_limit": keys.http.rate_limit,
            "cors_origin": keys.http.cors_origin,
        },
        "bgp": {
            "backend": keys.bgp.backend(),
            "mode": old_mode,
            "local_asn": settings.local_asn,
            "owner_tag": keys.bgp.owner_tag,
            "communities": keys.bgp.communities,
            "neighbors": neighbors,
        },
        "guardrails": keys.guardrails_in_force(),
        "quotas": keys.quotas,
        "timers": keys.timers,
        "escalation": keys.escalation,
        "storage": {"connection_string": "[redacted]", "backend": keys.storage.url().backend()},
        "observability": {
            "log_format": keys.observability.log_format,
            "log_level": keys.observability.log_level,
            "metrics_listen": keys.observability.metrics_listen.0.map_or_else(String::new, |at| at.to_string()),
        },
        "safelist": {"count": keys.safelist.prefixes.len()},
        "shutdown": keys.shutdown,
    })
}
