//! Each built-in vector, IPv4 and IPv6, policed and discarded, through both speakers: the router gets the rule intended,
//! byte for byte; every router keeps its session; and the rule leaves at its time.

use crate::test_network::{Action, Attack, Network, Rule};
use prefix_client::{Mitigation, MitigationStatus};
use prefix_testkit::lab::{Bird, Change, Family, Frr, GobgpVersion, RouterUpdate, wait};
use std::collections::HashMap;
use std::time::Duration;

/// What follows the destination in the rule of each vector, for IPv4 and for IPv6 (RFC 8955 §4.2.2).
///
/// 03 is the protocol, 06 the source port, 09 the TCP flags, 0c the fragment; 81 is "= one byte, end of list", 91 "= two
/// bytes, end of list". A flag that must be set has MATCH (01), one that must not be has NOT (02), the second has END and
/// AND (c0) besides.
const VECTORS: [(&str, &str, &str); 41] = [
    ("udp_flood", "038111", "038111"),
    ("tcp_flood", "038106", "038106"),
    ("syn_flood", "038106 09 0102 c210", "038106 09 0102 c210"),
    ("ack_flood", "038106 09 0202 c110", "038106 09 0202 c110"),
    ("rst_flood", "038106 09 8104", "038106 09 8104"),
    ("synack_flood", "038106 09 0102 c110", "038106 09 0102 c110"),
    ("icmp_flood", "038101", "03813a"),
    ("fragment_flood", "0c 8002", "0c 8002"),
    ("gre_flood", "03812f", "03812f"),
    ("esp_flood", "038132", "038132"),
    ("dns_query_flood", "038111 058135", "038111 058135"),
    ("null_flood", "038106 09 0201 4202 4204 4208 c210", "038106 09 0201 4202 4204 4208 c210"),
    ("fin_flood", "038106 09 0101 c210", "038106 09 0101 c210"),
    ("urg_flood", "038106 09 0210 c120", "038106 09 0210 c120"),
    ("slp_amplification", "038111 069101ab", "038111 069101ab"),
    ("dtls_amplification", "038111 069101bb", "038111 069101bb"),
    ("mssql_amplification", "038111 0691059a", "038111 0691059a"),
    ("tp240_amplification", "038111 0691275a", "038111 0691275a"),
    ("generic", "", ""),
    ("unknown", "", ""),
    ("qotd_amplification", "038111 068111", "038111 068111"),
    ("chargen_amplification", "038111 068113", "038111 068113"),
    ("dns_amplification", "038111 068135", "038111 068135"),
    ("tftp_amplification", "038111 068145", "038111 068145"),
    ("rpcbind_amplification", "038111 06816f", "038111 06816f"),
    ("ntp_amplification", "038111 06817b", "038111 06817b"),
    ("netbios_amplification", "038111 068189", "038111 068189"),
    ("snmp_amplification", "038111 0681a1", "038111 0681a1"),
    ("cldap_amplification", "038111 06910185", "038111 06910185"),
    ("rip_amplification", "038111 06910208", "038111 06910208"),
    ("openvpn_amplification", "038111 069104aa", "038111 069104aa"),
    ("l2tp_amplification", "038111 069106a5", "038111 069106a5"),
    ("ssdp_amplification", "038111 0691076c", "038111 0691076c"),
    ("ard_amplification", "038111 06910cd3", "038111 06910cd3"),
    ("stun_amplification", "038111 06910d96", "038111 06910d96"),
    ("wsd_amplification", "038111 06910e76", "038111 06910e76"),
    ("mdns_amplification", "038111 069114e9", "038111 069114e9"),
    ("coap_amplification", "038111 06911633", "038111 06911633"),
    ("memcached_amplification", "038111 06912bcb", "038111 06912bcb"),
    ("plex_amplification", "038111 06917e9e", "038111 06917e9e"),
    ("dhcpdiscover_amplification", "038111 069193b2", "038111 069193b2"),
];

