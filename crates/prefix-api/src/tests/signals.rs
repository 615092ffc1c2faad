//! Signals, as foreign detectors meet them.

use hmac::{Hmac, KeyInit, Mac};
use prefix_core::name::SourceName;
use serde_json::{Value, json};
use sha2::Sha256;

use super::lab::{Lab, Seen, flood, posting, settings};
use crate::AuthMode;
use crate::access::Principal;

fn alert(last_octet: u16, status: &str) -> Value {
    json!({"status": status, "fingerprint": format!("f{last_octet}"), "startsAt": "2026-11-22T16:38:03Z",
        "labels": {"alertname": "udp_flood", "severity": "critical",
                   "victim_ip": format!("203.0.{}.{}", 113 + last_octet / 256, last_octet % 256)}})
}

fn alerts(alerts: &[Value]) -> Value {
    json!({"version": "4", "status": "firing", "alerts": alerts})
}

fn advanced(action: &str) -> Value {
    json!({"ip": "203.0.113.10", "action": action, "alert_scope": "host", "attack_details": {
        "attack_uuid": "u-1", "attack_direction": "incoming", "total_incoming_traffic": 1000, "incoming_udp_pps": 9}})
}

fn hooked(items: &[Value]) -> Value {
    json!({ "alerts": items })
}

