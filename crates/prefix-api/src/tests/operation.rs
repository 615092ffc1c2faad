//! Health, counts, configuration, audit.

use std::time::{Duration, Instant};

use prefix_diagnostics::{Diagnostic, Place};
use serde_json::{Value, json};

use super::lab::{Lab, flood};
use crate::{ConfigChange, ReloadAnswer, ReloadError};

#[actix_web::test]
async fn health_has_three_depths() {
    let lab = Lab::usual().await;
    assert_eq!(lab.get("/v1/health").await.body["ready"], false, "nobody has asked storage yet");
    assert_eq!(lab.get("/v1/health/ready").await.body, json!({"ready": true}));
    let seen = lab.get("/v1/health").await;
    assert_eq!(
        seen.body,
        json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "auth_mode": "none", "ready": true,
               "login": {"password": false, "oidc": false}})
    );

    let detail = lab.get("/v1/health/detail").await;
    for member in [
        "status",
        "version",
        "pop",
        "mode",
        "uptime_seconds",
        "bgp_sessions",
        "active_mitigations",
        "pending_mitigations",
        "withdraw_stuck",
        "foreign_rules",
        "database",
        "gobgp",
        "guard",
        "leader",
        "panic",
        "config_loaded_at",
        "auth_mode",
        "problems",
    ] {
        assert!(detail.body.get(member).is_some(), "{member}");
    }
    assert_eq!(detail.body["database"], "connected");
    assert_eq!((&detail.body["pop"], &detail.body["mode"]), (&json!("fra1"), &json!("enforced")));
    assert_eq!(detail.body["panic"], json!({"frozen": false}));
    assert_eq!(detail.body["guard"], json!({"mode": "off", "alive": false}));
    assert_eq!(detail.body["leader"]["pop"], "fra1");
    let deadline = Instant::now() + Duration::from_secs(20);
    while lab.get("/v1/health/detail").await.body["leader"]["is_leader"] != true {
        assert!(Instant::now() < deadline, "nobody leads");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(lab.get("/v1/health/detail").await.body["leader"]["instance"].is_string());

    lab.store.set_down(true);
    let seen = lab.get("/v1/health/ready").await;
    assert_eq!((seen.status, seen.problem()), (503, "storage-unavailable"));
    assert_eq!(seen.body["ready"], false);
    assert_eq!(lab.get("/v1/health").await.body["ready"], false);
    let detail = lab.get("/v1/health/detail").await;
    assert_eq!((detail.status, detail.body["status"].as_str()), (200, Some("degraded")), "{}", detail.text);
}

#[actix_web::test]
async fn counts_add_up() {
    let lab = Lab::usual().await;
    lab.post("/v1/events", &flood(10)).await;
    lab.post("/v1/events", &flood(200)).await;
    let stats = lab.get("/v1/stats").await;
    assert_eq!(
        stats.body,
        json!({"total_active": 1, "total_mitigations": 2, "total_events": 2, "pops": [{"pop": "fra1", "active": 1, "total": 2}]})
    );
    let pops = lab.get("/v1/pops").await;
    assert_eq!(pops.body, json!([{"pop": "fra1", "active_mitigations": 1, "total_mitigations": 2}]));
}

#[actix_web::test]
async fn a_series_has_no_gaps() {
    let lab = Lab::usual().await;
    lab.post("/v1/events", &flood(10)).await;
    let seen = lab.get("/v1/stats/timeseries?metric=events").await;
    let buckets = seen.body["buckets"].as_array().unwrap();
    assert_eq!((seen.body["metric"].as_str(), buckets.len()), (Some("events"), 24), "{}", seen.text);
    assert_eq!(buckets.iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum::<u64>(), 1);
    assert_eq!(buckets[23]["count"], 1);
    assert_eq!(
        lab.get("/v1/stats/timeseries?range=7d&bucket=5m").await.body["buckets"].as_array().unwrap().len(),
        2016
    );
    for (query, place) in [
        ("metric=x", "?metric"),
        ("range=8d", "?range"),
        ("bucket=1m", "?bucket"),
        ("range=1h&bucket=2h", "?bucket"),
        ("range=1h&range=2h", "?range"),
    ] {
        let seen = lab.get(&format!("/v1/stats/timeseries?{query}")).await;
        assert_eq!((seen.status, seen.places()), (400, vec![place]), "{query}");
    }
}

