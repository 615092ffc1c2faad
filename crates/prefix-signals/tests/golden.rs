//! Payloads as detectors send them, and what is read from them. Those named `made-` are written by hand; the others are
//! captures, or of the vendor's documentation where their name says so.

use crate::support::{World, expect, payloads, shown, shown_items};
use prefix_signals::{alertmanager, fastnetmon};
use serde_json::json;

#[test]
fn alertmanager_is_read_as_it_writes() {
    let world = World::of("alertmanager");
    for (name, payload) in payloads("payloads/alertmanager") {
        let items = alertmanager::read(&payload, world.context()).unwrap();
        expect(&format!("{name}.expected.json"), &shown_items(&items));
    }
}

#[test]
fn fastnetmon_is_read_as_it_writes() {
    let world = World::of("fastnetmon");
    for (name, payload) in payloads("payloads/fastnetmon") {
        let report = fastnetmon::read(&payload, None, world.context()).unwrap();
        expect(&format!("{name}.expected.json"), &shown(&report));
    }
}

/// `startsAt` moves: two Prometheus servers, an attack in pulses.
#[test]
fn the_fingerprint_alone_names_the_episode() {
    let world = World::of("alertmanager");
    let ids = |name: &str| {
        let payload = std::fs::read(crate::support::file(name)).unwrap();
        let items = alertmanager::read(&payload, world.context()).unwrap();
        items.into_iter().map(|item| item.unwrap().external_event_id.unwrap()).collect::<Vec<_>>()
    };
    for name in ["report-a1-1-firing", "report-a1-2-repeat", "report-a1-3-resolved"] {
        assert_eq!(ids(&format!("payloads/alertmanager/{name}.json"))[0].as_str(), "76e1835e58ab43f1");
    }
    let group = ids("payloads/alertmanager/firing-group-of-6.json");
    assert_eq!(group, ids("payloads/alertmanager/mixed-firing-group-2-resolved.json"));
}

