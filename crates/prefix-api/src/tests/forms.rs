//! Values as people and programs write them: read, or said; never a rule that is wider than the report.

use serde_json::{Value, json};

use super::lab::{Lab, Seen, flood, rule};

fn alert(victim: &str, vector: &str, ports: &str) -> Value {
    json!({"version": "4", "status": "firing", "alerts": [{
        "status": "firing", "labels": {"alertname": "x", "victim_ip": victim, "vector": vector},
        "annotations": {"top_dst_ports": ports}, "startsAt": "2026-11-30T15:50:00Z", "fingerprint": victim}]})
}

async fn mitigation(lab: &Lab, id: &Value) -> Value {
    lab.get(&format!("/v1/mitigations/{}", id.as_str().unwrap())).await.body
}

async fn of_alert(lab: &Lab, victim: &str, vector: &str, ports: &str) -> Value {
    let seen = lab.post("/v1/signals/alertmanager", &alert(victim, vector, ports)).await;
    let result = &seen.body["results"][0];
    assert_eq!(result["status"], "accepted", "{}", seen.text);
    mitigation(lab, &result["mitigation_id"]).await
}

async fn of_event(lab: &Lab, octet: u8, more: Value) -> Seen {
    let mut event = flood(octet);
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    lab.post("/v1/events?explain=true", &event).await
}

#[actix_web::test]
async fn ports_and_vectors_of_an_alert_are_read_as_people_write_them() {
    let lab = Lab::usual().await;
    for (octet, vector, ports, flow) in [
        (43, "syn_flood", "8080/tcp", "proto tcp dport =8080 flags syn&!ack"),
        (44, "syn_flood", "[8080 8443]", "proto tcp dport =8080|=8443 flags syn&!ack"),
        (45, "udp_flood", "4444,5555", "proto udp dport =4444|=5555"),
        (46, "SYN_FLOOD", "443/tcp", "proto tcp dport =443 flags syn&!ack"),
        (47, "udp-flood", "8000-8010", "proto udp dport >=8000&<=8010"),
    ] {
        let made = of_alert(&lab, &format!("203.0.113.{octet}/32"), vector, ports).await;
        assert_eq!(made["flow"], format!("dst 203.0.113.{octet}/32 {flow}"), "{ports}");
    }
    let fragments = lab.post("/v1/signals/alertmanager", &alert("203.0.113.48", "udp_flood", "0")).await;
    let id = fragments.body["results"][0]["event_id"].as_str().unwrap();
    let event = lab.get(&format!("/v1/events/{id}")).await.body;
    assert_eq!(event["vector"], "fragment_flood", "counters call fragments port 0");
    assert_eq!(event["top_dst_ports"], json!([]));
}

#[actix_web::test]
async fn ports_that_cannot_be_read_are_an_error_of_the_item_and_filter_nothing() {
    let lab = Lab::usual().await;
    for ports in ["http", "80,0", "53/udp,80/tcp", "8010-8000"] {
        let seen = lab.post("/v1/signals/alertmanager", &alert("203.0.113.60", "udp_flood", ports)).await;
        let result = &seen.body["results"][0];
        assert_eq!(result["status"], "error", "{ports}: {}", seen.text);
        assert!(result["error"].as_str().unwrap().contains("top_dst_ports"), "{}", seen.text);
    }
    assert!(lab.speaker.own_paths().is_empty());
}

#[actix_web::test]
async fn of_ten_ports_the_first_eight_are_filtered_and_the_others_named() {
    let lab = Lab::usual().await;
    let made = of_alert(&lab, "203.0.113.144", "udp_flood", "1,2,3,4,5,6,7,8,9,10").await;
    assert_eq!(made["dst_ports"], json!([1, 2, 3, 4, 5, 6, 7, 8]));
    let warnings = made["warnings"].to_string();
    assert!(warnings.contains("ports 9, 10 are left out"), "{warnings}");
}

