//! Several detectors on one attack: rules reach the router when enough of them agree, and leave it when the last lets go.

use crate::test_network::{Network, NetworkBuilder, discard, udp_flood};
use prefix_client::{EventStatus, MitigationStatus};
use serde_json::{Value, json};

const UDP_TO_VICTIM: &str = "0120 cb00710a 038111";
const VICTIM: &str = "203.0.113.10";

fn two_must_agree() -> NetworkBuilder {
    let correlation = json!({
        "enabled": true, "min_sources": 2, "confidence_threshold": 0.6, "window_seconds": 60,
        "sources": { "helper": { "mode": "corroborating", "match_dimensions": ["customer_id"] } },
    });
    Network::with_gobgp_4()
        .exabgp()
        .steps(&["{action: discard, ttl_seconds: 5}"])
        .setting("correlation", correlation)
}

async fn post(net: &Network, path: &str, body: Value) -> Value {
    let answer = net.raw.post(path, body.to_string().as_bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.json());
    answer.json()
}

async fn corroborates(net: &Network, customer: &str) -> Value {
    let body =
        json!({ "source": "helper", "customer_id": customer, "vector": "udp_flood", "confidence": 0.5 });
    post(net, "/v1/signals/corroborator", body).await
}

async fn get(net: &Network, path: &str) -> Value {
    let answer = net.raw.get(path).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.json());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_detectors_are_needed_and_one_that_dies_in_the_attack_leaves_the_rule_to_the_other() {
    let net = two_must_agree().postgres().start().await;
    let (flow, probe) = (net.detector.named("flow"), net.detector.named("probe"));
    let (attack, rule) = (udp_flood(VICTIM), discard(UDP_TO_VICTIM));

    let held = flow.posts(&attack).await;
    assert_eq!((held.status, held.mitigation_id), (EventStatus::Held, None));
    let again = flow.posts(&attack).await;
    assert_eq!(again.status, EventStatus::Held, "the same one twice is one");
    assert!(!net.router().has(&rule));
    let groups = get(&net, "/v1/signal-groups").await;
    assert_eq!((&groups["count"], &groups["groups"][0]["source_count"]), (&json!(1), &json!(1)));

    let answer = probe.posts(&attack).await;
    assert_eq!(answer.status, EventStatus::Accepted);
    net.router().sees(&rule).await;
    let id = answer.mitigation_id.unwrap();

    // flow is dead; probe goes on for longer than the lease of flow lasts
    for _ in 0..4 {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        assert_eq!(probe.posts(&attack).await.status, EventStatus::Extended);
    }
    let shown = get(&net, &format!("/v1/mitigations/{id}")).await;
    assert_eq!(shown["leases"].as_array().unwrap().len(), 1, "{}", shown["leases"]);
    assert_eq!(shown["correlation"]["corroboration_met"], true);
    assert!(net.router().has(&rule));

    probe.releases(&attack).await;
    net.router().loses(&rule).await;
    net.mitigation_becomes(id, &MitigationStatus::Withdrawn).await;
    net.router().kept_its_session();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detector_that_lies_alone_filters_nothing_however_sure_and_often_it_says_so() {
    let mut net = two_must_agree().start().await;
    let liar = net.detector.named("liar");
    for host in 0..20 {
        for _ in 0..3 {
            let answer = liar.posts(&udp_flood(&format!("203.0.113.{host}"))).await;
            assert_eq!(answer.status, EventStatus::Held);
        }
    }
    assert_eq!(net.router().rib().len(), 0);
    // what is held survives kill -9, and an honest one makes it a rule
    net.daemon.kill9();
    net.daemon.start_again().await.unwrap();
    let honest = net.detector.named("honest").posts(&udp_flood("203.0.113.7")).await;
    assert_eq!(honest.status, EventStatus::Accepted);
    net.router().holds(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corroborating_signal_that_comes_late_puts_the_rule_into_the_router_at_once() {
    let net = two_must_agree().postgres().start().await;
    let (attack, rule) = (udp_flood(VICTIM), discard(UDP_TO_VICTIM));
    assert_eq!(net.detector.posts(&attack).await.status, EventStatus::Held);
    let elsewhere = corroborates(&net, "globex").await;
    assert_eq!(elsewhere["status"], "cached");
    assert!(!net.router().has(&rule));
    let taken = corroborates(&net, "acme").await;
    assert_eq!(taken["status"], "attached");
    assert_eq!(taken["mitigation_ids"].as_array().unwrap().len(), 1, "{taken}");
    net.router().sees(&rule).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corroborating_signal_that_comes_first_waits_and_never_triggers_itself() {
    let net = two_must_agree().start().await;
    let (attack, rule) = (udp_flood(VICTIM), discard(UDP_TO_VICTIM));
    let taken = corroborates(&net, "acme").await;
    assert_eq!((&taken["status"], &taken["mitigation_ids"]), (&json!("cached"), &json!([])));
    let refused = net.detector.named("helper").tries(&attack).await.unwrap_err();
    assert!(refused.to_string().contains("corroborat"), "{refused}");
    assert_eq!(net.router().rib().len(), 0);
    let answer = net.detector.posts(&attack).await;
    assert_eq!(answer.status, EventStatus::Accepted);
    net.router().sees(&rule).await;
    let cache = get(&net, "/v1/signals/corroborator/cache").await;
    assert_eq!(cache["total"], 0, "it found its group: {cache}");
    let activity = get(&net, "/v1/signals/corroborator/activity").await;
    assert_eq!(activity["sources"][0]["count"], 1);
}