#[test]
fn an_alert_without_victim_is_none_though_it_has_an_instance() {
    let world = World::of("alertmanager");
    let read = |labels: &str| {
        let text = format!(r#"{{"version":"4","alerts":[{{"status":"firing","labels":{labels}}}]}}"#);
        alertmanager::read(text.as_bytes(), world.context()).unwrap().pop().unwrap()
    };
    let down = read(r#"{"alertname":"InstanceDown","instance":"203.0.113.20:9100"}"#).unwrap_err();
    assert!(down.error.contains("counts only in an alert that names a vector"), "{}", down.error);
    for labels in [
        r#"{"alertname":"udp_flood","instance":"203.0.113.20:9100"}"#,
        r#"{"alertname":"x","vector":"syn_flood","instance":"203.0.113.20:9100"}"#,
    ] {
        assert_eq!(read(labels).unwrap().victim_ip.to_string(), "203.0.113.20");
    }
    for name in ["DatasourceError", "DatasourceNoData"] {
        let labels = format!(r#"{{"alertname":"{name}","victim_ip":"203.0.113.20","vector":"udp_flood"}}"#);
        assert!(read(&labels).unwrap_err().error.contains("query that failed"), "{name}");
    }
}

/// Annotations and labels say what else the packets share; source ports that cannot be read would make the rule wider.
#[test]
fn what_the_packets_of_an_alert_share_narrows_its_rule() {
    let world = World::of("alertmanager");
    let read = |status: &str, more: &str| {
        let text = format!(
            r#"{{"version":"4","alerts":[{{"status":"{status}","labels":{{"victim_ip":"203.0.113.1","vector":"udp_flood"}},"annotations":{more}}}]}}"#
        );
        alertmanager::read(text.as_bytes(), world.context()).unwrap().remove(0)
    };
    let said = r#"{"src_ports":"53/udp","packet_length":"60-100","fragment":"is-fragment"}"#;
    let report = read("firing", said).unwrap();
    let expected =
        json!({"src_ports": [53], "packet_length": {"min": 60, "max": 100}, "fragment": ["is_fragment"]});
    assert_eq!((serde_json::to_value(&report.matches).unwrap(), report.unread), (expected, vec![]));
    assert_eq!(report.protocol, "udp".parse().ok());
    let flags = read("firing", r#"{"tcp_flags":"SYN,!ack","icmp_type":"8"}"#).unwrap();
    assert_eq!(
        serde_json::to_value(&flags.matches).unwrap(),
        json!({"tcp_flags": ["syn", "!ack"], "icmp_type": [8]})
    );
    for bad in [r#"{"src_ports":"http"}"#, r#"{"src_ports":"0"}"#] {
        assert!(read("firing", bad).unwrap_err().error.starts_with("src_ports: "), "{bad}");
        assert_eq!(read("resolved", bad).unwrap().unread.len(), 1, "an end always passes");
    }
    let two = read("firing", r#"{"src_ports":"53/udp","top_dst_ports":"80/tcp"}"#).unwrap_err();
    assert!(two.error.contains("is of tcp, and src_ports is of udp"), "{}", two.error);
    let odd =
        read("firing", r#"{"packet_length":"long","tcp_flags":"christmas","icmp_type":"echo"}"#).unwrap();
    assert_eq!((odd.matches.is_empty(), odd.unread.len()), (true, 3), "{:?}", odd.unread);
    let fragments = read("firing", r#"{"top_dst_ports":"0"}"#).unwrap();
    assert!(fragments.unread[0].ends_with("udp_flood counts as fragment_flood"), "{:?}", fragments.unread);
    assert_eq!(
        read("resolved", r#"{"top_dst_ports":"0"}"#).unwrap().vector,
        None,
        "whatever it was reported as"
    );
}

#[test]
fn details_are_kept_as_they_came() {
    let world = World::of("alertmanager");
    let text = r#"{"version":"4","alerts":[{"labels":{"victim_ip" : "203.0.113.1"}, "x": 1.10}]}"#;
    let items = alertmanager::read(text.as_bytes(), world.context()).unwrap();
    let details = items[0].as_ref().unwrap().raw_details.as_deref();
    assert_eq!(details, Some(r#"{"labels":{"victim_ip" : "203.0.113.1"}, "x": 1.10}"#));
}

#[test]
fn what_is_no_webhook_of_version_4_is_malformed() {
    let world = World::of("alertmanager");
    for (text, pointer) in [
        ("{", ""),
        ("[]", ""),
        ("5", ""),
        (r#"{"alerts":[{}]}"#, "/version"),
        (r#"{"version":"3","alerts":[{}]}"#, "/version"),
        (r#"{"version":4,"alerts":[{}]}"#, "/version"),
        (r#"{"version":"4"}"#, "/alerts"),
        (r#"{"version":"4","alerts":[]}"#, "/alerts"),
        (r#"{"version":"4","alerts":{}}"#, ""),
    ] {
        assert_eq!(
            alertmanager::read(text.as_bytes(), world.context()).unwrap_err().pointer(),
            pointer,
            "{text}"
        );
    }
}

#[test]
fn severities_are_what_the_configuration_says() {
    let world = World::of("alertmanager").mapping("critical", 0.95).mapping("page", 0.8);
    let confidence = |alert: &str| {
        let text = format!(r#"{{"version":"4","alerts":[{alert}]}}"#);
        let items = alertmanager::read(text.as_bytes(), world.context()).unwrap();
        items[0].as_ref().unwrap().confidence.unwrap().value()
    };
    let labelled = |severity: &str| {
        confidence(&format!(r#"{{"labels":{{"victim_ip":"203.0.113.1","severity":"{severity}"}}}}"#))
    };
    assert!((labelled("critical") - 0.95).abs() < 1e-9);
    assert!((labelled("page") - 0.8).abs() < 1e-9);
    assert!((labelled("warning") - 0.7).abs() < 1e-9);
    assert!((labelled("none") - 0.5).abs() < 1e-9);
    let said =
        r#"{"labels":{"victim_ip":"203.0.113.1","severity":"info"},"annotations":{"confidence":"0.33"}}"#;
    assert!((confidence(said) - 0.33).abs() < 1e-9);
    assert!((confidence(&said.replace("0.33", "33")) - 0.5).abs() < 1e-9, "out of range is not given");
}

#[test]
fn fastnetmon_without_what_it_must_have_is_malformed() {
    let world = World::of("fastnetmon");
    for (text, action, pointer) in [
        ("{", None, ""),
        ("[]", None, ""),
        ("{}", None, "/ip"),
        (r#"{"ip":5}"#, None, "/ip"),
        (r#"{"ip":"203.0.113.0/24"}"#, None, "/ip"),
        (r#"{"ip":"203.0.113.1","attack_details":[]}"#, None, "/attack_details"),
        (r#"{"ip":"203.0.113.1","action":"kill"}"#, None, "/action"),
        (r#"{"ip":"203.0.113.1","action":1}"#, None, "/action"),
        (r#"{"ip":"203.0.113.1"}"#, Some("attack_details"), "?action"),
        (r#"{"ip":"203.0.113.1","alert_scope":"host"}"#, None, "/action"),
        (
            r#"{"ip":"203.0.113.1","action":"ban","attack_details":{"attack_uuid":5}}"#,
            None,
            "/attack_details/attack_uuid",
        ),
    ] {
        let malformed = fastnetmon::read(text.as_bytes(), action, world.context()).unwrap_err();
        assert_eq!(malformed.pointer(), pointer, "{text}");
    }
}

fn details(more: &str) -> String {
    format!(r#"{{"ip":"203.0.113.1","action":"ban","alert_scope":"host","attack_details":{{{more}}}}}"#)
}

#[test]
fn a_placeholder_of_a_direction_hides_no_real_one() {
    let world = World::of("fastnetmon");
    let reach = |more: &str| {
        let report = fastnetmon::read(details(more).as_bytes(), None, world.context()).unwrap();
        format!("{:?}", report.reach)
    };
    let threshold = "attack_detection_threshold_direction";
    for (members, expected) in [
        (format!(r#""{threshold}":"unknown","attack_direction":"outgoing""#), "Outgoing"),
        (format!(r#""{threshold}":"","attack_direction":"outgoing""#), "Outgoing"),
        (format!(r#""{threshold}":"sideways","attack_direction":"Outgoing""#), "Outgoing"),
        (format!(r#""{threshold}":null,"attack_direction":"outgoing""#), "Outgoing"),
        (format!(r#""{threshold}":"incoming","attack_direction":"outgoing""#), "Full"),
        (format!(r#""{threshold}":"other","attack_direction":"outgoing""#), "Full"),
        (r#""attack_direction":"internal""#.to_owned(), "Full"),
        (
            r#""attack_direction":"unknown","total_outgoing_pps":5,"total_incoming_pps":0"#.to_owned(),
            "Outgoing",
        ),
        (r#""total_outgoing_pps":5,"incoming_udp_pps":1"#.to_owned(), "Full"),
        (r#""total_outgoing_pps":5,"total_incoming_pps":"many""#.to_owned(), "Full"),
        (r#""total_outgoing_pps":0,"total_incoming_pps":0"#.to_owned(), "Full"),
        (r#""attack_direction":"incoming","total_outgoing_pps":5"#.to_owned(), "Full"),
        (String::new(), "Full"),
    ] {
        assert_eq!(reach(&members), expected, "{members}");
    }
}

#[test]
fn an_attack_that_goes_on_is_of_whatever_was_reported_and_as_sure_as_its_ban() {
    let mapped = World::of("fastnetmon").mapping("ban", 0.8).mapping("partial_block", 0.6);
    let status = details(r#""attack_uuid":"u""#).replace("\"ban\"", "\"attack_status\"");
    let report = fastnetmon::read(status.as_bytes(), None, mapped.context()).unwrap();
    assert_eq!((report.vector, format!("{:?}", report.action)), (None, "Ban".to_owned()));
    assert!((report.confidence.unwrap().value() - 0.8).abs() < 1e-9);
    let counted = status.replace("\"u\"", "\"u\",\"incoming_udp_pps\":7");
    let report = fastnetmon::read(counted.as_bytes(), None, World::of("fastnetmon").context()).unwrap();
    assert_eq!(report.vector.unwrap().as_str(), "udp_flood");
    assert!((report.confidence.unwrap().value() - 0.9).abs() < 1e-9);
}

#[test]
fn an_attack_uuid_of_zeros_is_none() {
    let world = World::of("fastnetmon");
    let zeros = details(r#""attack_uuid":"00000000-0000-0000-0000-000000000000""#);
    assert_eq!(fastnetmon::read(zeros.as_bytes(), None, world.context()).unwrap().external_event_id, None);
}

/// What all rules agree on narrows, and what cannot be read is never left out in silence.
#[test]
fn the_rules_that_came_along_narrow_where_they_agree() {
    let world = World::of("fastnetmon");
    let read = |ip: &str, counters: &str, rules: &str| {
        let text = format!(
            r#"{{"ip":"{ip}","action":"ban","alert_scope":"host","attack_details":{{{counters}}},"flow_spec_rules":{rules}}}"#
        );
        fastnetmon::read(text.as_bytes(), None, world.context())
    };
    let (syn, udp) = (r#""incoming_tcp_pps":9,"incoming_syn_tcp_pps":9"#, r#""incoming_udp_pps":9"#);
    let rule = |destination: &str, protocol: &str, ports: &str| {
        format!(
            r#"{{"destination_prefix":"{destination}","protocols":["{protocol}"],"destination_ports":{ports}}}"#
        )
    };
    let host = "203.0.113.1/32";
    let ports = |counters: &str, rules: &[String]| {
        let rules = format!("[{}]", rules.join(","));
        read("203.0.113.1", counters, &rules).unwrap().top_dst_ports.to_string()
    };
    assert_eq!(ports(syn, &[rule(host, "tcp", "[443,80]"), rule(host, "tcp", "[80,443]")]), "443, 80");
    assert_eq!(ports(syn, &[rule(host, "tcp", "[443]"), rule(host, "tcp", "[80]")]), "");
    assert_eq!(ports(syn, &[rule(host, "tcp", "[443]"), rule(host, "tcp", "[]")]), "");
    assert_eq!(ports(udp, &[rule(host, "tcp", "[443]")]), "", "of another protocol than what was counted");
    assert_eq!(ports(syn, &[rule("203.0.113.2/32", "tcp", "[443]")]), "", "of another address");
    // without the ports the rule would be for every protocol and all of them
    let of_both = format!("[{},{}]", rule(host, "tcp", "[443]"), rule(host, "udp", "[443]"));
    assert!(read("203.0.113.1", "", &of_both).is_err());
    assert!(read("203.0.113.1", "", r#"[{"destination_ports":[443]}]"#).is_err());
    assert_eq!(
        ports(udp, &[rule("203.0.113.0/24", "udp", "[443]")]),
        "443",
        "of a network around the address"
    );
    let odd = read("203.0.113.1", udp, &format!("[{}]", rule("203.0.113.1/33", "udp", "[443]"))).unwrap();
    assert!(odd.unread[0].contains("203.0.113.1/33"), "{:?}", odd.unread);
    let matched = |counters: &str, more: &str| {
        let rule = rule(host, "tcp", "[443]").replace('}', &format!(",{more}}}"));
        let report = read("203.0.113.1", counters, &format!("[{rule}]")).unwrap();
        (serde_json::to_value(&report.matches).unwrap(), report.unread.len())
    };
    for (counters, more, expected, unread) in [
        (syn, r#""tcp_flags":["syn"]"#, json!({"tcp_flags": ["syn"]}), 0),
        (r#""incoming_tcp_pps":9"#, r#""tcp_flags":["syn"]"#, json!({}), 1),
        (syn, r#""tcp_flags":["christmas"]"#, json!({}), 1),
        (
            syn,
            r#""source_ports":[53],"packet_lengths":[60,80]"#,
            json!({"src_ports": [53], "packet_length": {"min": 60, "max": 80}}),
            0,
        ),
        (syn, r#""packet_lengths":[1]"#, json!({}), 1),
        (syn, r#""fragmentation_flags":["dont-fragment"]"#, json!({"fragment": ["dont_fragment"]}), 0),
        (syn, r#""source_prefix":"198.51.100.7/32","vlans":[5]"#, json!({}), 0),
    ] {
        assert_eq!(matched(counters, more), (expected, unread), "{counters} {more}");
    }
    for bad in [r#"["443a"]"#, "[0,443]", "[70000]", "true"] {
        let refused = read("203.0.113.1", syn, &format!("[{}]", rule(host, "tcp", bad))).unwrap_err();
        assert_eq!(refused.pointer(), "/flow_spec_rules/0/destination_ports", "{bad}");
        let over = format!(
            r#"{{"ip":"203.0.113.1","action":"partial_unblock","attack_details":{{}},"flow_spec_rules":[{}]}}"#,
            rule(host, "tcp", bad)
        );
        assert!(fastnetmon::read(over.as_bytes(), None, world.context()).is_ok(), "an end always passes");
    }
    let two = format!("[{},{}]", rule(host, "tcp", "[1]"), rule("203.0.113.2/32", "tcp", "[1]"));
    for (ip, rules) in
        [("0.0.0.0", two.as_str()), ("::", "[]"), ("", r#"[{"destination_prefix":"203.0.113.0/24"}]"#)]
    {
        assert_eq!(read(ip, syn, rules).unwrap_err().pointer(), "/ip", "{ip} {rules}");
    }
    let named = read("0.0.0.0", "", &format!("[{}]", rule(host, "tcp", "[1]"))).unwrap();
    assert_eq!((named.victim_ip.to_string(), named.protocol), ("203.0.113.1".to_owned(), "tcp".parse().ok()));
}

#[test]
fn the_action_of_the_body_wins_over_that_of_the_address() {
    let world = World::of("fastnetmon");
    let read = |text: &str, action| {
        let report = fastnetmon::read(text.as_bytes(), action, world.context()).unwrap();
        format!("{:?}", report.action)
    };
    assert_eq!(read(r#"{"ip":"203.0.113.1"}"#, None), "Ban");
    assert_eq!(read(r#"{"ip":"203.0.113.1"}"#, Some("unban")), "Unban");
    assert_eq!(read(r#"{"ip":"203.0.113.1","action":"ban"}"#, Some("unban")), "Ban");
}

/// What is there and cannot be read is named, and an end is taken whatever came along with it.
#[test]
fn what_fastnetmon_says_oddly_is_named_and_never_loses_an_end() {
    let world = World::of("fastnetmon");
    let read = |action: &str, details: &str| {
        let text = format!(
            r#"{{"ip":"203.0.113.1","action":"{action}","alert_scope":"host","attack_details":{details}}}"#
        );
        fastnetmon::read(text.as_bytes(), None, world.context())
    };
    for odd in [
        r#"{"incoming_udp_pps":"1k"}"#,
        r#"{"total_incoming_traffic_bits":"8M"}"#,
        r#"{"attack_start":"yesterday"}"#,
        r#"{"attack_type":"bogus"}"#,
        r#"{"attack_type":["x","y"]}"#,
        r#"{"attack_direction":"sideways"}"#,
    ] {
        assert_eq!(read("ban", odd).unwrap().unread.len(), 1, "{odd}");
    }
    let fragments = read("ban", r#"{"attack_type":"IP_FRAGMENTATION_FLOOD"}"#).unwrap();
    assert_eq!(fragments.vector.unwrap().as_str(), "fragment_flood");
    for details in [r#"{"attack_uuid":5}"#, "[]", r#""""#] {
        assert_eq!(
            read("unban", details).unwrap().unread.len(),
            usize::from(details.contains('5')),
            "{details}"
        );
        assert!(read("ban", details).is_err(), "{details}");
    }
    let goes_on = read("attack_status", "{}").unwrap();
    assert_eq!((goes_on.vector, goes_on.protocol), (None, None));
}
