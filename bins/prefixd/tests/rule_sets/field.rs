//! The field: an attacker and a customer on both sides of a router that enforces what prefixd sent.

use super::configuration;
use crate::test_network::Network;
use prefix_core::address::Family;
use prefix_core::flowspec::Rule;
use prefix_testkit::lab::{Arrivals, LinkEnd, Namespace, PacketFilter, Passage, RouterUpdate, Stream, wait};
use serde_json::json;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// How long traffic flows for each measurement.
const TIME: Duration = Duration::from_millis(350);

/// The same where nothing is filtered.
const UNFILTERED: Duration = Duration::from_millis(150);

/// How long it flows before that, which empties the buckets of policers: attacks are at least eight times as fast.
const AHEAD: Duration = Duration::from_millis(180);

/// A rule as the router received it, and what it is within its set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub(super) role: String,
    rule: Rule,
    action: String,
    pub(super) update: RouterUpdate,
}

/// Without its destination, like `main proto udp dport =53 | discard`.
impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.rule.to_string();
        let matches: Vec<&str> = text.split(' ').skip(2).collect();
        write!(f, "{} {} | {}", self.role, matches.join(" "), self.action)
    }
}

pub(super) struct Field {
    pub(super) net: Network,
    pub(super) filter: PacketFilter,
    attacker: Namespace,
    arrivals: Arrivals,
}

impl Field {
    /// The whole 203.0.113.0/24 is behind the router, and everybody else in front of it.
    pub(super) async fn start() -> Self {
        let net = Network::with_gobgp_4()
            .exabgp()
            .far_away()
            .inventory(configuration::INVENTORY)
            .playbooks(configuration::shipped_playbooks())
            .setting("guardrails", json!({"max_ports": 8, "allow_packet_length_match": true}))
            .setting("timers.flap_hold_seconds", 60)
            .setting("quotas.max_active_per_victim", 8)
            .setting("quotas.max_active_per_customer", 64)
            .setting("quotas.max_new_per_minute", 120)
            .start()
            .await;
        let router = net.between();
        let (attacker, victim) = (Namespace::create().await.unwrap(), Namespace::create().await.unwrap());
        let outside = LinkEnd { device: "outside", addresses: &["198.51.100.1/24"] };
        let inside = LinkEnd { device: "inside", addresses: &["192.0.2.1/30"] };
        let far = LinkEnd { device: "eth0", addresses: &["198.51.100.2/24"] };
        let near = LinkEnd { device: "eth0", addresses: &["192.0.2.2/30"] };
        router.join(&outside, &attacker, &far).await.unwrap();
        router.join(&inside, &victim, &near).await.unwrap();
        attacker.run(&["ip", "route", "add", "default", "via", "198.51.100.1"]).await.unwrap();
        router.run(&["ip", "route", "add", "203.0.113.0/24", "via", "192.0.2.2"]).await.unwrap();
        let filter = PacketFilter::in_router(router).await.unwrap();
        let arrivals = Arrivals::at(victim).unwrap();
        Self { net, filter, attacker, arrivals }
    }

    /// Waits until the router holds exactly these rules toward the victims, all of which have the same ones, and returns
    /// them in the order of RFC 8955 §5.1.
    pub(super) async fn set_of(&self, victims: &[&str], rules: &[&str]) -> Vec<Held> {
        let held = wait::until(format!("rules toward {victims:?}"), wait::PATIENCE, async || {
            let held = self.held(victims).await;
            let seen: Vec<String> = held.iter().map(ToString::to_string).collect();
            let wanted = rules.repeat(victims.len());
            if seen == wanted { Ok(held) } else { Err(format!("{seen:#?}")) }
        });
        held.await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// What the router holds toward the victims.
    pub(super) async fn held(&self, victims: &[&str]) -> Vec<Held> {
        let rows = self.net.mitigations(&[]).await;
        let victims: Vec<String> = victims.iter().map(|victim| format!("{victim}/32")).collect();
        let to_them = |update: &RouterUpdate| {
            update.destination().is_some_and(|to| victims.iter().any(|victim| victim == to))
        };
        let mut held: Vec<Held> = self
            .net
            .router()
            .rib()
            .into_iter()
            .filter(to_them)
            .map(|update| {
                // stored with its length octet
                let nlri = format!("{:02x}{}", update.nlri.len(), update.nlri_hex());
                let row = rows.iter().find(|row| row.nlri.as_ref() == Some(&nlri));
                let role = row.and_then(|row| row.role.as_ref()).map_or("?".to_owned(), ToString::to_string);
                let rule = Rule::decode_components(Family::Ipv4, &update.nlri).unwrap();
                Held { role, rule, action: action(&update), update }
            })
            .collect();
        held.sort_by(|one, two| two.rule.precedes(&one.rule).cmp(&one.rule.precedes(&two.rule)));
        held
    }

    /// Installs the rules in this order, and lets the flows through them. What a machine that was too busy sent is no
    /// measurement, and is repeated.
    pub(super) async fn sends(&self, streams: &Arc<Vec<Stream>>, rules: &[Held]) -> Vec<Passage> {
        let updates: Vec<RouterUpdate> = rules.iter().map(|rule| rule.update.clone()).collect();
        let (ahead, time) = if rules.is_empty() { (Duration::ZERO, UNFILTERED) } else { (AHEAD, TIME) };
        for _ in 0..4 {
            self.filter.install(&updates).await.unwrap();
            let passages = self.arrivals.of(streams, &self.attacker, ahead, time).await.unwrap();
            let is_slow = streams.iter().zip(&passages).any(|(stream, passage)| {
                let due = f64::from(stream.packets_per_second) * time.as_secs_f64();
                count(passage.sent) < 0.7 * due
            });
            if !is_slow {
                return passages;
            }
        }
        panic!("this machine is too busy to send packets at the rates of the scenarios");
    }
}

#[expect(clippy::cast_precision_loss, reason = "no test sends 2^52 packets")]
pub(super) fn count(packets: u64) -> f64 {
    packets as f64
}

/// What the extended communities do (RFC 8955 §7), in bits.
fn action(update: &RouterUpdate) -> String {
    let rates = update.attributes.extended_communities.iter().map(|community| match *community {
        [0x80, 0x06, _, _, a, b, c, d] => match f32::from_be_bytes([a, b, c, d]) {
            0.0 => "discard".to_owned(),
            rate => format!("{} bit/s", rate * 8.0),
        },
        [0x80, 0x0c, _, _, a, b, c, d] => format!("{} packets/s", f32::from_be_bytes([a, b, c, d])),
        other => format!("{other:02x?}"),
    });
    rates.collect::<Vec<_>>().join(", ")
}

/// The address that traffic to a victim goes to.
pub(super) fn address(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}
