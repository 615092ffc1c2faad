//! Whatever arrives, the answer is a refusal that helps: never a 5xx, never a dead daemon, never a rule.

use crate::test_network::{Network, NetworkBuilder, RawAnswer, discard, udp_flood};
use serde_json::{Value, json};
use std::collections::HashSet;

const JSON: &str = "Content-Type: application/json\r\n";

/// One bad request, and what its refusal must be like.
struct Bad {
    name: &'static str,
    method: &'static str,
    path: String,
    headers: &'static str,
    body: Vec<u8>,
    status: u16,
    /// What the refusal must name somewhere, so that the sender knows what to mend.
    names: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_bad_input_is_refused_with_a_message_that_helps() {
    refuses_all(Network::with_gobgp_4()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_bad_input_is_refused_with_a_message_that_helps() {
    refuses_all(Network::with_gobgp_4().postgres()).await;
}

async fn refuses_all(network: NetworkBuilder) {
    let net = network.exabgp().start().await;
    let pid = net.daemon.pid();
    let mut wrong = Vec::new();
    for bad in table() {
        match net.raw.request(bad.method, &bad.path, bad.headers, &bad.body).await {
            Ok(answer) => wrong.extend(complaint(&bad, &answer)),
            Err(error) => wrong.push(format!("{}: no answer: {error}", bad.name)),
        }
    }
    assert!(wrong.is_empty(), "\n{}\n{}", wrong.join("\n"), net.daemon.log());

    // A good event is still taken, by the same process, and makes the only rule.
    net.detector.posts(&udp_flood("203.0.113.200")).await;
    net.router().sees(&discard("0120 cb0071c8 038111")).await;
    assert_eq!(net.router().updates().len(), 1, "{:?}", net.router().updates());
    assert_eq!(net.daemon.pid(), pid);
    assert!(!net.daemon.log().contains("panicked"), "{}", net.daemon.log());
}

fn complaint(bad: &Bad, answer: &RawAnswer) -> Option<String> {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let problem = answer.json();
    let told = |what: &str| Some(format!("{}: {what}: {} {text}", bad.name, answer.status));
    if answer.status != bad.status {
        return told(&format!("not {}", bad.status));
    }
    if !answer.head.contains("content-type: application/problem+json") {
        return told("no problem document");
    }
    if problem["status"] != json!(answer.status) || problem["error"] != problem["detail"] {
        return told("not the document of RFC 9457 and the contract");
    }
    if problem["detail"].as_str().is_none_or(str::is_empty) || problem["instance"].as_str().is_none() {
        return told("without detail or request id");
    }
    if answer.status == 400 && problem["errors"].as_array().is_none_or(Vec::is_empty) {
        return told("a 400 names each mistake in `errors`");
    }
    if !text.contains(bad.names) {
        return told(&format!("does not name `{}`", bad.names));
    }
    None
}

fn table() -> Vec<Bad> {
    let rows = [events(), malformed(), batches(), other_endpoints()].concat_all();
    let names: HashSet<_> = rows.iter().map(|bad| bad.name).collect();
    assert_eq!(names.len(), rows.len(), "every row has a name of its own");
    rows
}

trait ConcatAll {
    fn concat_all(self) -> Vec<Bad>;
}

impl<const N: usize> ConcatAll for [Vec<Bad>; N] {
    fn concat_all(self) -> Vec<Bad> {
        self.into_iter().flatten().collect()
    }
}

fn post(name: &'static str, path: &str, body: impl Into<Vec<u8>>, status: u16, names: &'static str) -> Bad {
    Bad { name, method: "POST", path: path.to_owned(), headers: JSON, body: body.into(), status, names }
}

fn get(name: &'static str, path: &str, status: u16, names: &'static str) -> Bad {
    Bad { name, method: "GET", path: path.to_owned(), headers: "", body: Vec::new(), status, names }
}

/// A good event with one member changed.
fn event(name: &'static str, member: &str, value: Value, status: u16, names: &'static str) -> Bad {
    let mut document = udp_flood("203.0.113.10").document("netflow");
    document[member] = value;
    post(name, "/v1/events", document.to_string(), status, names)
}

/// A good event without a member.
fn event_without(name: &'static str, member: &str, status: u16) -> Bad {
    let mut document = udp_flood("203.0.113.10").document("netflow");
    document.as_object_mut().unwrap().remove(member);
    let names = if member == "source" { "source" } else { "vi" };
    post(name, "/v1/events", document.to_string(), status, if member == "vector" { "vector" } else { names })
}

/// Events whose members are wrong one by one.
fn events() -> Vec<Bad> {
    vec![
        event_without("no source", "source", 400),
        event_without("no victim", "victim_ip", 400),
        event_without("no vector", "vector", 400),
        event("empty source", "source", json!(""), 400, "/source"),
        event("long source", "source", json!("s".repeat(1025)), 400, "/source"),
        event("source of another type", "source", json!(7), 400, "/source"),
        event("source of an operator", "source", json!("operator:eve"), 422, "operator:"),
        event("NUL in the source", "source", json!("net\u{0}flow"), 400, "/source"),
        event("NUL in the event id", "event_id", json!("a\u{0}b"), 400, "/event_id"),
        event("empty event id", "event_id", json!(""), 400, "/event_id"),
        event("long event id", "event_id", json!("e".repeat(1025)), 400, "/event_id"),
        event("a network as victim", "victim_ip", json!("203.0.113.0/24"), 400, "/victim_ip"),
        event("a zone id", "victim_ip", json!("fe80::1%eth0"), 400, "/victim_ip"),
        event(
            "a mapped address with a zone id",
            "victim_ip",
            json!("::ffff:203.0.113.10%1"),
            400,
            "/victim_ip",
        ),
        event("a name as victim", "victim_ip", json!("example.net"), 400, "/victim_ip"),
        event("a number as victim", "victim_ip", json!(3_405_803_786_u32), 400, "/victim_ip"),
        event("leading zeros", "victim_ip", json!("203.000.113.010"), 400, "/victim_ip"),
        event("unknown vector", "vector", json!("quantum_flood"), 422, "udp_flood"),
        event("empty vector", "vector", json!(""), 400, "/vector"),
        event("vector with a NUL", "vector", json!("udp\u{0}flood"), 400, "/vector"),
        event("vector of another type", "vector", json!(["udp_flood"]), 400, "/vector"),
        event("port 0", "top_dst_ports", json!([0]), 400, "/top_dst_ports/0"),
        event("port 65536", "top_dst_ports", json!([80, 65_536]), 400, "/top_dst_ports/1"),
        event("negative port", "top_dst_ports", json!([-1]), 400, "/top_dst_ports/0"),
        event("half a port", "top_dst_ports", json!([53.5]), 400, "/top_dst_ports/0"),
        event("port as text", "top_dst_ports", json!(["53"]), 400, "/top_dst_ports/0"),
        event("one port, no list", "top_dst_ports", json!(53), 400, "/top_dst_ports"),
        event(
            "10,000 ports",
            "top_dst_ports",
            json!((1..=10_000).collect::<Vec<_>>()),
            400,
            "/top_dst_ports",
        ),
        event("confidence 7", "confidence", json!(7), 400, "/confidence"),
        event("confidence -1", "confidence", json!(-1), 400, "/confidence"),
        event("confidence as text", "confidence", json!("NaN"), 400, "/confidence"),
        event("negative bps", "bps", json!(-1), 400, "/bps"),
        event("fractional bps", "bps", json!(1.5), 400, "/bps"),
        event("bps beyond the range", "bps", json!(9_223_372_036_854_775_808_u64), 400, "/bps"),
        event("pps as text", "pps", json!("1e6"), 400, "/pps"),
        event("unknown action", "action", json!("explode"), 400, "/action"),
        event("protocol 256", "protocol", json!(256), 400, "/protocol"),
        event("unknown protocol", "protocol", json!("sctp!"), 400, "/protocol"),
        event("protocol against the vector", "protocol", json!("tcp"), 422, "semantic"),
        event("year -9000", "timestamp", json!("-9000-01-01T00:00:00Z"), 400, "/timestamp"),
        event("year +262000", "timestamp", json!("+262000-01-01T00:00:00Z"), 400, "/timestamp"),
        event("year 1969", "timestamp", json!("1969-12-31T23:59:59Z"), 400, "/timestamp"),
        event("month 13", "timestamp", json!("2026-13-01T00:00:00Z"), 400, "/timestamp"),
        event("seconds as time", "timestamp", json!(1_795_364_796), 400, "/timestamp"),
        event("no time zone", "timestamp", json!("2026-11-22T00:00:00"), 400, "/timestamp"),
    ]
}

/// Bodies that are no JSON, or too much of it.
fn malformed() -> Vec<Bad> {
    let valid = udp_flood("203.0.113.10").document("netflow").to_string();
    let open = valid.trim_end_matches('}');
    let deep = format!("{open},\"raw_details\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let deep_objects = format!("{open},\"raw_details\":{}1{}}}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let large = format!("{open},\"raw_details\":\"{}\"}}", "x".repeat(2 << 20));
    let mut not_utf8 = valid.clone().into_bytes();
    not_utf8.extend(b"\xff");
    let utf16: Vec<u8> = valid.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let events = "/v1/events";
    let mut rows = vec![
        post("empty body", events, "", 400, "JSON"),
        post("not JSON", events, "victim_ip=203.0.113.10", 400, "JSON"),
        post("half of a document", events, &valid.as_bytes()[..40], 400, "JSON"),
        post("something after the document", events, format!("{valid} {valid}"), 400, "JSON"),
        post("a list", events, format!("[{valid}]"), 400, "object"),
        post("null", events, "null", 400, "object"),
        post("bytes that are no UTF-8", events, not_utf8, 400, "UTF-8"),
        post("UTF-16", events, utf16, 400, "JSON"),
        post("NUL bytes", events, vec![0; 64], 400, "JSON"),
        post("NUL within the document", events, valid.replace("netflow", "net\u{0}flow"), 400, "JSON"),
        post("half of a surrogate pair", events, valid.replace("netflow", "\\ud800"), 400, "JSON"),
        post("confidence NaN", events, valid.replace("0.9", "NaN"), 400, "JSON"),
        post("confidence 1e999", events, valid.replace("0.9", "1e999"), 400, "out of range"),
        post("a member twice", events, format!("{open},\"source\":\"sflow\"}}"), 400, "source"),
        post(
            "a nested member twice",
            events,
            format!("{open},\"raw_details\":{{\"a\":1,\"a\":2}}}}"),
            400,
            "a",
        ),
        post("5,000 lists deep", events, deep, 400, "JSON"),
        post("5,000 objects deep", events, deep_objects, 400, "JSON"),
        post("two megabytes", events, large, 413, "1"),
    ];
    rows.push(Bad {
        headers: "Content-Type: text/plain\r\n",
        ..post("plain text", events, valid.clone(), 415, "application/json")
    });
    rows.push(Bad { headers: "", ..post("no content type", events, valid, 415, "application/json") });
    rows
}

fn batches() -> Vec<Bad> {
    let one = udp_flood("203.0.113.10").document("netflow");
    let batch = |events: Vec<Value>| json!({ "events": events }).to_string();
    let path = "/v1/events/batch";
    vec![
        post("empty batch", path, batch(Vec::new()), 400, "/events"),
        post("batch of 101", path, batch(vec![one; 101]), 400, "/events"),
        post("batch without events", path, "{}", 400, "events"),
        post("batch of something else", path, json!({"events": {"a": 1}}).to_string(), 400, "/events"),
    ]
}

fn other_endpoints() -> Vec<Bad> {
    let manual = |changes: Value| {
        let mut document = json!({
            "reason": "test", "victim_ip": "203.0.113.10", "protocol": "udp", "action": "discard", "ttl_seconds": 60,
        });
        let all = document.as_object_mut().unwrap();
        all.extend(changes.as_object().unwrap().clone());
        all.retain(|_, value| !value.is_null());
        document.to_string()
    };
    let path = "/v1/mitigations";
    let nobody = "/v1/mitigations/00000000-0000-4000-8000-000000000000";
    let mut rows = vec![
        post("a rule without reason", path, manual(json!({"reason": null})), 400, "reason"),
        post("a rule that polices without rate", path, manual(json!({"action": "police"})), 400, "rate_bps"),
        post("a rule with an unknown action", path, manual(json!({"action": "nuke"})), 400, "/action"),
        post(
            "a rule with host bits",
            path,
            manual(json!({"dst_prefix": "203.0.113.1/24"})),
            400,
            "/dst_prefix",
        ),
        post(
            "a rule beside its victim",
            path,
            manual(json!({"dst_prefix": "198.51.100.0/24"})),
            400,
            "dst_prefix",
        ),
        post("a rule for everything", path, manual(json!({"dst_prefix": "0.0.0.0/0"})), 422, "guardrail"),
        post(
            "a rule for a whole network",
            path,
            manual(json!({"dst_prefix": "203.0.113.0/24"})),
            422,
            "prefix_length",
        ),
        post("a rule about flags without TCP", path, manual(json!({"tcp_flags": ["syn"]})), 422, "semantic"),
        post(
            "a rule with impossible flags",
            path,
            manual(json!({"protocol": "tcp", "tcp_flags": ["syn", "!syn"]})),
            422,
            "semantic",
        ),
        post(
            "more ports than a rule may hold",
            path,
            manual(json!({"dst_ports": (1..=40).collect::<Vec<_>>()})),
            422,
            "max_ports",
        ),
        post(
            "a rule with ports and without protocol",
            path,
            manual(json!({"protocol": "any", "dst_ports": [53]})),
            422,
            "semantic",
        ),
        post("a rule longer than a day", path, manual(json!({"ttl_seconds": 86_401})), 422, "ttl"),
        post("a rule for no time", path, manual(json!({"ttl_seconds": 0})), 422, "ttl"),
        post("a withdrawal without reason", &format!("{nobody}/withdraw"), "{}", 400, "reason"),
        post("a withdrawal of nothing", &format!("{nobody}/withdraw"), r#"{"reason": "x"}"#, 404, "00000000"),
        post(
            "a bulk withdrawal of none",
            "/v1/mitigations/withdraw",
            r#"{"mitigation_ids": [], "reason": "x"}"#,
            400,
            "/mitigation_ids",
        ),
        post(
            "a safelist entry with host bits",
            "/v1/safelist",
            r#"{"prefix": "203.0.113.1/24"}"#,
            400,
            "/prefix",
        ),
        post("a safelist entry of nothing", "/v1/safelist", "{}", 400, "prefix"),
        get("unknown path", "/v1/nowhere", 404, "/openapi.json"),
        get("path outside the API", "/etc/passwd", 404, "/openapi.json"),
        get("a mitigation that is none", nobody, 404, "00000000"),
        get("an id that is none", "/v1/mitigations/17", 400, "17"),
        get("unknown status", "/v1/mitigations?status=sleeping", 400, "?status"),
        get("limit 0", "/v1/mitigations?limit=0", 400, "?limit"),
        get("limit 1001", "/v1/events?limit=1001", 400, "?limit"),
        get("limit as word", "/v1/events?limit=many", 400, "?limit"),
        get("a cursor of another list", "/v1/events?cursor=AAAA", 400, "?cursor"),
        get("a start that is no time", "/v1/audit?start=yesterday", 400, "?start"),
        get("an acknowledged that is no bool", "/v1/mitigations?acknowledged=maybe", 400, "?acknowledged"),
        get("a victim that is none", "/v1/mitigations?victim_ip=300.0.0.1", 400, "?victim_ip"),
        get("the history of nothing", "/v1/ip/203.0.113.0%2F24/history", 400, "203.0.113.0/24"),
        get("a series that is none", "/v1/stats/timeseries?metric=moods", 400, "?metric"),
        get("a bucket too small", "/v1/stats/timeseries?metric=events&bucket=1s", 400, "?bucket"),
    ];
    rows.push(Bad { method: "DELETE", ..get("deleting events", "/v1/events", 405, "GET") });
    rows.push(Bad { method: "PATCH", ..get("patching a mitigation", nobody, 405, "GET") });
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() {
    let net = Network::with_gobgp_4().exabgp().start().await;
    let body = udp_flood("203.0.113.10").document("netflow").to_string();
    let mapped = body.replace("203.0.113.10", "::ffff:203.0.113.10");
    let answer = net.raw.post("/v1/events", mapped.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.json());
    net.router().sees(&discard("0120 cb00710a 038111")).await;
    let listed = net.raw.get("/v1/mitigations?victim_ip=203.0.113.10").await.unwrap().json();
    assert_eq!(listed["mitigations"][0]["victim_ip"], "203.0.113.10");
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_in_the_details_of_an_event_is_kept_as_it_is() {
    for network in [Network::with_gobgp_4(), Network::with_gobgp_4().postgres()] {
        let net = network.start().await;
        let details = json!({"nul": "a\u{0}b", "big": 1e300, "text": "\u{10FFFF}", "deep": [[[[{}]]]]});
        let mut document = udp_flood("203.0.113.10").document("netflow");
        document["raw_details"] = details.clone();
        let answer = net.raw.post("/v1/events", document.to_string().as_bytes()).await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.json());
        let id = answer.json()["event_id"].as_str().unwrap().to_owned();
        let stored = net.raw.get(&format!("/v1/events/{id}")).await.unwrap();
        assert_eq!(stored.json()["raw_details"], details);
    }
}
