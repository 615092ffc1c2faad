//! The configuration of the scenarios: the shipped playbooks at the scale of a test, and a customer's services.

use std::fmt::Write as _;

/// Two processors cannot send what a router forwards: rates of the shipped playbooks are divided by this.
const SCALE: u64 = 20;

/// The shipped playbooks, their rates at the scale of this test, and without the minutes before a next step.
pub(super) fn shipped_playbooks() -> String {
    let shipped = include_str!("../../../../configs/playbooks.yaml");
    let slower = replace_numbers(shipped, "rate_bps: ", |rate| rate / SCALE);
    let scaled = replace_numbers(&slower, "require_persistence_seconds: ", |_| 1);
    assert!(scaled.contains("rate_bps: 2500000") && !scaled.contains("rate_bps: 50000000"), "{scaled}");
    scaled
}

/// The text with each number behind `key` replaced.
fn replace_numbers(text: &str, key: &str, change: impl Fn(u64) -> u64) -> String {
    let mut parts = text.split(key);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|character: char| !character.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        let number: u64 = number.parse().unwrap();
        let _ = write!(replaced, "{key}{}{rest}", change(number));
    }
    replaced
}

/// Capacities are at the scale of this test too.
pub(super) const INVENTORY: &str = "
customers:
  - customer_id: acme
    name: ACME Corp
    prefixes: [203.0.113.0/24]
    services:
      - service_id: dns
        name: Resolvers
        assets: [{ip: 203.0.113.10}, {ip: 203.0.113.11}, {ip: 203.0.113.12}]
        allowed_ports: {udp: [53], tcp: [53]}
        capacity: {bps: 3200000}
        allowed_source_ports: {udp: [53, 123]}
        answers_capacity: {bps: 3200000}
      - service_id: web
        name: Web servers
        assets: [{ip: 203.0.113.80}, {ip: 203.0.113.81}, {ip: 203.0.113.82}]
        allowed_ports: {tcp: [80, 443], udp: [443]}
        capacity: {bps: 3200000, pps: 800}
      - service_id: vpn
        name: VPN gateways
        assets: [{ip: 203.0.113.90}, {ip: 203.0.113.91}, {ip: 203.0.113.92}]
        allowed_ports: {udp: [500, 4500]}
        capacity: {bps: 4000000}
      - service_id: game
        name: Game servers
        assets: [{ip: 203.0.113.100}]
        allowed_ports: {udp: [3074, 3478, 4379, 5000, 6112, 7777, 8767, 9987, 27015-27030]}
        capacity: {bps: 3200000}
";
