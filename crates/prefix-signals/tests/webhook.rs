//! Adapters of the configuration: what they read, and what is refused when they are loaded.

use crate::support::{World, now};
use prefix_core::confidence::Confidence;
use prefix_core::event::Report;
use prefix_core::protocol::Protocol;
use prefix_diagnostics::Diagnostic;
use prefix_signals::Item;
use prefix_signals::expression::ExpressionBudget;
use prefix_signals::webhook::{Adapter, AdapterDocument, Auth};
use serde_json::{Value, json};

/// The example of the contract, with what a test changes.
pub(crate) fn document(change: impl FnOnce(&mut Value)) -> AdapterDocument {
    let mut document = json!({
        "name": "radware", "description": "DefensePro", "enabled": true,
        "auth": {"type": "hmac", "secret_env": "RADWARE_SECRET", "header": "X-Signature-SHA256", "algorithm": "sha256"},
        "root_path": "$.alerts[*]",
        "fields": {
            "victim_ip": "$.target.ip", "vector": "$.type", "timestamp": "$.time", "bps": "$.kbps", "pps": "$.pps",
            "confidence": "$.score", "source_id": "$.id", "top_dst_ports": "$.ports", "action": "$.state",
        },
        "vector_map": {"UDP_FLOOD": "udp_flood", "SIP": "sip_flood"},
        "default_vector": "tcp_flood", "confidence_scale": 100, "source_id_prefix": "radware-",
        "transforms": {"bps": {"type": "unit_conversion", "multiplier": 1000}},
    });
    change(&mut document);
    serde_json::from_value(document).unwrap()
}

pub(crate) fn adapter(change: impl FnOnce(&mut Value)) -> Adapter {
    let (adapter, mistakes) =
        document(change).build(|_| Some("secret".to_owned()), &mut ExpressionBudget::default());
    adapter.unwrap_or_else(|| panic!("{mistakes:?}"))
}

pub(crate) fn mistakes(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let (adapter, mistakes) =
        document(change).build(|_| Some("secret".to_owned()), &mut ExpressionBudget::default());
    assert!(adapter.is_none() || !mistakes.iter().any(Diagnostic::is_error));
    mistakes.into_iter().map(|mistake| mistake.text).collect()
}

pub(crate) fn nodes(adapter: &Adapter, body: &Value) -> Vec<Option<Item>> {
    adapter.read(body.to_string().as_bytes(), World::of("radware").context()).unwrap()
}

pub(crate) fn read(adapter: &Adapter, body: &Value) -> Vec<Item> {
    nodes(adapter, body).into_iter().map(Option::unwrap).collect()
}

fn one(adapter: &Adapter, alert: &Value) -> Report {
    read(adapter, &json!({ "alerts": [alert] })).pop().unwrap().unwrap()
}

pub(crate) fn alert(change: impl FnOnce(&mut Value)) -> Value {
    let mut alert = json!({"target": {"ip": "203.0.113.10"}, "type": "UDP_FLOOD"});
    change(&mut alert);
    alert
}

fn near(found: Option<Confidence>, expected: f64) -> bool {
    found.is_some_and(|found| (found.value() - expected).abs() < 1e-9)
}

#[test]
fn every_member_is_read_from_its_place() {
    let report = one(
        &adapter(|_| ()),
        &alert(|alert| {
            alert["time"] = json!("2026-11-22T16:38:03Z");
            alert["kbps"] = json!(1400);
            alert["pps"] = json!(99.6);
            alert["score"] = json!(85);
            alert["id"] = json!(4711);
            alert["ports"] = json!([443, "80/udp", "8000-8010", 443.0]);
        }),
    );
    assert_eq!(report.source.as_str(), "radware");
    assert_eq!(report.vector.unwrap().as_str(), "udp_flood");
    assert_eq!(report.timestamp.to_rfc3339(), "2026-11-22T16:38:03+00:00");
    assert_eq!(report.bps.unwrap().get(), 1_400_000);
    assert_eq!(report.pps.unwrap().get(), 100);
    assert!(near(report.confidence, 0.85));
    assert_eq!(report.external_event_id.unwrap().as_str(), "radware-4711");
    assert_eq!(report.top_dst_ports.to_string(), "443, 80, 8000-8010");
    assert_eq!(report.protocol, Some(Protocol::Udp));
    assert!(report.unread.is_empty());
    assert_eq!(report.reports, None, "how the source reports is for the configuration to say");
}

