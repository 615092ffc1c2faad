//! The configuration folder of a test: a small network that every test knows, and what a test changes of it.

use prefix_testkit::lab::Gobgpd;
use serde_json::{Value, json};
use std::path::Path;

/// The customers of every test. 203.0.113.53 serves DNS.
pub(super) const INVENTORY: &str = "
customers:
  - customer_id: acme
    name: ACME Corp
    prefixes: [203.0.113.0/24, '2001:db8:10::/48', 10.0.0.0/8]
    services:
      - service_id: dns
        name: Name servers
        assets: [{ip: 203.0.113.53}, {ip: '2001:db8:10::53'}]
        allowed_ports: {udp: [53], tcp: [53]}
  - customer_id: globex
    name: Globex
    prefixes: [198.51.100.0/24]
";

/// Every vector there is, for playbooks that take all.
const ALL_VECTORS: &str = "udp_flood, tcp_flood, syn_flood, ack_flood, rst_flood, synack_flood, \
     icmp_flood, fragment_flood, gre_flood, generic, unknown, qotd_amplification, chargen_amplification, \
     dns_amplification, tftp_amplification, rpcbind_amplification, ntp_amplification, netbios_amplification, \
     snmp_amplification, cldap_amplification, rip_amplification, openvpn_amplification, l2tp_amplification, \
     ssdp_amplification, ard_amplification, stun_amplification, wsd_amplification, mdns_amplification, \
     coap_amplification, memcached_amplification, plex_amplification, dhcpdiscover_amplification, \
     esp_flood, dns_query_flood, null_flood, fin_flood, urg_flood, slp_amplification, dtls_amplification, \
     mssql_amplification, tp240_amplification";

/// A playbook file that answers every vector with these steps.
pub(super) fn playbooks(steps: &[&str]) -> String {
    let steps = steps.join(", ");
    format!("playbooks:\n  - name: all\n    match: {{vector: [{ALL_VECTORS}]}}\n    steps: [{steps}]\n")
}

/// prefixd.yaml: enforced, without limits that a test did not ask for, with times as short as they may be.
pub(super) fn settings(speaker: &Gobgpd, storage: &str) -> Value {
    json!({
        "pop": "lab",
        "mode": "enforced",
        "http": {
            "auth": {"mode": "none"},
            "rate_limit": {
                "events_per_second": 1_000_000, "burst": 1_000_000,
                "requests_per_second": 1_000_000, "requests_burst": 1_000_000,
            },
        },
        "bgp": {
            "gobgp_grpc": speaker.grpc_endpoint(),
            "local_asn": speaker.asn(),
            "router_id": speaker.bgp_address().ip().to_string().replacen("127.", "10.", 1),
            "neighbors": speaker.neighbors().iter().enumerate().map(|(number, seat)| json!({
                "name": format!("router{number}"),
                "address": seat.address().to_string(),
                "peer_asn": seat.asn(),
                "afi_safi": ["ipv4-flowspec", "ipv6-flowspec"],
            })).collect::<Vec<_>>(),
            "guard": {"mode": "off"},
        },
        "guardrails": {"max_ports": 20},
        "quotas": {
            "max_active_per_victim": 100_000, "max_active_per_customer": 100_000, "max_active_per_pop": 100_000, "max_active_global": 100_000,
            "max_new_per_minute": 1_000_000, "max_announcements_per_peer": 100_000,
        },
        "timers": {
            "default_ttl_seconds": 60, "min_ttl_seconds": 1, "reconciliation_interval_seconds": 5,
            // rules come again within minutes of their end, which would hold them
            "flap_hold_seconds": 0,
        },
        "storage": {"url": storage},
        "observability": {"log_format": "pretty", "log_level": "info"},
    })
}

/// Several speakers instead of the one.
pub(super) fn set_speakers(settings: &mut Value, speakers: &[(&str, &Gobgpd)]) {
    let element =
        |(name, speaker): &(&str, &Gobgpd)| json!({"name": name, "gobgp_grpc": speaker.grpc_endpoint()});
    let bgp = settings["bgp"].as_object_mut().expect("a section");
    bgp.remove("gobgp_grpc");
    bgp.insert("speakers".to_owned(), speakers.iter().map(element).collect());
}

/// Sets `path`, like `quotas.max_active_per_pop`, in a document.
pub(super) fn set(document: &mut Value, path: &str, value: Value) {
    let mut place = document;
    for key in path.split('.') {
        place = &mut place[key];
    }
    *place = value;
}

/// Writes the three files; JSON is YAML.
pub(super) fn write(folder: &Path, settings: &Value, inventory: &str, playbooks: &str) {
    let settings = serde_json::to_string_pretty(settings).unwrap();
    for (name, text) in
        [("prefixd.yaml", settings.as_str()), ("inventory.yaml", inventory), ("playbooks.yaml", playbooks)]
    {
        std::fs::write(folder.join(name), text).unwrap();
    }
}