fn sign(text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn statuses(seen: &Seen) -> Vec<&str> {
    seen.body["results"].as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn an_alert_becomes_a_rule_is_extended_and_ends_it() {
    let lab = Lab::usual().await;
    let seen = lab.post("/v1/signals/alertmanager", &alerts(&[alert(10, "firing")])).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!((seen.body["processed"].as_u64(), seen.body["failed"].as_u64()), (Some(1), Some(0)));
    assert_eq!(statuses(&seen), ["accepted"]);
    assert_eq!(seen.body["results"][0]["mitigation_status"], "active");
    let again = lab.post("/v1/signals/alertmanager", &alerts(&[alert(10, "firing")])).await;
    assert_eq!(statuses(&again), ["extended"]);
    let over = lab.post("/v1/signals/alertmanager", &alerts(&[alert(10, "resolved")])).await;
    assert_eq!(statuses(&over), ["withdrawn"]);
    let event = &lab.store.all_events()[0].report;
    assert_eq!(event.source.as_str(), "alertmanager");
    assert_eq!(event.external_event_id.as_ref().unwrap().as_str(), "f10");
}

#[actix_web::test]
async fn each_alert_is_answered_for_itself() {
    let lab = Lab::usual().await;
    let no_victim = json!({"status": "firing", "labels": {"alertname": "x"}});
    let body = alerts(&[alert(10, "firing"), no_victim, alert(200, "firing"), alert(11, "resolved")]);
    let seen = lab.post("/v1/signals/alertmanager?source=am-fra", &body).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!((seen.body["processed"].as_u64(), seen.body["failed"].as_u64()), (Some(2), Some(2)));
    assert_eq!(statuses(&seen), ["accepted", "error", "error", "not_found"]);
    let results = &seen.body["results"];
    assert!(results[1]["error"].as_str().unwrap().starts_with("no address"), "{}", seen.text);
    assert!(results[1].get("event_id").is_none());
    assert_eq!(results[2]["guardrail"], "safelisted");
    assert!(results[2]["event_id"].is_string() && results[2]["mitigation_id"].is_string());
    assert!(lab.store.all_events().iter().all(|event| event.report.source.as_str() == "am-fra"));
}

#[actix_web::test]
async fn more_than_a_hundred_alerts_are_taken_at_once_and_again() {
    let lab = Lab::usual().await;
    let many: Vec<Value> = (0..250).map(|n| alert(256 + n, "firing")).collect();
    let send = || {
        lab.send(posting("/v1/signals/alertmanager", &alerts(&many)).insert_header(("Idempotency-Key", "k")))
    };
    let first = send().await;
    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!(first.body["processed"], 250);
    let results = first.body["results"].as_array().unwrap();
    assert!(results.iter().enumerate().all(|(place, item)| item["index"].as_u64() == Some(place as u64)));
    let of_item = |item: &Value| {
        lab.store.all_events().into_iter().find(|event| item["event_id"] == json!(event.event_id))
    };
    for (place, octet) in [(0, "203.0.114.0"), (100, "203.0.114.100"), (249, "203.0.114.249")] {
        assert_eq!(of_item(&results[place]).unwrap().report.victim_ip.to_string(), octet);
    }
    assert_eq!(lab.store.all_events().len(), 250);
    let again = send().await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body["results"], first.body["results"]);
    assert_eq!(lab.store.all_events().len(), 250);
}

#[actix_web::test]
async fn what_is_no_alert_of_version_4_is_malformed() {
    let lab = Lab::usual().await;
    for (body, place) in [
        (json!({"version": "3", "alerts": [{}]}), "/version"),
        (json!({"version": "4", "alerts": []}), "/alerts"),
        (json!([]), ""),
    ] {
        let seen = lab.post("/v1/signals/alertmanager", &body).await;
        assert_eq!((seen.status, seen.places()), (400, vec![place]), "{}", seen.text);
    }
    let uri = "/v1/signals/alertmanager?dry_run=true&source=%00";
    let seen = lab.post(uri, &alerts(&[alert(10, "firing")])).await;
    assert_eq!((seen.status, seen.places()), (400, vec!["?source", "?dry_run"]));
    let twice = r#"{"version": "4", "version": "4", "alerts": [{}]}"#;
    let seen =
        lab.send(super::lab::raw(actix_web::http::Method::POST, "/v1/signals/alertmanager", twice)).await;
    assert_eq!((seen.status, seen.places()), (400, vec!["/version"]));
}

#[actix_web::test]
async fn fastnetmon_is_answered_like_an_event() {
    let lab = Lab::usual().await;
    let seen = lab.post("/v1/signals/fastnetmon?explain=true", &advanced("ban")).await;
    assert_eq!((seen.status, seen.body["status"].as_str()), (202, Some("accepted")), "{}", seen.text);
    assert_eq!(seen.body["external_event_id"], "u-1");
    assert_eq!(seen.body["decision"]["outcome"], "mitigate");
    let seen = lab.post("/v1/signals/fastnetmon", &advanced("unban")).await;
    assert_eq!((seen.status, seen.body["status"].as_str()), (202, Some("withdrawn")));

    let mut safe = advanced("ban");
    safe["ip"] = json!("203.0.113.200");
    let seen = lab.post("/v1/signals/fastnetmon", &safe).await;
    assert_eq!((seen.status, seen.problem()), (422, "guardrail"));
    let seen = lab.post("/v1/signals/fastnetmon", &advanced("kill")).await;
    assert_eq!((seen.status, seen.places()), (400, vec!["/action"]));
    let community = json!({"ip": "203.0.113.10", "attack_details": {"attack_type": "udp_flood"}});
    let seen = lab.post("/v1/signals/fastnetmon?action=ban&source=fnm-2", &community).await;
    assert_eq!((seen.status, seen.body["status"].as_str()), (202, Some("accepted")), "{}", seen.text);
}

#[actix_web::test]
async fn an_alert_or_an_outgoing_attack_is_stored_and_mitigates_nothing() {
    let lab = Lab::usual().await;
    let mut outgoing = advanced("ban");
    outgoing["attack_details"]["attack_direction"] = json!("outgoing");
    for body in [advanced("alert"), outgoing] {
        let seen = lab.post("/v1/signals/fastnetmon", &body).await;
        assert_eq!(
            (seen.status, seen.body["status"].as_str()),
            (202, Some("accepted_no_mitigation")),
            "{}",
            seen.text
        );
    }
    assert_eq!(lab.store.all_events().len(), 2);
    assert!(lab.speaker.own_paths().is_empty());
}

#[actix_web::test]
async fn only_an_enabled_adapter_is_there() {
    let lab = Lab::usual().await;
    for name in ["nobody", "Open", "%20", "open%2f"] {
        let seen = lab.post(&format!("/v1/signals/webhook/{name}"), &hooked(&[])).await;
        assert_eq!((seen.status, seen.problem()), (404, "not-found"), "{name}");
    }
}

#[actix_web::test]
async fn a_signature_stands_for_credentials_and_for_nothing_else() {
    let secret = AuthMode::Bearer { secret: "of the API".into() };
    let lab = Lab::with(&crate::ApiSettings { auth: secret, ..settings() }, |_| ()).await;
    let body = hooked(&[json!({"ip": "203.0.113.10", "kind": "udp_flood", "id": "e"})]);
    let send = |signature: Option<String>| {
        let mut request = posting("/v1/signals/webhook/signed", &body);
        if let Some(signature) = signature {
            request = request.insert_header(("X-Signature-SHA256", signature));
        }
        lab.send(request)
    };
    for wrong in [None, Some(String::new()), Some(sign("another body")), Some("sha256=zz".to_owned())] {
        let seen = send(wrong).await;
        assert_eq!((seen.status, seen.problem()), (401, "unauthenticated"), "{}", seen.text);
    }
    assert!(lab.store.all_events().is_empty());
    let seen = send(Some(format!("sha256={}", sign(&body.to_string())))).await;
    assert_eq!((seen.status, statuses(&seen)), (200, vec!["accepted"]), "{}", seen.text);
    let entry = lab.audited("announce").pop().unwrap();
    assert_eq!(entry.actor.name(), "webhook:signed");
    assert_eq!(entry.actor.kind, prefix_core::audit::ActorType::Detector);
    assert_eq!(lab.store.all_events()[0].report.source.as_str(), "signed");

    // the others are as the API is
    assert_eq!(lab.post("/v1/signals/webhook/tokened", &body).await.status, 401);
    let with =
        posting("/v1/signals/webhook/tokened", &body).insert_header(("Authorization", "Bearer of the API"));
    assert_eq!(lab.send(with).await.status, 200);
    assert_eq!(lab.post("/v1/signals/webhook/open", &body).await.status, 200);
    assert_eq!(lab.post("/v1/signals/alertmanager", &alerts(&[alert(1, "firing")])).await.status, 401);
}

#[actix_web::test]
async fn a_signed_time_must_be_fresh() {
    let lab = Lab::usual().await;
    let body = hooked(&[json!({"ip": "203.0.113.10", "kind": "udp_flood"})]);
    for (age, status) in [(10, 200), (120, 401)] {
        let time = 1_795_000_000_i64 - age;
        let signature = sign(&format!("{time}.{body}"));
        let request = posting("/v1/signals/webhook/timed", &body)
            .insert_header(("X-Signature-SHA256", signature))
            .insert_header(("X-Time", time.to_string()));
        assert_eq!(lab.send(request).await.status, status, "{age}");
    }
}

#[actix_web::test]
async fn a_webhook_without_anything_in_it_is_malformed() {
    let lab = Lab::usual().await;
    for body in [json!({}), hooked(&[]), hooked(&[json!({"kind": "udp_flood"})])] {
        let seen = lab.post("/v1/signals/webhook/open", &body).await;
        assert_eq!((seen.status, seen.problem()), (400, "bad-request"), "{}", seen.text);
    }
    let body = hooked(&[
        json!({"ip": "203.0.113.10", "kind": "strange"}),
        json!({"ip": "203.0.113.11", "kind": "udp_flood", "state": "kill"}),
    ]);
    let seen = lab.post("/v1/signals/webhook/open", &body).await;
    assert_eq!((seen.status, statuses(&seen)), (200, vec!["accepted_no_playbook", "error"]), "{}", seen.text);
}

#[actix_web::test]
async fn a_token_reports_through_adapters_of_its_sources_only() {
    let source: SourceName = "alertmanager".parse().unwrap();
    let lab = Lab::of(Principal::webhook(&source, crate::access::AuthMethod::None)).await;
    assert_eq!(lab.post("/v1/signals/alertmanager", &alerts(&[alert(10, "firing")])).await.status, 200);
    let body = hooked(&[json!({"ip": "203.0.113.10", "kind": "udp_flood"})]);
    for (uri, body) in [
        ("/v1/signals/alertmanager?source=other", alerts(&[alert(10, "firing")])),
        ("/v1/signals/fastnetmon", advanced("ban")),
        ("/v1/signals/webhook/tokened", body),
    ] {
        let seen = lab.post(uri, &body).await;
        assert_eq!((seen.status, seen.problem()), (403, "source-not-allowed"), "{uri}");
    }
}

#[actix_web::test]
async fn a_corroborating_source_triggers_on_no_path() {
    let lab = Lab::usual().await;
    let mut event = flood(10);
    event["source"] = json!("netflow");
    let send = |uri: &'static str, body: Value| lab.send(posting(uri, &body));
    for (uri, body) in
        [("/v1/events", event.clone()), ("/v1/signals/fastnetmon?source=netflow", advanced("ban"))]
    {
        let seen = send(uri, body).await;
        assert_eq!((seen.status, seen.problem()), (422, "corroborating-only"), "{uri}");
        assert!(seen.body["detail"].as_str().unwrap().contains("netflow"));
    }
    let seen = send("/v1/events/batch", json!({"events": [event.clone()]})).await;
    assert_eq!((seen.status, seen.body["rejected"].as_u64()), (207, Some(1)));
    let seen = send("/v1/signals/alertmanager?source=netflow", alerts(&[alert(10, "firing")])).await;
    assert_eq!((seen.status, statuses(&seen)), (200, vec!["error"]));
    assert!(seen.body["results"][0]["error"].as_str().unwrap().contains("corroborating"), "{}", seen.text);
    assert_eq!(lab.audited("reject").len(), 4);
    assert!(lab.store.all_events().is_empty());

    event["action"] = json!("unban");
    let seen = send("/v1/events", event).await;
    assert_eq!((seen.status, seen.body["status"].as_str()), (202, Some("not_found")), "{}", seen.text);
}

#[actix_web::test]
async fn what_is_not_stored_is_503_as_a_whole() {
    let lab = Lab::usual().await;
    lab.store.set_down(true);
    for (uri, body) in [
        ("/v1/signals/alertmanager", alerts(&[alert(1, "firing"), alert(2, "firing")])),
        ("/v1/signals/fastnetmon", advanced("ban")),
        ("/v1/signals/webhook/open", hooked(&[json!({"ip": "203.0.113.10"})])),
    ] {
        let seen = lab.post(uri, &body).await;
        assert_eq!((seen.status, seen.problem()), (503, "storage-unavailable"), "{uri}: {}", seen.text);
    }
}
