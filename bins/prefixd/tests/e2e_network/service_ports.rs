//! What a customer serves stays open while everything else to the same address is filtered.

use crate::test_network::{Network, discard, police, udp_flood};

const DNS_SERVER: &str = "203.0.113.53";
const DNS_SERVER_V6: &str = "2001:db8:10::53";

/// Destination and protocol of a rule about UDP to each of them.
const UDP_TO_DNS: &str = "0120 cb007135 038111";
const UDP_TO_DNS_V6: &str = "018000 20010db8 00100000 00000000 00000053 038111";

/// `<53 or >53`: 04 and 02 are "less" and "greater", 80 ends the list. `!=` would make FRR reset its session.
const EVERY_PORT_BUT_53: &str = "05 0435 8235";

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_under_a_flood_to_random_ports_keeps_port_53_open() {
    let net = Network::with_gobgp_4().exabgp().frr().start().await;
    for (server, destination) in [(DNS_SERVER, UDP_TO_DNS), (DNS_SERVER_V6, UDP_TO_DNS_V6)] {
        // Detectors seldom name the ports of a flood to random ones.
        let answer = net.detector.posts(&udp_flood(server)).await;
        let rule = discard(&format!("{destination} {EVERY_PORT_BUT_53}"));
        let update = net.router().sees(&rule).await;
        // And as the router itself reads it.
        assert_eq!(update.parsed["destination-port"], serde_json::json!(["<53", ">53"]));
        let mitigation = net.mitigation(answer.mitigation_id.unwrap()).await;
        assert_eq!(mitigation.excluded_dst_ports, [53]);
        assert!(!mitigation.warnings.is_empty(), "an attack on port 53 itself would pass, which it must say");
    }
    assert_eq!(net.router().updates().len(), 2, "and no other rule");
    assert_eq!(net.frr().session().await.unwrap().dropped, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_served_is_never_among_the_discarded() {
    let net = Network::with_gobgp_4().exabgp().start().await;
    net.detector.posts(&udp_flood(DNS_SERVER).on_ports(&[3000, 53, 1024, 3000])).await;
    // =1024 or =3000, two bytes each.
    net.router().sees(&discard(&format!("{UDP_TO_DNS} 05 110400 910bb8"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_on_the_served_port_itself_is_policed_and_never_discarded() {
    let step = "{action: discard, ttl_seconds: 60, allowed_ports_rate_bps: 40000000}";
    let net = Network::with_gobgp_4().exabgp().steps(&[step]).start().await;
    net.detector.posts(&udp_flood(DNS_SERVER).on_ports(&[53])).await;
    net.router().sees(&police(40_000_000, &format!("{UDP_TO_DNS} 05 8135"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fragments_that_no_port_match_reaches_get_a_rule_of_their_own() {
    let step = "{action: discard, ttl_seconds: 60, fragments: discard}";
    let net = Network::with_gobgp_4().exabgp().bird().steps(&[step]).start().await;
    let answer = net.detector.posts(&udp_flood(DNS_SERVER).on_ports(&[4000])).await;
    let ports = discard(&format!("{UDP_TO_DNS} 05 910fa0"));
    let fragments = discard(&format!("{UDP_TO_DNS} 0c 8002"));
    net.router().sees(&ports).await;
    net.router().sees(&fragments).await;
    let all = net.mitigations(&[]).await;
    assert_eq!(all.iter().filter(|one| one.parent_id == answer.mitigation_id).count(), 1);

    net.detector.releases(&udp_flood(DNS_SERVER)).await;
    net.router().loses(&ports).await;
    net.router().loses(&fragments).await;
}
