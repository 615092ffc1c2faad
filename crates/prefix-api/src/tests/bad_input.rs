//! Whatever is sent: never a 5xx, always a message that helps, nothing announced.

use actix_web::http::Method;
use actix_web::test;
use actix_web::web::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};

use super::lab::{Lab, flood, raw, rule};

const ID: &str = "7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11";

/// Every endpoint that reads a body, with one that it accepts.
fn posts() -> Vec<(String, Value)> {
    vec![
        (
            "/v1/events".to_owned(),
            json!({"timestamp": "2026-01-01T00:00:00Z", "source": "a", "victim_ip": "203.0.113.10",
            "vector": "udp_flood", "protocol": "udp", "bps": 1, "pps": 2, "top_dst_ports": [53], "confidence": 0.5,
            "action": "ban", "event_id": "e", "raw_details": {"a": [1]}}),
        ),
        ("/v1/events/batch".to_owned(), json!({"events": [flood(1), flood(2)]})),
        ("/v1/mitigations".to_owned(), rule(10)),
        (format!("/v1/mitigations/{ID}/withdraw"), json!({"reason": "r"})),
        ("/v1/mitigations/withdraw".to_owned(), json!({"mitigation_ids": [ID], "reason": "r"})),
        ("/v1/mitigations/acknowledge".to_owned(), json!({"mitigation_ids": [ID]})),
        (
            "/v1/safelist".to_owned(),
            json!({"prefix": "198.51.100.0/28", "reason": "r", "expires_at": "9999-01-01T00:00:00Z"}),
        ),
        ("/v1/config/reload".to_owned(), json!({})),
    ]
}

