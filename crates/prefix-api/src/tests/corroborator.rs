//! Sources that only corroborate.

use serde_json::{Value, json};

use super::lab::{Lab, flood, posting};

const URI: &str = "/v1/signals/corroborator";

fn signal() -> Value {
    json!({"source": "netflow", "customer_id": "acme", "confidence": 0.6})
}

#[actix_web::test]
async fn a_late_one_completes_what_lacks_nothing_else() {
    let lab = Lab::weighing().await;
    let held = lab.post("/v1/events", &flood(10)).await;
    assert_eq!((held.status, held.body["status"].as_str()), (202, Some("held")), "{}", held.text);
    assert_eq!(held.body["mitigation_id"], Value::Null);
    let seen = lab.post(URI, &signal()).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!(seen.body["status"], "attached");
    assert_eq!(seen.body["attached_group_ids"], json!([held.body["signal_group_id"]]));
    let id = seen.body["mitigation_ids"][0].as_str().unwrap();
    let made = lab.get(&format!("/v1/mitigations/{id}")).await;
    assert_eq!(made.body["status"], "active");
    assert_eq!(made.body["triggering_event_id"], held.body["event_id"]);
    assert_eq!(made.body["correlation"]["contributing_sources"], json!(["fnm", "netflow"]));
    assert_eq!(lab.audited("corroborate").len(), 1);
}

#[actix_web::test]
async fn an_early_one_waits_and_is_shown_until_it_joins() {
    let lab = Lab::weighing().await;
    let body =
        r#"{"source": "netflow", "customer_id": "acme", "vector": "udp_flood", "raw_details": {"n": 1.10}}"#;
    let seen = lab.send(super::lab::raw(actix_web::http::Method::POST, URI, body)).await;
    assert_eq!((seen.status, seen.body["status"].as_str()), (200, Some("cached")), "{}", seen.text);
    assert_eq!((&seen.body["attached_group_ids"], &seen.body["mitigation_ids"]), (&json!([]), &json!([])));

    let cache = lab.get(&format!("{URI}/cache")).await;
    assert_eq!(cache.status, 200, "{}", cache.text);
    assert_eq!(cache.body["total"], 1);
    assert_eq!(cache.body["by_source"], json!([{"source": "netflow", "count": 1}]));
    let waiting = &cache.body["signals"][0];
    assert_eq!(waiting["signal_id"], seen.body["signal_id"]);
    assert_eq!((&waiting["vector"], &waiting["customer_id"]), (&json!("udp_flood"), &json!("acme")));
    assert_eq!(
        (&waiting["pop"], &waiting["service_id"], &waiting["interface"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!((&waiting["confidence"], &waiting["weight"]), (&json!(0.6), &json!(1.0)));
    assert!(cache.text.contains(r#""raw_details":{"n": 1.10}"#), "{}", cache.text);
    assert_eq!(lab.get(&format!("{URI}/cache?source=other")).await.body["signals"], json!([]));

    let event = lab.post("/v1/events", &flood(10)).await;
    assert_eq!(event.body["status"], "accepted", "{}", event.text);
    assert_eq!(lab.get(&format!("{URI}/cache")).await.body["total"], 0);
}

#[actix_web::test]
async fn who_was_heard_is_told() {
    let lab = Lab::weighing().await;
    assert_eq!(lab.get(&format!("{URI}/activity")).await.body["sources"], json!([]));
    lab.post(URI, &signal()).await;
    lab.post(URI, &signal()).await;
    let seen = lab.get(&format!("{URI}/activity?minutes=1440")).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert!(seen.body["since"].is_string());
    assert_eq!(
        (&seen.body["sources"][0]["source"], &seen.body["sources"][0]["count"]),
        (&json!("netflow"), &json!(2))
    );
    assert!(seen.body["sources"][0]["last_seen"].is_string());
    for minutes in ["0", "1441", "x"] {
        let seen = lab.get(&format!("{URI}/activity?minutes={minutes}")).await;
        assert_eq!((seen.status, seen.places()), (400, vec!["?minutes"]));
    }
    assert_eq!(lab.get(&format!("{URI}/cache?limit=1001")).await.places(), ["?limit"]);
}

#[actix_web::test]
async fn what_is_about_nothing_says_what_it_could_be_about() {
    let lab = Lab::weighing().await;
    // of a service is not what this source declares
    for body in [json!({"source": "netflow"}), json!({"source": "netflow", "service_id": "dns"})] {
        let seen = lab.post(URI, &body).await;
        assert_eq!((seen.status, seen.problem()), (400, "bad-request"));
        assert_eq!(seen.places(), ["/customer_id", "/pop"]);
        assert!(seen.body["detail"].as_str().unwrap().contains("customer_id, pop"), "{}", seen.text);
    }
}

#[actix_web::test]
async fn what_the_configuration_forbids_is_refused_and_audited() {
    let lab = Lab::weighing().await;
    let pop_alone = json!({"source": "netflow", "pop": "fra1"});
    let primary = json!({"source": "fnm", "customer_id": "acme"});
    for (number, body) in [pop_alone, primary].iter().enumerate() {
        let seen = lab.post(URI, body).await;
        assert_eq!((seen.status, seen.problem()), (422, "not-allowed"), "{}", seen.text);
        assert_eq!(lab.audited("reject").len(), number + 1);
    }
    for vector in ["no_such_flood", "UDP Flood"] {
        let seen =
            lab.post(URI, &json!({"source": "netflow", "customer_id": "acme", "vector": vector})).await;
        assert_eq!((seen.status, seen.problem()), (422, "unknown-vector"), "{}", seen.text);
        assert!(seen.body["vectors"].as_array().unwrap().contains(&json!("udp_flood")));
    }
    let off = Lab::usual().await.post(URI, &signal()).await;
    assert_eq!((off.status, off.problem()), (422, "not-allowed"));
    assert!(off.body["detail"].as_str().unwrap().contains("correlation.enabled"), "{}", off.text);
}

#[actix_web::test]
async fn a_repetition_gets_the_first_answer_and_counts_once() {
    let lab = Lab::weighing().await;
    let send = |body: Value| lab.send(posting(URI, &body).insert_header(("Idempotency-Key", "k-1")));
    let (first, again) = (send(signal()).await, send(signal()).await);
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(first.body, again.body);
    assert_eq!(lab.get(&format!("{URI}/cache")).await.body["total"], 1);
    let mut other = signal();
    other["confidence"] = json!(0.7);
    assert_eq!(send(other).await.problem(), "idempotency-mismatch");
}

#[actix_web::test]
async fn mistakes_have_their_places() {
    let lab = Lab::weighing().await;
    let seen = lab.post(&format!("{URI}?dry_run=true"), &json!({"pop": 5})).await;
    assert_eq!((seen.status, seen.places()), (400, vec!["?dry_run", "/source", "/pop"]));
}

#[actix_web::test]
async fn what_is_not_stored_is_503() {
    let lab = Lab::weighing().await;
    lab.store.set_down(true);
    let seen = lab.post(URI, &signal()).await;
    assert_eq!((seen.status, seen.problem()), (503, "storage-unavailable"), "{}", seen.text);
}
