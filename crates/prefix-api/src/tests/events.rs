//! Events, as detectors meet them.

use serde_json::{Value, json};

use super::lab::{Lab, flood, posting};

#[actix_web::test]
async fn an_attack_becomes_a_rule() {
    let lab = Lab::usual().await;
    let mut event = flood(10);
    event["event_id"] = json!("episode-1");
    let seen = lab.post("/v1/events", &event).await;
    assert_eq!(seen.status, 202, "{}", seen.text);
    let members: Vec<_> = seen.body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        members,
        ["event_id", "external_event_id", "mitigation_id", "mitigation_status", "signal_group_id", "status"]
    );
    assert_eq!(seen.body["status"], "accepted");
    assert_eq!(seen.body["mitigation_status"], "active");
    assert_eq!(seen.body["external_event_id"], "episode-1");
    assert_eq!(seen.body["signal_group_id"], Value::Null);
    assert_eq!(lab.speaker.own_paths().len(), 1);

    let again = lab.post("/v1/events", &event).await;
    assert_eq!(again.body["status"], "extended");
    assert_eq!(again.body["mitigation_id"], seen.body["mitigation_id"]);
}

#[actix_web::test]
async fn the_decision_is_shown_to_whoever_asks() {
    let lab = Lab::usual().await;
    let seen = lab.post("/v1/events?explain=true", &flood(10)).await;
    assert_eq!(seen.body["decision"]["outcome"], "mitigate");
    assert_eq!(seen.body["decision"]["playbook"], "floods");
    let id = seen.body["event_id"].as_str().unwrap();
    let stored = lab.get(&format!("/v1/events/{id}")).await;
    assert_eq!(stored.body["decision"]["outcome"], "mitigate");
    assert_eq!(stored.body["raw_details"], Value::Null);
    let listed = lab.get("/v1/events").await;
    assert_eq!(listed.body["events"][0]["event_id"], id);
    assert!(listed.body["events"][0].get("decision").is_none());
}

#[actix_web::test]
async fn a_refused_event_is_stored_and_says_where() {
    let lab = Lab::usual().await;
    let mut event = flood(200);
    event["event_id"] = json!("e");
    let seen = lab.post("/v1/events", &event).await;
    assert_eq!((seen.status, seen.problem()), (422, "guardrail"));
    assert_eq!(seen.body["guardrail"], "safelisted");
    assert_eq!(seen.body["external_event_id"], "e");
    let id = seen.body["event_id"].as_str().unwrap();
    assert_eq!(lab.get(&format!("/v1/events/{id}")).await.body["status"], "rejected");
    let id = seen.body["mitigation_id"].as_str().unwrap();
    assert_eq!(lab.get(&format!("/v1/mitigations/{id}")).await.body["status"], "rejected");
    assert!(seen.body.get("decision").is_none() && seen.body.get("retry_after_seconds").is_none());
    assert_eq!(lab.audited("reject").len(), 1, "by the engine, and not once more");
}

#[actix_web::test]
async fn an_undefined_vector_is_answered_with_the_defined_ones() {
    let lab = Lab::usual().await;
    for vector in ["no_such_flood", "UDP Flood"] {
        let mut event = flood(10);
        event["vector"] = json!(vector);
        let seen = lab.post("/v1/events", &event).await;
        assert_eq!((seen.status, seen.problem()), (422, "unknown-vector"));
        assert!(seen.body["vectors"].as_array().unwrap().contains(&json!("udp_flood")));
    }
    assert_eq!(lab.audited("reject").len(), 2);
    assert!(lab.store.all_events().is_empty());
}

#[actix_web::test]
async fn names_of_people_are_not_for_detectors() {
    let lab = Lab::usual().await;
    let mut event = flood(10);
    event["source"] = json!("operator:alice");
    let seen = lab.post("/v1/events", &event).await;
    assert_eq!((seen.status, seen.problem()), (422, "not-allowed"));
    assert_eq!(lab.audited("reject").len(), 1);
}

#[actix_web::test]
async fn an_unban_ends_what_its_source_reported() {
    let lab = Lab::usual().await;
    lab.post("/v1/events", &flood(10)).await;
    let unban = json!({"source": "fnm", "victim_ip": "203.0.113.10", "action": "unban"});
    let seen = lab.post("/v1/events", &unban).await;
    assert_eq!((seen.status, seen.body["status"].as_str()), (202, Some("withdrawn")));
    assert_eq!(seen.body["mitigation_status"], "withdrawn");
    assert!(lab.speaker.own_paths().is_empty());
    let seen =
        lab.post("/v1/events", &json!({"source": "x", "victim_ip": "203.0.113.9", "action": "unban"})).await;
    assert_eq!(seen.body["status"], "not_found");
    assert_eq!(seen.body["mitigation_id"], Value::Null);
}