#[actix_web::test]
async fn an_address_has_a_history() {
    let lab = Lab::usual().await;
    lab.post("/v1/events", &flood(53)).await;
    let seen = lab.get("/v1/ip/%3A%3Affff%3A203.0.113.53/history?limit=5").await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!(seen.body["ip"], "203.0.113.53");
    assert_eq!(
        seen.body["customer"],
        json!({"customer_id": "acme", "name": "ACME Corp", "policy_profile": "normal"})
    );
    assert_eq!(seen.body["service"], json!({"service_id": "dns", "name": "DNS"}));
    assert_eq!(seen.body["events"].as_array().unwrap().len(), 1);
    assert_eq!(seen.body["mitigations"].as_array().unwrap().len(), 1);
    let foreign = lab.get("/v1/ip/192.0.2.1/history").await;
    assert!(foreign.body.get("customer").is_none());
    let bad = lab.get("/v1/ip/203.0.113.0%2F24/history?limit=0").await;
    assert_eq!((bad.status, bad.places()), (400, vec!["{ip}"]));
}

#[actix_web::test]
async fn peers_are_a_short_list() {
    let lab = Lab::usual().await;
    let seen = lab.get("/v1/peers").await;
    assert_eq!(seen.body["count"].as_u64(), Some(seen.body["peers"].as_array().unwrap().len() as u64));
}

#[actix_web::test]
async fn the_configuration_is_shown_as_the_daemon_says() {
    let lab = Lab::usual().await;
    assert_eq!(lab.get("/v1/config/settings").await.body["settings"]["pop"], "fra1");
    assert_eq!(lab.get("/v1/config/inventory").await.body["total_customers"], 0);
    assert_eq!(lab.get("/v1/config/playbooks").await.body["total_playbooks"], 0);
}

#[actix_web::test]
async fn a_reload_is_whole_or_not_at_all() {
    let lab = Lab::usual().await;
    let answer = ReloadAnswer {
        reloaded: vec!["playbooks.yaml".into()],
        restart_required: vec!["http.listen".into()],
        changes: vec![ConfigChange {
            file: "playbooks.yaml".into(),
            path: "x".into(),
            old: Value::Null,
            new: json!(1),
        }],
        ..ReloadAnswer::default()
    };
    *lab.config.next.lock().unwrap() = Some(Ok(answer.clone()));
    let seen = lab.send(actix_web::test::TestRequest::post().uri("/v1/config/reload?force=true")).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!(seen.body["reloaded"], json!(["playbooks.yaml"]));
    assert_eq!(seen.body["restart_required"], json!(["http.listen"]));
    assert!(seen.body["timestamp"].is_string() && seen.body.get("changes").is_none());

    *lab.config.next.lock().unwrap() = Some(Ok(answer));
    let dry = lab.send(actix_web::test::TestRequest::post().uri("/v1/config/reload?dry_run=true")).await;
    assert_eq!(
        dry.body["result"]["changes"][0],
        json!({"file": "playbooks.yaml", "path": "x", "old": null, "new": 1})
    );
    assert_eq!(*lab.config.asked.lock().unwrap(), [(true, false), (false, true)]);

    let finding = Diagnostic::shape("", "unknown key \"ttl_second\"").at(Place::line("playbooks.yaml", 14));
    *lab.config.next.lock().unwrap() = Some(Err(ReloadError::Invalid(vec![finding])));
    let bad = lab.send(actix_web::test::TestRequest::post().uri("/v1/config/reload")).await;
    assert_eq!((bad.status, bad.problem(), bad.places()), (422, "config-invalid", vec!["playbooks.yaml:14"]));
    assert_eq!(lab.audited("reject")[0].details["errors"][0]["pointer"], "playbooks.yaml:14");
}

#[actix_web::test]
async fn who_did_what_is_listed() {
    let lab = Lab::usual().await;
    lab.send(
        super::lab::posting("/v1/mitigations", &super::lab::rule(10))
            .insert_header(("x-request-id", "my-request")),
    )
    .await;
    let seen = lab.get("/v1/audit?action=announce").await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    let entry = &seen.body["entries"][0];
    for member in [
        "audit_id",
        "seq",
        "timestamp",
        "schema_version",
        "actor_type",
        "action",
        "details",
        "prev_hash",
        "hash",
    ] {
        assert!(entry.get(member).is_some(), "{member}");
    }
    assert_eq!(
        (entry["actor_type"].as_str(), entry["actor_id"].as_str()),
        (Some("operator"), Some("anonymous"))
    );
    assert_eq!(entry["details"]["request_id"], "my-request");
    assert_eq!(entry["timestamp"].as_str().unwrap().len(), "2026-01-01T00:00:00.000000Z".len());
    let bad = lab.get("/v1/audit?action=anounce&target_id=%00").await;
    assert_eq!((bad.status, bad.places()), (400, vec!["?action", "?target_id"]));
}

#[actix_web::test]
async fn the_document_is_served() {
    let lab = Lab::usual().await;
    let seen = lab.get("/openapi.json").await;
    assert_eq!((seen.status, seen.body["openapi"].as_str()), (200, Some("3.1.0")));
}
