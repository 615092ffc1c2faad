//! A table of mistakes in prefixd.yaml and what is said about each.

use crate::Environment;
use crate::merge::Overrides;
use crate::read::{Reading, Source, read_node};
use crate::settings::{Keys, rules};
use crate::yaml;

const REQUIRED: &str =
    "pop: fra1\nhttp: {auth: {mode: none}}\nbgp: {local_asn: 65010, router_id: 10.0.0.1}\n";

fn said(text: &str) -> Vec<String> {
    let environment =
        Environment::from([("PREFIXD_API_TOKEN".to_owned(), "a-long-enough-shared-secret".to_owned())]);
    let source = Source { file: "prefixd.yaml".to_owned(), text: text.to_owned() };
    let node = yaml::parse(text).unwrap();
    let mut reading: Reading<Keys> = read_node(&source, node, &Overrides::default(), &environment);
    let found = reading.value.as_ref().map(|keys| rules::check(keys, &environment)).unwrap_or_default();
    reading.add(found);
    reading.diagnostics.iter().map(ToString::to_string).collect()
}

/// The required keys and one more section.
fn with(section: &str) -> Vec<String> {
    said(&format!("{REQUIRED}{section}\n"))
}

#[test]
fn the_required_keys_are_enough() {
    assert_eq!(with(""), [""; 0]);
}

#[test]
fn every_missing_required_key_is_named() {
    insta::assert_snapshot!(said("").join("\n"));
}