#[actix_web::test]
async fn a_batch_answers_for_each_of_its_events() {
    let lab = Lab::usual().await;
    let mut undefined = flood(12);
    undefined["vector"] = json!("no_such_flood");
    let batch = json!({"events": [flood(10), {"event_id": "bad", "source": 5}, flood(200), undefined]});
    let seen = lab.post("/v1/events/batch", &batch).await;
    assert_eq!(seen.status, 207);
    assert_eq!((seen.body["accepted"].as_u64(), seen.body["rejected"].as_u64()), (Some(1), Some(3)));
    let results = seen.body["results"].as_array().unwrap();
    assert_eq!(results[0]["status"], "accepted");
    assert!(results[0].get("error").is_none());
    assert_eq!(results[1]["status"], "rejected");
    assert_eq!(results[1]["event_id"], "00000000-0000-0000-0000-000000000000");
    assert_eq!(results[1]["external_event_id"], "bad");
    assert!(
        results[1]["error"].as_str().unwrap().starts_with("/events/1/source must be a text"),
        "{}",
        seen.text
    );
    assert_eq!(results[2]["guardrail"], "safelisted");
    assert_ne!(results[2]["event_id"], "00000000-0000-0000-0000-000000000000");
    assert!(results[3]["error"].as_str().unwrap().contains("not defined"));
    assert_eq!(lab.audited("reject").len(), 2, "the guardrail's and the vector's, not the malformed one's");

    let seen = lab.post("/v1/events/batch", &json!({"events": [flood(10), flood(11)]})).await;
    assert_eq!((seen.status, seen.body["accepted"].as_u64()), (202, Some(2)));
}

#[actix_web::test]
async fn a_batch_has_1_to_100_events() {
    let lab = Lab::usual().await;
    for events in [json!([]), json!(vec![flood(1); 101]), json!({}), Value::Null] {
        let seen = lab.post("/v1/events/batch", &json!({"events": events})).await;
        assert_eq!((seen.status, seen.places()), (400, vec!["/events"]));
    }
}

#[actix_web::test]
async fn a_repetition_gets_the_first_answer() {
    let lab = Lab::usual().await;
    let send = |body: Value| lab.send(posting("/v1/events", &body).insert_header(("Idempotency-Key", "k-1")));
    let first = send(flood(10)).await;
    let again = send(flood(10)).await;
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!((again.status, &again.body["event_id"]), (202, &first.body["event_id"]));
    let other = send(flood(11)).await;
    assert_eq!((other.status, other.problem()), (422, "idempotency-mismatch"));
    assert_eq!(lab.store.all_events().len(), 1);
}

#[actix_web::test]
async fn what_is_refused_before_it_is_an_event_is_answered_again_to_its_key() {
    let lab = Lab::usual().await;
    let send = |body: Value| {
        let key = body.to_string().chars().filter(char::is_ascii_alphanumeric).take(200).collect::<String>();
        lab.send(posting("/v1/events", &body).insert_header(("Idempotency-Key", key)))
    };
    let with = |member: &str, value: &str| {
        let mut body = flood(10);
        body[member] = json!(value);
        body
    };
    let cases = [
        (with("vector", "nonsense"), "unknown-vector"),
        (with("vector", "no name at all!"), "unknown-vector"),
        (with("source", "operator:eve"), "not-allowed"),
    ];
    for (number, (body, problem)) in cases.into_iter().enumerate() {
        let (first, again) = (send(body.clone()).await, send(body).await);
        assert_eq!((first.status, first.problem()), (422, problem));
        assert_eq!(first.header("idempotency-replayed"), None);
        assert_eq!((again.status, again.problem()), (422, problem));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(
            (&again.body["detail"], &again.body["vectors"]),
            (&first.body["detail"], &first.body["vectors"])
        );
        assert_eq!(lab.audited("reject").len(), number + 1, "refused once");
    }
    assert!(lab.store.all_events().is_empty());
}

#[actix_web::test]
async fn a_refusal_is_repeated_too() {
    let lab = Lab::usual().await;
    let send = || lab.send(posting("/v1/events", &flood(200)).insert_header(("Idempotency-Key", "k")));
    let (first, again) = (send().await, send().await);
    assert_eq!((again.status, again.header("idempotency-replayed")), (422, Some("true")));
    assert_eq!(first.body["event_id"], again.body["event_id"]);
}