/// Long enough to look at three routers on a busy machine, short enough to wait for.
const TTL_SECONDS: u32 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_3_every_discarding_rule_reaches_the_routers_and_leaves() {
    every_vector_with(GobgpVersion::V3, Action::Discard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_3_every_policing_rule_reaches_the_routers_and_leaves() {
    every_vector_with(GobgpVersion::V3, Action::Police(50_000_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_4_every_discarding_rule_reaches_the_routers_and_leaves() {
    every_vector_with(GobgpVersion::V4, Action::Discard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_4_every_policing_rule_reaches_the_routers_and_leaves() {
    every_vector_with(GobgpVersion::V4, Action::Police(50_000_000)).await;
}

async fn every_vector_with(version: GobgpVersion, action: Action) {
    let step = match action {
        Action::Discard => format!("{{action: discard, ttl_seconds: {TTL_SECONDS}}}"),
        Action::Police(rate) => format!("{{action: police, rate_bps: {rate}, ttl_seconds: {TTL_SECONDS}}}"),
    };
    let net = Network::with(version).exabgp().bird().frr().steps(&[&step]).start().await;
    let (attacks, rules): (Vec<Attack>, Vec<Rule>) = attacks_and_rules(action).into_iter().unzip();
    let bird_since = net.bird().session_since().await.unwrap();

    net.detector.posts_all(&attacks).await;

    let mut announced = Vec::new();
    for rule in &rules {
        announced.push(net.router().sees(rule).await);
    }
    routers_accept(net.bird(), net.frr(), VECTORS.len()).await;
    let mitigations = net.mitigations(&[MitigationStatus::Active]).await;
    every_rule_carries_our_communities(&announced, &mitigations);

    net.router().holds(0).await;
    routers_accept(net.bird(), net.frr(), 0).await;
    for rule in &rules {
        came_once_and_left_at_its_time(rule, &net.router().history_of(rule));
    }
    net.router().kept_its_session();
    assert_eq!(net.bird().session_since().await.unwrap(), bird_since, "BIRD lost its session");
    let frr = net.frr().session().await.unwrap();
    assert_eq!((frr.state.as_str(), frr.dropped), ("Established", 0), "{frr:?}");
    for mitigation in &mitigations {
        let ended = net.mitigation_becomes(mitigation.mitigation_id, &MitigationStatus::Expired).await;
        assert!(ended.withdrawn_at.is_some() && !ended.bgp.announced, "{ended:?}");
    }
}

/// An attack of each vector and family on a victim of its own, and the rule it calls for.
fn attacks_and_rules(action: Action) -> Vec<(Attack, Rule)> {
    let mut attacks = Vec::new();
    for (number, (vector, ipv4, ipv6)) in VECTORS.into_iter().enumerate() {
        let host = 100 + number;
        let attack = Attack::new(vector, &format!("203.0.113.{host}"));
        attacks.push((attack, Rule::new(&format!("0120 cb0071{host:02x} {ipv4}"), action)));

        let attack = Attack::new(vector, &format!("2001:db8:10::{host:x}"));
        // Packet Too Big must pass, so ICMPv6 is policed, at the rate of `guardrails.default_police_rate_bps`.
        let action = match action {
            Action::Discard if vector == "icmp_flood" => Action::Police(10_000_000),
            action => action,
        };
        let destination = format!("018000 20010db8 00100000 00000000 0000{host:04x}");
        attacks.push((attack, Rule::new(&format!("{destination} {ipv6}"), action)));
    }
    attacks
}

async fn routers_accept(bird: &Bird, frr: &Frr, count: usize) {
    for family in [Family::Ipv4FlowSpec, Family::Ipv6FlowSpec] {
        let condition = format!("{count} rules of {family:?}");
        bird.wait_for_routes(&condition, family, |routes| routes.len() == count).await.unwrap();
        frr.wait_for_count(family, count, wait::PATIENCE).await.unwrap();
    }
}

/// Owner, not-after and mitigation (RFC 8092): `as:8955:hash of the pop`, `as:8956:time`, `as:8957:id`.
fn every_rule_carries_our_communities(announced: &[RouterUpdate], mitigations: &[Mitigation]) {
    /// The first 32 bits of the SHA-256 of `lab`.
    const POP: u32 = 0xa511_46d3;
    let by_nlri: HashMap<&str, &Mitigation> = mitigations
        .iter()
        // The API's `nlri` begins with the length octet, which is below 240 and so one byte.
        .map(|mitigation| {
            (mitigation.nlri.as_deref().unwrap_or_default().get(2..).unwrap_or_default(), mitigation)
        })
        .collect();
    for update in announced {
        let nlri = update.nlri_hex();
        let mitigation = by_nlri.get(nlri.as_str()).unwrap_or_else(|| panic!("no mitigation of {nlri}"));
        let not_after = u32::try_from(mitigation.expires_at.unwrap().timestamp()).unwrap();
        let id = u32::try_from(mitigation.mitigation_id.0.as_u128() & u128::from(u32::MAX)).unwrap();
        let mut found = update.attributes.large_communities.clone();
        found.sort_unstable();
        let [owner, [asn, 8956, time], mitigation] = found.as_slice() else {
            panic!("not our three communities: {found:?}");
        };
        assert_eq!((owner, *asn, mitigation), (&[65010, 8955, POP], 65010, &[65010, 8957, id]));
        assert!(
            not_after.abs_diff(*time) <= 1,
            "the not-after on the wire is {time}, in the API {not_after}"
        );
    }
}

fn came_once_and_left_at_its_time(rule: &Rule, history: &[RouterUpdate]) {
    let changes: Vec<Change> = history.iter().map(|update| update.change).collect();
    assert_eq!(changes, [Change::Announce, Change::Withdraw], "{rule:?}");
    let lived = Duration::from_secs_f64(history[1].at - history[0].at);
    // It was promised from the receipt of the event on, a little before the router saw it.
    let shortest = Duration::from_secs(u64::from(TTL_SECONDS) - 1);
    assert!(lived > shortest, "{rule:?} left after {lived:?}");
}
