//! Signal groups, as people read them.

use serde_json::{Value, json};

use super::lab::{Lab, flood};

#[actix_web::test]
async fn a_group_shows_who_said_what() {
    let lab = Lab::weighing().await;
    let held = lab.post("/v1/events", &flood(10)).await;
    let id = held.body["signal_group_id"].as_str().unwrap();
    let seen = lab.get(&format!("/v1/signal-groups/{id}")).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    let group = &seen.body;
    assert_eq!((&group["victim_ip"], &group["vector"]), (&json!("203.0.113.10"), &json!("udp_flood")));
    assert_eq!((&group["status"], &group["corroboration_met"]), (&json!("open"), &json!(false)));
    assert_eq!((&group["derived_confidence"], &group["source_count"]), (&json!(0.9), &json!(1)));
    assert_eq!((&group["playbook_name"], &group["pop"]), (&json!("floods"), &json!("fra1")));
    assert_eq!(
        group["primary_dimensions"],
        json!({"customer_ids": ["acme"], "pops": ["fra1"], "service_ids": [], "interfaces": []})
    );
    assert!(group.get("mitigation_id").is_none());
    assert_eq!(group["required"], json!({"min_sources": 2, "confidence_threshold": 0.5}));
    assert!(
        group["explanation"].as_str().unwrap().starts_with("1 of 2 sources agree (fnm 0.9)"),
        "{}",
        seen.text
    );
    let signals = group["events"].as_array().unwrap();
    assert_eq!(signals.len(), 1);
    assert_eq!(
        (&signals[0]["group_id"], &signals[0]["event_id"]),
        (&group["group_id"], &held.body["event_id"])
    );
    assert_eq!((&signals[0]["source"], &signals[0]["identity"]), (&json!("fnm"), &json!("fnm")));
    assert_eq!((&signals[0]["source_weight"], &signals[0]["is_corroborating"]), (&json!(1.0), &json!(false)));
    assert_eq!(signals[0]["confidence"], json!(0.9));
    assert!(signals[0]["ingested_at"].is_string());

    let corroborating =
        lab.post("/v1/signals/corroborator", &json!({"source": "netflow", "customer_id": "acme"})).await;
    let group = lab.get(&format!("/v1/signal-groups/{id}")).await.body;
    assert_eq!((&group["status"], &group["corroboration_met"]), (&json!("resolved"), &json!(true)));
    assert_eq!(group["mitigation_id"], corroborating.body["mitigation_ids"][0]);
    assert_eq!(group["derived_confidence"], json!(0.96));
    assert!(
        group.get("required").is_none() && group.get("explanation").is_none(),
        "it needs nothing any more"
    );
    assert_eq!(
        (&group["events"][1]["event_id"], &group["events"][1]["is_corroborating"]),
        (&corroborating.body["signal_id"], &json!(true))
    );
}

#[actix_web::test]
async fn groups_are_listed_page_by_page_and_filtered() {
    let lab = Lab::weighing().await;
    for n in 1..=3 {
        lab.post("/v1/events", &flood(n)).await;
    }
    let page = lab.get("/v1/signal-groups?limit=2").await;
    assert_eq!((page.status, &page.body["count"], &page.body["has_more"]), (200, &json!(2), &json!(true)));
    assert_eq!(page.body["groups"][0]["victim_ip"], "203.0.113.3");
    assert!(page.body["groups"][0].get("events").is_none(), "signals are shown by id only");
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let rest = lab.get(&format!("/v1/signal-groups?limit=2&cursor={cursor}")).await.body;
    assert_eq!(
        (&rest["groups"][0]["victim_ip"], &rest["next_cursor"]),
        (&json!("203.0.113.1"), &Value::Null)
    );

    let count =
        async |filter: &str| lab.get(&format!("/v1/signal-groups?{filter}")).await.body["count"].clone();
    assert_eq!(count("status=open,expired&vector=udp_flood&victim_ip=203.0.113.2").await, 1);
    assert_eq!(count("status=resolved").await, 0);
    assert_eq!(count("vector=syn_flood").await, 0);
    assert_eq!(count("pop=ams1").await, 0);
    assert_eq!(count("pop=all").await, 3);
    let seen = lab.get("/v1/signal-groups?status=open,gone&victim_ip=x&vector=UDP&pop=FRA&limit=0").await;
    assert_eq!(seen.places(), ["?limit", "?status", "?victim_ip", "?vector", "?pop"]);
}

#[actix_web::test]
async fn a_group_that_is_not_there_is_404() {
    let lab = Lab::weighing().await;
    let seen = lab.get("/v1/signal-groups/7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11").await;
    assert_eq!((seen.status, seen.problem()), (404, "not-found"));
    assert_eq!(lab.get("/v1/signal-groups/x").await.places(), ["{id}"]);
}