#[actix_web::test]
async fn an_unusable_key_is_a_mistake() {
    let lab = Lab::usual().await;
    let seen =
        lab.send(posting("/v1/events", &json!({})).insert_header(("Idempotency-Key", "x".repeat(256)))).await;
    assert_eq!(seen.status, 400);
    assert_eq!(seen.places(), ["Idempotency-Key", "/source", "/victim_ip", "/vector"]);
}

#[actix_web::test]
async fn lists_are_read_page_by_page() {
    let lab = Lab::usual().await;
    for n in 1..=5 {
        lab.post("/v1/events", &flood(n)).await;
    }
    let mut seen_ids = Vec::new();
    let mut uri = "/v1/events?limit=2".to_owned();
    loop {
        let page = lab.get(&uri).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let events = page.body["events"].as_array().unwrap();
        assert_eq!(page.body["count"].as_u64(), Some(events.len() as u64));
        seen_ids.extend(events.iter().map(|event| event["victim_ip"].as_str().unwrap().to_owned()));
        assert_eq!(page.body["has_more"].as_bool(), Some(page.body["next_cursor"].is_string()));
        match page.body["next_cursor"].as_str() {
            Some(cursor) => uri = format!("/v1/events?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen_ids, (1..=5).rev().map(|n| format!("203.0.113.{n}")).collect::<Vec<_>>());
    let filtered = lab.get("/v1/events?victim_ip=%3A%3Affff%3A203.0.113.3&source=fnm&vector=udp_flood").await;
    assert_eq!(filtered.body["count"], 1);
}

#[actix_web::test]
async fn raw_details_come_back_letter_by_letter() {
    let lab = Lab::usual().await;
    let body = r#"{"source": "a", "victim_ip": "203.0.113.1", "vector": "udp_flood", "raw_details": {"n": 1.10, "b": 123456789012345678901}}"#;
    let seen = lab.send(super::lab::raw(actix_web::http::Method::POST, "/v1/events", body)).await;
    let id = seen.body["event_id"].as_str().unwrap();
    let text = lab.get(&format!("/v1/events/{id}")).await.text;
    assert!(text.contains(r#""raw_details":{"n": 1.10, "b": 123456789012345678901}"#), "{text}");
}

#[actix_web::test]
async fn whoever_asks_for_a_dry_run_does_not_get_the_real_thing() {
    let lab = Lab::usual().await;
    let seen = lab.post("/v1/events?dry_run=true", &flood(1)).await;
    assert_eq!((seen.status, seen.places()), (400, vec!["?dry_run"]));
    assert!(lab.store.all_events().is_empty());
}

#[actix_web::test]
async fn what_is_not_stored_is_503() {
    let lab = Lab::usual().await;
    lab.store.set_down(true);
    for (uri, body) in [("/v1/events", flood(1)), ("/v1/events/batch", json!({"events": [flood(1)]}))] {
        let seen = lab.post(uri, &body).await;
        assert_eq!((seen.status, seen.problem()), (503, "storage-unavailable"), "{}", seen.text);
        assert_eq!(seen.header("retry-after"), Some("5"));
        assert!(!seen.text.contains("told to be down"), "causes are for the log");
    }
    lab.store.set_down(false);
    assert!(lab.store.all_events().is_empty());
}

#[actix_web::test]
async fn the_same_key_at_the_same_time_is_one_request() {
    let lab = Lab::usual().await;
    let send = |body: serde_json::Value| {
        lab.send(posting("/v1/events", &body).insert_header(("Idempotency-Key", "race")))
    };
    let seen = futures::future::join_all((0..30).map(|_| send(flood(10)))).await;
    let first = seen[0].body["event_id"].clone();
    assert!(seen.iter().all(|seen| seen.status == 202 && seen.body["event_id"] == first), "{seen:?}");
    let replayed = seen.iter().filter(|seen| seen.header("idempotency-replayed") == Some("true")).count();
    assert_eq!((lab.store.all_events().len(), replayed), (1, 29));
    // with another body it is another request, whoever comes first
    let seen = futures::future::join_all([send(flood(10)), send(flood(11)), send(flood(10))]).await;
    let statuses: Vec<_> = seen.iter().map(|seen| seen.status).collect();
    assert_eq!(statuses, [202, 422, 202]);
}