#[actix_web::test]
async fn an_integer_may_have_a_fraction_of_zero_and_an_error_quotes_what_was_sent() {
    let lab = Lab::usual().await;
    let text = |bps: &str| {
        format!(r#"{{"source": "det", "victim_ip": "203.0.113.140", "vector": "udp_flood", "bps": {bps}}}"#)
    };
    let send = async |bps: &str| {
        lab.send(super::lab::raw(actix_web::http::Method::POST, "/v1/events", text(bps))).await
    };
    let seen = send("1500000000.0").await;
    assert_eq!(seen.status, 202, "{}", seen.text);
    for bad in ["1500000000.50", "-1.0", "1.5e-1"] {
        let seen = send(bad).await;
        assert_eq!(seen.status, 400);
        assert!(seen.body["detail"].as_str().unwrap().ends_with(&format!(", not {bad}")), "{}", seen.text);
    }
}

#[actix_web::test]
async fn what_is_left_out_is_named_in_decision_and_warnings() {
    let lab = Lab::usual().await;
    let seen = of_event(&lab, 70, json!({"match": {"src_ports": [53], "source_asn": 64500}})).await;
    assert_eq!(seen.status, 202, "{}", seen.text);
    let trace = seen.body["decision"]["trace"].as_array().unwrap();
    let named = |entry: &&Value| {
        entry["stage"] == "identity" && entry["detail"].as_str().unwrap().contains("source_asn")
    };
    assert!(trace.iter().any(|entry| named(&entry)), "{}", seen.text);
    let made = mitigation(&lab, &seen.body["mitigation_id"]).await;
    assert_eq!(made["src_ports"], json!([53]));
    assert!(made["warnings"].to_string().contains("source_asn"), "{made}");
    let event = lab.get(&format!("/v1/events/{}", seen.body["event_id"].as_str().unwrap())).await;
    assert_eq!(event.body["match"], json!({"src_ports": [53]}));
}

#[actix_web::test]
async fn the_match_of_an_event_narrows_its_rule_or_is_refused() {
    let lab = Lab::usual().await;
    let seen = of_event(
        &lab,
        71,
        json!({"vector": "syn_flood", "match": {"tcp_flags": ["!rst"], "src_ports": ["1-1023"]}}),
    )
    .await;
    let made = mitigation(&lab, &seen.body["mitigation_id"]).await;
    assert_eq!(made["flow"], "dst 203.0.113.71/32 proto tcp sport >=1&<=1023 flags syn&!rst&!ack");
    let seen = of_event(&lab, 72, json!({"match": {"tcp_flags": ["syn"]}})).await;
    assert_eq!((seen.status, seen.body["guardrail"].as_str()), (422, Some("semantic")), "{}", seen.text);
    let seen = of_event(&lab, 73, json!({"match": {"packet_length": {"min": 60, "max": 100}}})).await;
    let made = mitigation(&lab, &seen.body["mitigation_id"]).await;
    assert_eq!(made["packet_length"], Value::Null, "guardrails.allow_packet_length_match is false");
    assert!(made["warnings"].to_string().contains("allow_packet_length_match"), "{made}");
}

#[actix_web::test]
async fn an_operator_writes_ranges_and_a_contradiction_is_refused() {
    let lab = Lab::usual().await;
    let mut ranged = rule(80);
    ranged["dst_ports"] = json!(["8000-8010", 53, "8011-8020"]);
    let seen = lab.post("/v1/mitigations", &ranged).await;
    assert_eq!(seen.status, 201, "{}", seen.text);
    assert_eq!(seen.body["dst_ports"], json!([53, "8000-8020"]));
    assert_eq!(seen.body["flow"], "dst 203.0.113.80/32 proto udp dport =53|>=8000&<=8020");
    let mut many = rule(81);
    many["dst_ports"] = json!(["10-19", "30-39", "50-59", "70-79", 5]);
    let seen = lab.post("/v1/mitigations", &many).await;
    assert_eq!((seen.status, seen.body["guardrail"].as_str()), (422, Some("max_ports")), "nine terms");
    let mut rated = rule(82);
    rated["rate_bps"] = json!(10_000_000);
    let seen = lab.post("/v1/mitigations", &rated).await;
    assert_eq!((seen.status, seen.places()), (400, vec!["/rate_bps"]), "{}", seen.text);
    let mut misnamed = rule(83);
    misnamed["ports"] = misnamed["dst_ports"].take();
    let seen = lab.post("/v1/mitigations", &misnamed).await;
    assert_eq!(seen.status, 400);
    assert!(seen.body["detail"].as_str().unwrap().contains("did you mean \"dst_ports\""), "{}", seen.text);
}
