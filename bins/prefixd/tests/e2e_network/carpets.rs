//! A carpet-bombed /24: one rule for all of it takes the place of those of its hosts, seen in a real router.

use prefix_client::{EventStatus, MitigationStatus, NewEvent};
use prefix_testkit::lab::{Change, wait};
use serde_json::json;

use crate::test_network::{Attack, Network, NetworkBuilder, Rule, police, udp_flood};

const HOST_STEP: &str = "{action: police, rate_bps: 8000000, ttl_seconds: 60}";
const CARPET: &str =
    "{match: {vector: udp_flood}, min_victims: 16, step: {rate_bps: 8000000, ttl_seconds: 60}}";
/// All UDP to 198.51.100.0/24.
const PREFIX: &str = "0118 c63364 038111";

fn hosts(lasts: impl Iterator<Item = u8>) -> Vec<Attack> {
    lasts.map(|last| udp_flood(&format!("198.51.100.{last}"))).collect()
}

fn rule_of(last: u8) -> Rule {
    police(8_000_000, &format!("0120 c63364{last:02x} 038111"))
}

fn network(net: NetworkBuilder) -> NetworkBuilder {
    net.exabgp().steps(&[HOST_STEP]).carpet(CARPET).setting("guardrails.dst_prefix_minlen", 24)
}

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_3_a_bombed_prefix_gets_one_rule_without_a_gap() {
    gets_one_rule(network(Network::with_gobgp_3()).start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_4_a_bombed_prefix_gets_one_rule_without_a_gap() {
    gets_one_rule(network(Network::with_gobgp_4()).start().await).await;
}

async fn gets_one_rule(net: Network) {
    let carpet = police(8_000_000, PREFIX);
    net.detector.posts_all(&hosts(1..=16)).await;
    net.router().sees(&carpet).await;
    net.router().holds(1).await;
    let updates = net.router().updates();
    let position =
        |is_it: &dyn Fn(&prefix_testkit::lab::RouterUpdate) -> bool| updates.iter().position(is_it);
    let announced = position(&|update| carpet.is_announced_by(update)).expect("the carpet");
    for last in 1..=16 {
        let host = rule_of(last);
        let gone = position(&|update| host.is_of(update) && update.change == Change::Withdraw);
        assert!(gone.expect("it has left") > announced, "host {last} was without a rule");
    }
    let living = net.mitigations(&[MitigationStatus::Active]).await;
    let [row] = living.as_slice() else { panic!("one rule: {living:?}") };
    let victims = row.victims.as_ref().expect("a carpet");
    assert_eq!((victims.count, victims.addresses.len()), (16, 16));
    assert_eq!(row.victim_ip.to_string(), "198.51.100.0");

    let answer = net.detector.posts(&udp_flood("198.51.100.77")).await;
    assert_eq!((answer.status, answer.mitigation_id), (EventStatus::Extended, Some(row.mitigation_id)));
    for attack in hosts((1..=16).chain([77])) {
        net.detector.releases(&attack).await;
    }
    net.router().loses(&carpet).await;
    net.mitigation_becomes(row.mitigation_id, &MitigationStatus::Withdrawn).await;
    net.router().kept_its_session();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_prefix_is_announced_and_its_unban_ends_it() {
    let net = network(Network::with_gobgp_4()).start().await;
    let event = |prefix: &str, vector: &str, action: &str| -> NewEvent {
        let document =
            json!({"source": "netflow", "victim_prefix": prefix, "vector": vector, "action": action});
        serde_json::from_value(document).unwrap()
    };
    let answer = net.client.send_event(&event("198.51.100.0/24", "udp_flood", "ban"), false).await.unwrap();
    assert_eq!(answer.value.status, EventStatus::Accepted);
    net.router().sees(&police(8_000_000, PREFIX)).await;

    let refused =
        net.client.send_event(&event("198.51.100.0/24", "syn_flood", "ban"), false).await.unwrap_err();
    assert!(refused.to_string().contains("no carpet entry"), "{refused}");

    net.client.send_event(&event("198.51.100.0/24", "udp_flood", "unban"), false).await.unwrap();
    net.router().loses(&police(8_000_000, PREFIX)).await;
    wait::until("the end", wait::PATIENCE, async || {
        let rows = net.mitigations(&[MitigationStatus::Withdrawn]).await;
        if rows.len() == 1 { Ok(()) } else { Err(rows.len()) }
    })
    .await
    .unwrap();
}