#[test]
fn each_rule_says_what_is_wrong_and_where() {
    let cases = [
        "mode: enforce",
        "pop2: x",
        "state_dir: [x]",
        "timers: {min_ttl_seconds: 60, max_ttl_seconds: 30}",
        "timers: {default_ttl_seconds: 5}",
        "timers: {correlation_window_seconds: 5}",
        "timers: {max_ttl_seconds: 90000}",
        "guardrails: {min_ttl_seconds: 0}",
        "guardrails: {max_lifetime_seconds: 60}",
        "guardrails: {dst_prefix_minlen: 7}",
        "guardrails: {dst_prefix_minlen: 28, dst_prefix_maxlen: 24}",
        "guardrails: {dst_prefix_minlen_v6: 24}",
        "guardrails: {dst_prefix_maxlen: 300}",
        "guardrails: {protected_prefixes: [192.0.2.1/24, nonsense, '']}",
        "guardrails: {allow_src_prefix_match: true, require_ttl: false}",
        "guardrails: {default_police_rate_bps: 100}",
        "guardrails: {approval: {enabled: true, required_for: [rtbhh]}}",
        "guardrails: {max_ports: 0}",
        "quotas: {max_active_per_pop: 0, max_new_per_minute: -1, max_active_global: many}",
        "quotas: {max_active_per_customer: 600}",
        "escalation: {min_confidence: 7}",
        "escalation: {min_confidence: .nan, step_down: yes}",
        "storage: {url: 'mysql://root:hunter2@db/x'}",
        "storage: {url: 'sqlite://a', connection_string: 'sqlite://b'}",
        "storage: {connection_string: 'sqlite://b'}",
        "storage: {max_connections: 0, retention: {audit_days: 3}}",
        "observability: {log_format: xml, log_level: loud}",
        "observability: {audit_log_path: audit.jsonl}",
        "observability: {metrics_listen: 9090}",
        "observability: {metrics_listen: '127.0.0.1:8080'}",
        "observability: {metrics_listen: ''}",
        "safelist: {prefixes: [203.0.113.7/24]}",
        "shutdown: {drain_timeout_seconds: 99999}",
    ];
    let table: Vec<String> =
        cases.iter().map(|case| format!("{case}\n    {}", with(case).join("\n    "))).collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn the_largest_body_of_a_signal_has_bounds() {
    let with = |bytes: &str| {
        said(&REQUIRED.replace("mode: none}", &format!("mode: none}}, max_signal_body_bytes: {bytes}")))
    };
    for good in ["1048576", "8388608", "67108864"] {
        assert_eq!(with(good), [""; 0], "{good}");
    }
    for bad in ["1048575", "67108865", "-1", "8M"] {
        assert!(
            with(bad).iter().any(|text| text.contains("max_signal_body_bytes")),
            "{bad}: {:?}",
            with(bad)
        );
    }
}

#[test]
fn seconds_beyond_32_bits_are_shown_as_they_are_written() {
    for (section, key, range) in [
        ("timers", "default_ttl_seconds", "1..86400"),
        ("timers", "min_ttl_seconds", "1..86400"),
        ("timers", "max_ttl_seconds", "1..86400"),
        ("timers", "quiet_period_after_withdraw_seconds", "0..86400"),
        ("timers", "flap_hold_seconds", "0..600"),
        ("guardrails", "min_ttl_seconds", "1..86400"),
        ("guardrails", "max_ttl_seconds", "1..86400"),
        ("guardrails", "max_lifetime_seconds", "1..2592000"),
        ("guardrails", "max_lifetime_cooldown_seconds", "0..86400"),
        ("escalation", "min_persistence_seconds", "0..86400"),
        ("escalation", "max_escalated_duration_seconds", "1..86400"),
    ] {
        let said = with(&format!("{section}: {{{key}: 5000000000}}")).join("\n");
        let expected = format!("error prefixd.yaml:4: {section}.{key} must be {range}, not 5000000000");
        assert!(said.contains(&expected) && !said.contains("4294967295"), "{key}: {said}");
    }
    let approval = with("guardrails: {approval: {expires_seconds: 5000000000}}").join("\n");
    assert!(approval.contains("must be 1..604800, not 5000000000"), "{approval}");
}

#[test]
fn the_rules_of_access_and_of_the_speaker_are_said() {
    let cases = [
        "http: {auth: {}}\nbgp: {local_asn: 1, router_id: 10.0.0.1}",
        "http: {auth: {mode: nobody}}\nbgp: {local_asn: 1, router_id: 10.0.0.1}",
        "http: {auth: {mode: credentials}}\nbgp: {local_asn: 1, router_id: 10.0.0.1}",
        "http: {auth: {mode: mtls}}\nbgp: {local_asn: 1, router_id: 10.0.0.1}",
        "http: {auth: {mode: bearer}, tls: {cert_path: a}}\nbgp: {local_asn: 1, router_id: 10.0.0.1}",
        "http: {auth: {mode: bearer, bearer_token_env: MISSING}}\nbgp: {local_asn: 1, router_id: 10.0.0.1}",
        "http: {listen: '0.0.0.0:8080', auth: {mode: none, ldap: {}, radius: null}}\nbgp: {local_asn: 1, router_id: 10.0.0.1}",
        "http: {listen: localhost, cors_origin: '*', auth: {mode: none, mtls_roles: [{match: 'x', role: detector}]}}\nbgp: {local_asn: 1, router_id: 10.0.0.1}",
        "http: {auth: {mode: none}}\nbgp: {local_asn: 0, router_id: 0.0.0.0, gobgp_grpc: localhost, gobgp_api: v5}",
        "http: {auth: {mode: none}}\nbgp: {local_asn: 4294967296, router_id: 10.0.0, owner_tag: 4294967294}",
        "http: {auth: {mode: none}}\nbgp: {local_asn: 1, router_id: 10.0.0.1, mode: mock}\nmode: enforced",
        "http: {auth: {mode: none}}\nbgp: {local_asn: 1, router_id: 10.0.0.1, guard: {mode: off}, max_changes_per_second: 20000}\nmode: enforced",
        "http: {auth: {mode: none}}\nbgp: {local_asn: 1, router_id: 10.0.0.1, communities: ['1:2', '70000:1', FOO], gobgp_tls: {cert: a}}",
        "http: {auth: {mode: none}}\nbgp: {local_asn: 1, router_id: 10.0.0.1, communities: ['1:2:3', '1:8956:3', '1:2:3:4']}",
        "http: {auth: {mode: none}}\nbgp: {local_asn: 1, router_id: 10.0.0.1, communities: ['1:8954:3', '2:8956:3', '1:8956:3']}",
        "http: {auth: {mode: none}}\nbgp: {local_asn: 1, router_id: 10.0.0.1, rtbh_targets: {transit: {communities: []}, Exchange: {communities: ['1:2']}}}",
        "http: {auth: {mode: none}}\nbgp: {local_asn: 1, router_id: 10.0.0.1, rtbh_targets: {transit: {communities: ['1:8956:3'], next_hop_v4: 0.0.0.0}, exchange: {comunities: ['1:2']}}}",
        "http: {auth: {mode: none}}\nbgp: {local_asn: 1, router_id: 10.0.0.1, speakers: []}",
        "http: {auth: {mode: none}}\nbgp: {local_asn: 1, router_id: 10.0.0.1, gobgp_grpc: 'a:1', gobgp_api: v3, gobgp_tls: {ca: x}, speakers: [{name: rs1, gobgp_grpc: 'a:1'}]}",
        "http: {auth: {mode: none}}\nbgp:\n  local_asn: 1\n  router_id: 10.0.0.1\n  speakers:\n    - {name: rs1, gobgp_grpc: 'a:1', gobgp_tls: {cert: c}}\n    - {name: rs1, gobgp_grpc: 'A:1'}\n    - {name: '', gobgp_grpc: 'b:1'}\n    - {nme: rs4, gobgp_grpc: 'unix:///s', gobgp_tls: {ca: c}}",
        "http: {auth: {mode: none}}\nbgp:\n  local_asn: 1\n  router_id: 10.0.0.1\n  speakers:\n    - {name: rs1, gobgp_grpc: 'a:1', gobgp_tls: {cert: c}}\n    - {name: rs1, gobgp_grpc: 'A:1'}\n    - {name: rs4, gobgp_grpc: 'unix:///s', gobgp_tls: {ca: c}}",
        "http: {auth: {mode: none}}\nbgp: {local_asn: 1, router_id: 10.0.0.1, speakers: [{name: rs1, gobgp_grpc: 'a:1'}, {name: rs2, gobgp_grpc: 'b:1', gobgp_api: v4}]}",
        "http: {auth: {mode: none}}\nbgp:\n  local_asn: 1\n  router_id: 10.0.0.1\n  neighbors:\n    - {name: a, address: 192.0.2.1, peer_asn: 0, password_env: X}\n    - {name: a, address: 192.0.2.1, peer_asn: 1, afi_safi: [ipv4-flow]}\n    - {name: a, adress: 192.0.2.1, peer_asn: 1}\n    - {name: '', address: 192.0.2.1, peer_asn: 1}",
        "http: {auth: {mode: none}}\nbgp:\n  local_asn: 1\n  router_id: 10.0.0.1\n  neighbors:\n    - {name: a, address: 192.0.2.1, peer_asn: 1, profile: junos}\n    - {name: b, address: 192.0.2.2, peer_asn: 1, profile: frr, max_entries: 0}\n    - {name: c, address: 192.0.2.3, peer_asn: 1, profile: iosxr, max_entries: 30}\n    - {name: d, address: 192.0.2.4, peer_asn: 1, profile: junos-mx, max_entries: 3000}\n    - {name: e, address: 192.0.2.5, peer_asn: 1, profile: junos-ptx}\n    - {name: f, address: 192.0.2.6, peer_asn: 1, profile: bird}",
    ];
    let table: Vec<String> = cases
        .iter()
        .map(|case| format!("{case}\n    {}", said(&format!("pop: fra1\n{case}\n")).join("\n    ")))
        .collect();
    insta::assert_snapshot!(table.join("\n"));
}