#[test]
fn only_a_victim_is_required_and_what_cannot_be_read_is_named() {
    let report = one(
        &adapter(|_| ()),
        &alert(|alert| {
            alert["type"] = json!("strange");
            alert["kbps"] = json!("much");
            alert["pps"] = json!(-1);
            alert["time"] = json!("yesterday");
            alert["score"] = json!("surely");
            alert["id"] = json!(null);
            alert["ports"] = json!("");
        }),
    );
    assert_eq!(
        (report.bps, report.pps, report.confidence, report.external_event_id),
        (None, None, None, None)
    );
    assert_eq!(report.timestamp, now());
    assert!(report.top_dst_ports.is_empty());
    let named: Vec<&str> = report.unread.iter().filter_map(|text| text.split(' ').next()).collect();
    assert_eq!(named, ["vector", "bps", "pps", "confidence", "timestamp"], "{:?}", report.unread);
    assert_eq!(report.unread[1], "bps of the report is left out: \"much\" is no number");
    let silent = one(&adapter(|_| ()), &alert(|_| ()));
    assert!(silent.unread.is_empty(), "{:?}", silent.unread);
}

#[test]
fn a_node_may_name_a_whole_prefix_instead_of_an_address() {
    let adapter = adapter(|document| document["fields"]["victim_prefix"] = json!("$.target.net"));
    let of = |target: Value| {
        read(&adapter, &json!({ "alerts": [{ "target": target, "type": "UDP_FLOOD" }] })).pop().unwrap()
    };
    let whole = of(json!({"net": "203.0.113.0/24"})).unwrap();
    assert_eq!(
        (whole.victim_ip.to_string().as_str(), whole.victim_prefix),
        ("203.0.113.0", "203.0.113.0/24".parse().ok())
    );
    let host = of(json!({"ip": "203.0.113.7"})).unwrap();
    assert_eq!((host.victim_ip.to_string().as_str(), host.victim_prefix), ("203.0.113.7", None));
    assert_eq!(of(json!({"net": "203.0.113.7/32"})).unwrap().victim_prefix, None);
    for wrong in [
        json!({"ip": "203.0.113.7", "net": "203.0.113.0/24"}),
        json!({"net": "203.0.113.7/24"}),
        json!({"net": 5}),
    ] {
        assert!(of(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn numbers_and_ports_may_be_texts() {
    let report = one(
        &adapter(|_| ()),
        &alert(|alert| {
            alert["kbps"] = json!("1020000");
            alert["pps"] = json!("2.5e+06");
            alert["score"] = json!("90");
            alert["ports"] = json!("4444,5555");
        }),
    );
    assert_eq!(report.bps.unwrap().get(), 1_020_000_000);
    assert_eq!(report.pps.unwrap().get(), 2_500_000);
    assert!(near(report.confidence, 0.9));
    assert_eq!(report.top_dst_ports.as_slice(), [4444, 5555]);
}

#[test]
fn unreadable_ports_are_an_error_of_a_ban_and_never_keep_an_unban_away() {
    let item = |state: &str, ports: Value| {
        let alert = alert(|alert| (alert["state"], alert["ports"]) = (json!(state), ports));
        read(
            &adapter(|document| document["fields"]["action"] = json!("$.state")),
            &json!({"alerts": [alert]}),
        )
        .pop()
        .unwrap()
    };
    let error = item("ban", json!("80,http")).unwrap_err().error;
    assert!(error.starts_with("top_dst_ports: \"http\" is no port"), "{error}");
    assert!(item("ban", json!([80, 0])).is_err());
    let unban = item("unban", json!("80,http")).unwrap();
    assert!(unban.unread[0].starts_with("top_dst_ports"), "{:?}", unban.unread);
    let fragments = item("ban", json!(0)).unwrap();
    assert_eq!(fragments.vector.unwrap().as_str(), "fragment_flood", "counters call them port 0");
    assert!(fragments.top_dst_ports.is_empty());
    assert!(fragments.unread[0].ends_with("udp_flood counts as fragment_flood"), "{:?}", fragments.unread);
    assert_eq!(item("unban", json!(0)).unwrap().vector, None, "whatever it was reported as");
}

/// Where ports do not count, those that nobody can read are named and no reason to lose the attack.
#[test]
fn garbage_among_ports_that_do_not_count_is_named() {
    for kind in ["icmp_flood", "dns_amplification", "fragment_flood"] {
        let report = one(
            &adapter(|_| ()),
            &alert(|alert| (alert["type"], alert["ports"]) = (json!(kind), json!("80,http"))),
        );
        assert_eq!(report.vector.unwrap().as_str(), kind);
        assert!(
            report.unread[0].starts_with("top_dst_ports of the report is left out"),
            "{:?}",
            report.unread
        );
    }
}

/// Kinds of attack without ports, for which counters write 0 as well.
#[test]
fn port_0_says_nothing_of_packets_without_ports() {
    let report = one(
        &adapter(|_| ()),
        &alert(|alert| (alert["type"], alert["ports"]) = (json!("ICMP-flood"), json!("0/udp"))),
    );
    assert_eq!(report.vector.unwrap().as_str(), "icmp_flood");
    assert!(report.unread[0].contains("0 is no port, and icmp_flood has none"), "{:?}", report.unread);
}

#[test]
fn several_words_for_the_kind_are_one_that_is_known_and_the_rest_is_named() {
    let listed = adapter(|document| document["fields"]["vector"] = json!("$.type[*]"));
    for (adapter, value) in [
        (adapter(|_| ()), json!(["odd", "SYN flood", "UDP flood"])),
        (listed, json!(["odd", "SYN flood", "UDP flood"])),
    ] {
        let report = one(&adapter, &alert(|alert| alert["type"] = value));
        assert_eq!(report.vector.unwrap().as_str(), "syn_flood");
        assert_eq!(report.unread.len(), 2, "{:?}", report.unread);
        assert!(
            report.unread[1].contains("\"UDP flood\" stands beside \"SYN flood\""),
            "{:?}",
            report.unread
        );
    }
}

#[test]
fn a_confidence_in_percent_is_one_whatever_the_scale() {
    for scale in [json!(100), json!(null)] {
        let adapter = adapter(|document| document["confidence_scale"] = scale.clone());
        let report = one(&adapter, &alert(|alert| alert["score"] = json!(" 95 %")));
        assert!(near(report.confidence, 0.95), "{:?}", report.confidence);
        assert!(report.unread.is_empty(), "{:?}", report.unread);
    }
}

#[test]
fn a_word_becomes_a_vector_by_map_by_itself_or_by_default() {
    let (full, bare) = (adapter(|_| ()), adapter(|document| document["default_vector"] = json!(null)));
    let vector = |adapter: &Adapter, word: Value| {
        one(adapter, &alert(|alert| alert["type"] = word)).vector.unwrap().to_string()
    };
    assert_eq!(vector(&full, json!("UDP_FLOOD")), "udp_flood");
    assert_eq!(vector(&full, json!("syn_flood")), "syn_flood");
    assert_eq!(vector(&full, json!("strange")), "tcp_flood");
    assert_eq!(vector(&full, json!(null)), "tcp_flood");
    assert_eq!(vector(&full, json!("SIP")), "tcp_flood", "the map names a vector that nobody defines");
    assert_eq!(vector(&bare, json!("strange")), "unknown");
    let extracting = adapter(|document| {
        document["transforms"] =
            json!({"vector": {"type": "regex_extract", "pattern": "attack=([a-z_]+)", "group": 1}});
    });
    assert_eq!(vector(&extracting, json!("x attack=icmp_flood y")), "icmp_flood");
}

#[test]
fn confidence_is_scaled_clamped_or_a_word_of_the_configuration() {
    let adapter = adapter(|_| ());
    let confidence = |score: Value| {
        let body = json!({"alerts": [alert(|alert| alert["score"] = score)]}).to_string();
        let world = World::of("radware").mapping("high", 0.8);
        adapter.read(body.as_bytes(), world.context()).unwrap().pop().flatten().unwrap().unwrap().confidence
    };
    assert!(near(confidence(json!(40)), 0.4));
    assert!(near(confidence(json!(4000)), 1.0));
    assert!(near(confidence(json!(-3)), 0.0));
    assert!(near(confidence(json!("high")), 0.8));
    assert!(near(confidence(json!("40")), 0.4));
    assert_eq!(confidence(json!("low")), None);
}

#[test]
fn transforms_compute_and_take_apart() {
    let adapter = adapter(|document| {
        document["transforms"] = json!({
            "bps": {"type": "computed", "paths": ["$.pps", "$.size"], "scale": 8},
            "pps": {"type": "unit_conversion", "multiplier": 2},
            "confidence": {"type": "regex_extract", "pattern": "([0-9]+) of 100", "group": 1},
        });
    });
    let full = alert(|alert| {
        alert["pps"] = json!(10);
        alert["size"] = json!(100);
        alert["score"] = json!("73 of 100");
    });
    let report = one(&adapter, &full);
    assert_eq!((report.bps.unwrap().get(), report.pps.unwrap().get()), (8_000, 20));
    assert!(near(report.confidence, 0.73));
    let report = one(&adapter, &alert(|alert| alert["pps"] = json!(10)));
    assert_eq!(report.bps, None, "a factor is missing");
}

#[test]
fn a_bad_item_does_not_spoil_the_others() {
    let body = json!({"alerts": [
        alert(|_| ()), {"id": "x"}, alert(|alert| alert["target"] = json!({"ip": 5})),
        alert(|alert| { alert["target"] = json!({"ip": "203.0.113.0/24"}); alert["id"] = json!("e"); }),
        alert(|alert| alert["state"] = json!("kill")), alert(|alert| alert["state"] = json!("unban")),
        alert(|alert| alert["id"] = json!("a\u{0}b")),
    ]});
    let items = read(&adapter(|_| ()), &body);
    let good: Vec<bool> = items.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, false, false, false, true, false]);
    let bad = items[3].as_ref().unwrap_err();
    assert_eq!(bad.external_event_id.as_ref().unwrap().as_str(), "radware-e");
    assert!(bad.error.contains("203.0.113.0/24"), "{}", bad.error);
    assert_eq!(items[4].as_ref().unwrap_err().error, "action: must be ban or unban, not \"kill\"");
}

#[test]
fn nothing_extracted_is_said() {
    let read = |adapter: &Adapter, body: &str| {
        adapter.read(body.as_bytes(), World::of("radware").context()).unwrap_err().text
    };
    let rooted = adapter(|_| ());
    assert!(read(&rooted, "{").starts_with("the body is no JSON"));
    assert_eq!(read(&rooted, "{}"), "nothing is at root_path of adapter radware");
    assert_eq!(read(&rooted, r#"{"alerts":[{},{}]}"#), "nothing is at fields.victim_ip of adapter radware");
    let many = format!(r#"{{"alerts":[{}0]}}"#, "0,".repeat(10_000));
    assert_eq!(read(&rooted, &many), "has 10001 items, at most 10000 are read at once");
    let whole = adapter(|document| document["root_path"] = json!(null));
    assert_eq!(read(&whole, "[]"), "nothing is at fields.victim_ip of adapter radware");
}

#[test]
fn the_whole_body_is_one_event_without_root_path_and_kept_as_it_came() {
    let adapter = adapter(|document| document["root_path"] = json!(null));
    let text = "{\"target\": {\"ip\":  \"2001:0db8:000b::0010\"}, \"n\": 1.10}";
    let items = adapter.read(text.as_bytes(), World::of("radware").context()).unwrap();
    let report = items[0].as_ref().unwrap().as_ref().unwrap();
    assert_eq!(report.victim_ip.to_string(), "2001:db8:b::10");
    assert_eq!(report.raw_details.as_deref(), Some(text));
}

#[test]
fn every_mistake_is_found_when_the_adapter_is_loaded() {
    assert!(mistakes(|_| ()).is_empty());
    let all = mistakes(|document| {
        document["name"] = json!("Rad Ware");
        document["auth"]["timestamp_header"] = json!("X Time");
        document["root_path"] = json!("alerts[*]");
        document["fields"]["victim_ip"] = json!("$.target[");
        document["confidence_scale"] = json!(0);
        document["transforms"] = json!({
            "bps": {"type": "unit_conversion", "multiplier": -1},
            "pps": {"type": "computed", "paths": []},
            "confidence": {"type": "regex_extract", "pattern": "(", "group": 0},
            "vector": {"type": "computed", "paths": ["$.a"]},
        });
    });
    let keys: Vec<&str> = all.iter().map(|text| text.split(": ").next().unwrap()).collect();
    assert_eq!(
        keys,
        [
            "name",
            "auth",
            "auth.timestamp_header",
            "confidence_scale",
            "root_path",
            "fields.victim_ip",
            "transforms.bps",
            "transforms.pps",
            "transforms.confidence",
            "transforms.vector"
        ],
        "{all:#?}"
    );
    let group = mistakes(|document| {
        document["transforms"] = json!({"vector": {"type": "regex_extract", "pattern": "(a)", "group": 2}});
    });
    assert_eq!(group, ["transforms.vector: group 2 does not exist, the pattern has groups 0 to 1"]);
}

#[test]
fn a_secret_comes_from_the_environment_and_must_be_there() {
    for value in [None, Some(String::new())] {
        let (adapter, mistakes) = document(|_| ()).build(|_| value.clone(), &mut ExpressionBudget::default());
        assert!(adapter.is_none());
        assert_eq!(mistakes[0].path, "auth.secret_env".into());
        assert!(mistakes[0].text.contains("RADWARE_SECRET is not set"), "{}", mistakes[0].text);
    }
    let (_, found) = document(|document| document["enabled"] = json!(false))
        .build(|_| None, &mut ExpressionBudget::default());
    assert!(found.is_empty(), "{found:?}");
    let found = mistakes(|document| document["auth"] = json!({"type": "hmac"}));
    assert!(found[0].contains("needs secret_env"), "{found:?}");
    let (adapter, found) = document(|document| document["auth"] = json!({"type": "none"}))
        .build(|_| None, &mut ExpressionBudget::default());
    assert!(matches!(adapter.unwrap().auth(), Auth::None));
    assert!(!found[0].is_error() && found[0].text.contains("for labs only"), "{found:?}");
}

/// Payloads and paths that cost much together: refused as a whole, in a moment, with what helps.
#[test]
fn a_payload_over_which_the_paths_take_too_long_is_refused() {
    let adapter = adapter(|document| {
        document["root_path"] = json!("$..alerts[*]");
        document["fields"]["vector"] = json!("$..[?count($..*) < 0]");
    });
    let mut alerts = vec![json!({"target": {"ip": "203.0.113.10"}}); 100];
    alerts[0]["ballast"] = vec![0; 10_000].into();
    let payload = json!({ "alerts": alerts }).to_string();
    let refused = adapter.read(payload.as_bytes(), World::of("radware").context()).unwrap_err();
    assert!(
        refused.text.contains("adapter radware takes more than") && refused.text.contains("filters"),
        "{refused}"
    );
}

#[test]
fn nodes_that_are_found_again_and_again_do_not_multiply_the_payload() {
    let adapter = adapter(|document| document["root_path"] = json!("$.alerts[0,0,0,0,0,0]"));
    let alert = alert(|alert| alert["text"] = "x".repeat(100_000).into());
    let payload = json!({ "alerts": [alert] }).to_string();
    let refused = adapter.read(payload.as_bytes(), World::of("radware").context()).unwrap_err();
    assert!(refused.text.contains("more than 4 times the payload"), "{refused}");
}

#[test]
fn expressions_that_explode_are_refused_with_their_key_when_they_are_loaded() {
    let parentheses = format!("$[?{}@.a{}]", "(".repeat(1000), ")".repeat(1000));
    let filters = format!("${}x{}", "[?@.a".repeat(60), "]".repeat(60));
    for (path, part) in [(&parentheses, "at most 512 are accepted"), (&filters, "nested deeper than 6")] {
        let said = mistakes(|document| document["fields"]["bps"] = json!(path));
        assert!(said[0].starts_with("fields.bps: ") && said[0].contains(part), "{said:?}");
    }
    for (pattern, part) in [(r"\w{9}{9}{9}", "KiB of memory"), ("((((a{50}){50}){50}){50})", "KiB of memory")]
    {
        let said = mistakes(|document| {
            document["transforms"]["vector"] = json!({"type": "regex_extract", "pattern": pattern});
        });
        assert!(said[0].starts_with("transforms.vector: ") && said[0].contains(part), "{said:?}");
    }
    let said = mistakes(|document| {
        document["transforms"]["bps"] = json!({"type": "computed", "paths": vec!["$.a"; 17]});
    });
    assert!(said[0].contains("17 paths, at most 16"), "{said:?}");
}

#[test]
fn the_adapters_of_a_configuration_share_one_budget() {
    let mut budget = ExpressionBudget::default();
    let mut accepted = 0;
    let refused = loop {
        let document = document(|document| {
            document["transforms"]["vector"] = json!({"type": "regex_extract", "pattern": r"\w{5}"});
        });
        match document.build(|_| Some("secret".to_owned()), &mut budget) {
            (Some(_), _) => accepted += 1,
            (None, mistakes) => break mistakes,
        }
    };
    assert!((5..200).contains(&accepted), "{accepted}");
    assert!(refused[0].text.contains("KiB of memory together"), "{refused:?}");
}