#[actix_web::test]
async fn the_bad_input_table() {
    let lab = Lab::usual().await;
    let with = |member: &str, value: &str| {
        let mut event = flood(10);
        event.as_object_mut().unwrap().remove(member);
        let text = event.to_string();
        format!("{},\"{member}\":{value}}}", &text[..text.len() - 1])
    };
    let ports = |list: &str| with("top_dst_ports", list);
    let many = format!("[{}1]", "1,".repeat(9_999));
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let table: Vec<(String, &str)> = vec![
        ("{".to_owned(), ""),
        (String::new(), ""),
        ("null".to_owned(), ""),
        ("[]".to_owned(), ""),
        (deep.clone(), ""),
        (with("raw_details", &deep), ""),
        (with("raw_details", r#"{"a": 1, "a": 2}"#), "/raw_details/a"),
        (with("confidence", "NaN"), ""),
        (with("confidence", "7"), "/confidence"),
        (with("confidence", "-1"), "/confidence"),
        (with("confidence", "\"0.5\""), "/confidence"),
        (with("bps", "-1"), "/bps"),
        (with("bps", "9223372036854775808"), "/bps"),
        (with("bps", "1e99"), "/bps"),
        (with("bps", "1.5"), "/bps"),
        (with("match", "[]"), "/match"),
        (with("match", r#"{"src_ports": ["0-8"]}"#), "/match/src_ports/0"),
        (with("match", r#"{"tcp_flags": ["syn", "!syn"]}"#), "/match/tcp_flags"),
        (with("pps", "\"1\""), "/pps"),
        (ports("[0]"), "/top_dst_ports/0"),
        (ports("[65536]"), "/top_dst_ports/0"),
        (ports("[-1]"), "/top_dst_ports/0"),
        (ports("[\"53-\"]"), "/top_dst_ports/0"),
        (ports("53"), "/top_dst_ports"),
        (ports(&many), "/top_dst_ports"),
        (with("victim_ip", "\"203.0.113.0/24\""), "/victim_ip"),
        (with("victim_ip", "\"2001:db8::/64\""), "/victim_ip"),
        (with("victim_ip", "\"fe80::1%eth0\""), "/victim_ip"),
        (with("victim_ip", "\"203.0.113.010\""), "/victim_ip"),
        (with("victim_ip", "\"\""), "/victim_ip"),
        (with("victim_ip", "null"), "/victim_ip"),
        (with("victim_ip", "3405803786"), "/victim_ip"),
        (with("source", "\"a\\u0000b\""), "/source"),
        (with("source", "\"\""), "/source"),
        (with("source", &format!("\"{}\"", "x".repeat(1025))), "/source"),
        (with("event_id", "\"a\\nb\""), "/event_id"),
        (with("timestamp", "\"-9000-01-01T00:00:00Z\""), "/timestamp"),
        (with("timestamp", "\"+262000-01-01T00:00:00Z\""), "/timestamp"),
        (with("timestamp", "1700000000"), "/timestamp"),
        (with("protocol", "256"), "/protocol"),
        (with("protocol", "\"sctp\""), "/protocol"),
        (with("action", "\"kill\""), "/action"),
        (with("vector", "\"a\\u0000\""), "/vector"),
        (with("a", "1, \"a\": 2"), "/a"),
    ];
    for (body, place) in table {
        let shown: String = body.chars().take(120).collect();
        let seen = lab.send(raw(Method::POST, "/v1/events", body)).await;
        assert_eq!((seen.status, seen.problem()), (400, "bad-request"), "{shown}: {}", seen.text);
        assert_eq!(seen.places(), [place], "{shown}");
        assert!(seen.body["detail"].as_str().unwrap().len() > 10, "{shown}");
        assert!(seen.text.len() < 2_000, "{shown}: {}", seen.text.len());
    }
    assert!(lab.store.all_events().is_empty() && lab.speaker.own_paths().is_empty());
}

#[actix_web::test]
async fn what_only_looks_odd_is_accepted() {
    let lab = Lab::usual().await;
    let mut event = flood(10);
    event["victim_ip"] = json!("::ffff:203.0.113.10/128");
    event["unknown"] = json!({"a": 1});
    event["bps"] = json!(i64::MAX);
    event["protocol"] = Value::Null;
    event["pps"] = json!(2.0);
    event["top_dst_ports"] = json!([65_535, 1, 1, "8000-8010"]);
    let seen = lab.post("/v1/events", &event).await;
    assert_eq!(seen.status, 202, "{}", seen.text);
    let id = seen.body["event_id"].as_str().unwrap();
    let stored = lab.get(&format!("/v1/events/{id}")).await;
    assert_eq!(stored.body["victim_ip"], "203.0.113.10");
    assert_eq!(stored.body["top_dst_ports"], json!([65_535, 1, "8000-8010"]));
    assert_eq!(stored.body["top_dst_ports_json"], r#"[65535,1,"8000-8010"]"#);
    assert_eq!(stored.body["pps"], 2);
    assert_eq!(stored.body["bps"], json!(i64::MAX));
}

#[actix_web::test]
async fn every_endpoint_survives_bodies_of_the_wrong_shape() {
    let lab = Lab::usual().await;
    for (uri, _) in posts().into_iter().filter(|(uri, _)| !uri.ends_with("reload")) {
        for body in
            ["", "null", "[]", "5", "\"x\"", "{", "{\"a\":1,\"a\":1}", "\u{0}", "{\"reason\":\"a\\u0000\"}"]
        {
            let seen = lab.send(raw(Method::POST, &uri, body)).await;
            assert_eq!((seen.status, seen.problem()), (400, "bad-request"), "{uri} {body:?}");
            assert!(!seen.places().is_empty());
        }
        let seen = lab.send(raw(Method::POST, &uri, Bytes::from_static(b"{\"a\":\"\xff\xfe\"}"))).await;
        assert_eq!(seen.status, 400, "{uri}");
    }
}

/// What a member of a valid body becomes.
fn mutation() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "0",
            "::",
            "0.0.0.0/0",
            "::/0",
            "203.0.113.10",
            "203.0.113.0/24",
            "2001:db8:10::1",
            "any",
            "icmp",
            "unban",
            "police",
            "discard",
            "rtbh",
            "redirect",
            "mark",
            "65000:100",
            "syn",
            "!syn",
            "is_fragment",
            "udp_flood",
            "unknown",
            "9999-12-31T23:59:59.999999999Z",
            "1970-01-01T00:00:00Z",
            ID,
        ])
        .prop_map(Value::from),
        prop::collection::vec(any::<i32>().prop_map(Value::from), 0..20).prop_map(Value::from),
        prop::collection::vec(
            prop::sample::select(vec!["syn", "!ack", "is_fragment", "x"]).prop_map(Value::from),
            0..5
        )
        .prop_map(Value::from),
        Just(json!({"min": 1, "max": 70_000})),
        Just(json!({"min": 20, "max": 9_216})),
        Just(json!({"min": 5, "max": 1})),
    ]
}

const NAMES: [&str; 32] = [
    "timestamp",
    "source",
    "victim_ip",
    "vector",
    "protocol",
    "bps",
    "pps",
    "top_dst_ports",
    "confidence",
    "action",
    "event_id",
    "raw_details",
    "events",
    "reason",
    "mitigation_ids",
    "prefix",
    "expires_at",
    "dst_prefix",
    "dst_ports",
    "excluded_dst_ports",
    "src_ports",
    "tcp_flags",
    "fragment",
    "packet_length",
    "dscp",
    "icmp_type",
    "redirect_to",
    "dscp_mark",
    "rate_bps",
    "rate_pps",
    "ttl_seconds",
    "operator_id",
];

const QUERIES: [&str; 8] = [
    "",
    "?explain=true",
    "?dry_run=true",
    "?explain=%00",
    "?dry_run=x",
    "?%",
    "?explain=true&explain=true",
    "?force=true",
];

fn sent() -> impl Strategy<Value = (String, Vec<u8>)> {
    let bytes = prop_oneof![
        1 => (0..posts().len(), prop::collection::vec(any::<u8>(), 0..300)),
        1 => (0..posts().len(), "[\\[\\]{}\",:0-9a-z\\\\ ]{0,200}").prop_map(|(at, text)| (at, text.into_bytes())),
        4 => (0..posts().len(), prop::collection::vec((prop::sample::select(NAMES.to_vec()), mutation()), 0..4))
            .prop_map(|(at, changes)| {
                let mut body = posts()[at].1.clone();
                let object = body.as_object_mut().unwrap();
                object.extend(changes.into_iter().map(|(name, value)| (name.to_owned(), value)));
                (at, body.to_string().into_bytes())
            }),
        1 => (0..posts().len(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, index, byte)| {
            let mut bytes = posts()[at].1.to_string().into_bytes();
            let place = index.index(bytes.len());
            bytes[place] = byte;
            (at, bytes)
        }),
    ];
    (bytes, prop::sample::select(QUERIES.to_vec()))
        .prop_map(|((at, bytes), query)| (format!("{}{query}", posts()[at].0), bytes))
}

#[actix_web::test]
async fn no_body_makes_a_fault_of_ours() {
    let lab = Lab::usual().await;
    let app = test::init_service(crate::server::app(lab.api.clone())).await;
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 1, ..ProptestConfig::default() });
    let strategy = sent();
    for _ in 0..3_000 {
        let (uri, body) = strategy.new_tree(&mut runner).unwrap().current();
        let shown = format!("{uri} {}", String::from_utf8_lossy(&body));
        let response = test::call_service(&app, raw(Method::POST, &uri, body).to_request()).await;
        let status = response.status().as_u16();
        assert!(status < 500, "{status}: {shown}");
        let kind = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let bytes = test::read_body(response).await;
        if status >= 400 {
            assert_eq!(kind.as_deref(), Some("application/problem+json"), "{shown}");
            let problem: Value = serde_json::from_slice(&bytes).unwrap();
            assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{shown}");
            assert_eq!(status == 400, problem["errors"].is_array(), "{shown}");
        }
    }
}

#[actix_web::test]
async fn no_query_makes_a_fault_of_ours() {
    let lab = Lab::usual().await;
    let app = test::init_service(crate::server::app(lab.api.clone())).await;
    let names = [
        "limit",
        "cursor",
        "start",
        "end",
        "status",
        "victim_ip",
        "vector",
        "pop",
        "source",
        "metric",
        "range",
        "bucket",
        "action",
    ];
    let values = [
        "",
        "0",
        "-1",
        "%00",
        "%ff",
        "%",
        "+",
        "\u{e9}",
        "99999999999999999999",
        "9999-12-31T23:59:59Z",
        "ffffffffffffffff00000000000000000000000000000000",
        "7fffffffffffffff00000000000000000000000000000000",
        "all",
        "7d",
        "a%2Cb",
    ];
    for path in ["/v1/events", "/v1/mitigations", "/v1/audit", "/v1/stats/timeseries", "/v1/ip/::1/history"] {
        for name in names {
            for value in values {
                let uri = format!("{path}?{name}={value}");
                let Ok(parsed) = uri.parse::<actix_web::http::Uri>() else { continue };
                let request = test::TestRequest::get().uri(&parsed.to_string());
                let response = test::call_service(&app, request.to_request()).await;
                assert!(response.status().as_u16() < 500, "{uri} {}", response.status());
            }
        }
    }
}

/// A variable of a script that was not set means neither "all" nor "for real".
#[actix_web::test]
async fn an_empty_parameter_is_a_mistake() {
    let lab = Lab::usual().await;
    let panic = r#"{"reason":"a drill"}"#;
    for (method, uri, body) in [
        (Method::POST, "/v1/panic?dry_run=", panic),
        (Method::POST, "/v1/panic?dry_run", panic),
        (Method::GET, "/v1/mitigations?victim_ip=", ""),
        (Method::GET, "/v1/mitigations?customer_id=", ""),
        (Method::GET, "/v1/events?source=", ""),
    ] {
        let seen = lab.send(raw(method, uri, body.to_owned())).await;
        assert_eq!(seen.status, 400, "{uri}: {}", seen.text);
        assert!(seen.text.contains("is empty: give it a value, or leave it out"), "{uri}: {}", seen.text);
    }
    let seen = lab.send(raw(Method::GET, "/v1/panic", String::new())).await;
    assert_eq!(seen.body["frozen"], false, "{}", seen.text);
}
