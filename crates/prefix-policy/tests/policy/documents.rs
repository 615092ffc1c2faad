//! Documents say everything that is wrong with them at once, with the place.

use prefix_core::flowspec::Action;
use prefix_core::rtbh::{RtbhTarget, RtbhTargets, TargetSet, United};
use prefix_diagnostics::{Diagnostic, Severity};
use prefix_policy::{Guardrails, InventoryDocument, Playbooks, PlaybooksDocument, Vectors};
use serde_json::{Value, json};

use crate::lab;

fn inventory(document: Value) -> Vec<String> {
    let document: InventoryDocument = serde_json::from_value(document).unwrap();
    texts(document.build(&Guardrails::default()).map(|built| built.warnings))
}

fn playbooks(document: Value) -> Vec<String> {
    let document: PlaybooksDocument = serde_json::from_value(document).unwrap();
    let document_of_world: InventoryDocument = serde_json::from_value(lab::inventory()).unwrap();
    let known = document_of_world.build(&Guardrails::default()).unwrap().value;
    texts(document.build(&Guardrails::default(), Some(&known)).map(|built| built.warnings))
}

fn texts(built: Result<Vec<Diagnostic>, Vec<Diagnostic>>) -> Vec<String> {
    match built {
        Ok(warnings) => {
            assert!(warnings.iter().all(|finding| finding.severity == Severity::Warning));
            warnings.iter().map(ToString::to_string).collect()
        }
        Err(findings) => {
            assert!(findings.iter().any(Diagnostic::is_error));
            findings.iter().map(ToString::to_string).collect()
        }
    }
}

#[test]
fn a_clean_inventory_has_nothing_to_say() {
    assert!(inventory(lab::inventory()).is_empty());
}

#[test]
fn every_mistake_of_an_inventory_is_found_at_once() {
    let found = inventory(json!({ "customers": [
        { "customer_id": "a", "prefixes": ["192.0.2.0/24", "192.0.2.0/24"], "services": [
            { "service_id": "s", "assets": [
                { "ip": "192.0.2.1" }, { "ip": "192.0.2.1" },
                { "ip": "192.0.2.8", "range_end": "192.0.2.15" }, { "ip": "192.0.2.12" },
                { "ip": "198.51.100.1" },
                { "ip": "192.0.2.20", "range_end": "192.0.2.16" },
                { "ip": "192.0.2.30", "range_end": "2001:db8::1" },
            ], "allowed_ports": { "udp": [0] } },
            { "service_id": "s" },
        ]},
        { "customer_id": "a", "prefixes": ["192.0.2.0/24"] },
    ]}));
    let expected = [
        "error /customers/0/services/0/allowed_ports/udp: ports are from 1 to 65535, not 0",
        "error /customers/0/services/1/service_id: service_id \"s\" stands twice in customer \"a\"",
        "error /customers/1/customer_id: customer_id \"a\" stands here a second time, each customer needs its own",
        "error /customers/0/prefixes/1: prefix 192.0.2.0/24 belongs to customer \"a\" already",
        "error /customers/1/prefixes/0: prefix 192.0.2.0/24 belongs to customer \"a\" already",
        "error /customers/0/services/0/assets/4/ip: asset 198.51.100.1 lies in no prefix of customer \"a\"",
        "error /customers/0/services/0/assets/5/range_end: range_end 192.0.2.16 lies before 192.0.2.20",
        "error /customers/0/services/0/assets/6/range_end: range_end 2001:db8::1 is of another address family than 192.0.2.30",
        "error /customers/0/services/0/assets/1/ip: asset 192.0.2.1 stands a second time, first in service \"s\" of customer \"a\"",
        "error /customers/0/services/0/assets/3/ip: asset 192.0.2.12 overlaps the range 192.0.2.8 to 192.0.2.15 in service \"s\" of customer \"a\"",
    ];
    assert_eq!(found, expected);
}

#[test]
fn doubts_about_an_inventory_are_warnings() {
    let many: Vec<u16> = (1..=9).map(|port| port * 10).collect();
    let found = inventory(json!({ "customers": [
        { "customer_id": "wide", "prefixes": ["192.0.2.0/24"] },
        { "customer_id": "long", "prefixes": ["192.0.2.128/25"], "services": [
            { "service_id": "s", "allowed_ports": { "tcp": many } },
        ]},
        { "customer_id": "none" },
        { "customer_id": "all", "prefixes": ["0.0.0.0/0", "10.0.0.0/8", "2000::/3", "2001:db8::/32"] },
    ]}));
    assert_eq!(
        found,
        [
            "warning /customers/1/services/0/allowed_ports/tcp: leaving these ports out of a rule takes 9 port terms, \
         guardrails.max_ports is 8: such rules are split into several, or refused where these are too many; list fewer ports, or raise max_ports",
            "warning /customers/2: customer \"none\" has no prefixes: none of its addresses is protected",
            "warning /customers/3/prefixes/0: prefix 0.0.0.0/0 is shorter than /8: addresses of others count as ours, and \
         reports of them make rules",
            "warning /customers/3/prefixes/2: prefix 2000::/3 is shorter than /19: addresses of others count as ours, and \
         reports of them make rules",
            "warning /customers/0/prefixes/0: prefix 192.0.2.0/24 lies within 0.0.0.0/0 of customer \"all\": the longer \
         prefix wins, its addresses belong to \"wide\"",
            "warning /customers/1/prefixes/0: prefix 192.0.2.128/25 lies within 192.0.2.0/24 of customer \"wide\": the \
         longer prefix wins, its addresses belong to \"long\"",
        ]
    );
}

#[test]
fn an_inventory_without_customers_protects_nothing() {
    let expected = "warning /customers: the inventory has no customers: no address is ours, so nothing is ever mitigated";
    assert_eq!(inventory(json!({ "customers": [] })), [expected]);
    assert_eq!(inventory(json!({})), [expected]);
}

#[test]
fn services_name_ports_and_ranges() {
    let of = |ports: Value| {
        inventory(json!({ "customers": [{ "customer_id": "a", "prefixes": ["192.0.2.0/24"], "services": [
            { "service_id": "s", "allowed_ports": { "tcp": ports } },
        ]}]}))
    };
    assert!(of(json!([53, "5000-5010", "8000-9000"])).is_empty());
    let many: Vec<String> = (1..=9).map(|n| format!("{}-{}", n * 100, n * 100 + 5)).collect();
    assert!(of(json!(many))[0].contains("takes 9 port terms"), "excluded ranges count once each");
}

#[test]
fn a_range_may_span_neighbouring_prefixes_but_not_more_than_65536_addresses() {
    let with = |end: &str| {
        inventory(json!({ "customers": [
            { "customer_id": "a", "prefixes": ["10.0.0.0/17", "10.0.128.0/17", "10.1.0.0/16"], "services": [
                { "service_id": "s", "assets": [{ "ip": "10.0.0.0", "range_end": end }] },
            ]},
        ]}))
    };
    assert!(with("10.0.255.255").is_empty());
    assert_eq!(with("10.1.0.0").len(), 1);
}

#[test]
fn an_exact_asset_beats_a_longer_prefix_and_a_longer_prefix_a_shorter_one() {
    let document: InventoryDocument = serde_json::from_value(json!({ "customers": [
        { "customer_id": "wide", "prefixes": ["192.0.2.0/24"], "services": [
            { "service_id": "s", "assets": [{ "ip": "192.0.2.200", "range_end": "192.0.2.203", "role": "web" }] },
        ]},
        { "customer_id": "long", "prefixes": ["192.0.2.128/25", "2001:db8::/32"] },
    ]})).unwrap();
    let inventory = document.clone().build(&Guardrails::default()).unwrap().value;
    let owner = |ip: &str| {
        inventory
            .lookup(ip.parse().unwrap())
            .map(|owner| (owner.customer_id().to_string(), owner.service_id().map(ToString::to_string)))
    };
    let is = |customer: &str, service: Option<&str>| Some((customer.to_owned(), service.map(str::to_owned)));
    assert_eq!(owner("192.0.2.1"), is("wide", None));
    assert_eq!(owner("192.0.2.129"), is("long", None));
    assert_eq!(owner("192.0.2.200"), is("wide", Some("s")));
    assert_eq!(owner("192.0.2.203"), is("wide", Some("s")));
    assert_eq!(owner("192.0.2.204"), is("long", None));
    assert_eq!(owner("192.0.3.1"), None);
    assert_eq!(owner("2001:db8::1"), is("long", None));
    assert_eq!(owner("::ffff:192.0.2.1"), is("wide", None));
    let asset = inventory.lookup("192.0.2.202".parse().unwrap()).unwrap().asset().unwrap();
    assert_eq!(asset.role.as_deref(), Some("web"));
    assert_eq!(inventory.document(), document);
}

#[test]
fn the_example_of_the_contract_is_a_valid_playbook_document() {
    let text = "
vectors:
  sip_flood: {protocol: udp, dst_ports: [5060], description: SIP signalling}
default_playbook: catch_all
playbooks:
  - name: udp
    match: {vector: [udp_flood, dns_amplification], customer_id: acme}
    correlation: {min_sources: 2, confidence_threshold: 0.6}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 120}
      - {action: discard, ttl_seconds: 300, require_persistence_seconds: 120, require_confidence_at_least: 0.8}
  - name: catch_all
    match: {vector: unknown}
    steps: [{action: police, rate_bps: 100000000, ttl_seconds: 120}]
";
    let document: PlaybooksDocument = serde_saphyr::from_str(text).unwrap();
    let again: PlaybooksDocument = serde_json::from_str(&serde_json::to_string(&document).unwrap()).unwrap();
    assert_eq!(again, document);
    let built = document.build(&Guardrails::default(), None).unwrap();
    assert!(built.warnings.is_empty());
    let playbooks: Playbooks = built.value;
    assert_eq!(playbooks.iter().count(), 2);
    assert_eq!(playbooks.vectors().iter().count(), 42);
}

#[test]
fn every_mistake_of_a_playbook_document_is_found_at_once() {
    let found = playbooks(json!({
        "vectors": {
            "udp_flood": { "protocol": "udp" },
            "odd": { "dst_ports": [80], "tcp_flags": ["syn"], "icmp_type": [8], "dscp": [64],
                     "packet_length": { "min": 10, "max": 90 } },
        },
        "default_playbook": "nowhere",
        "playbooks": [
            { "name": "a", "match": { "vector": ["udp_flood", "nonsense"], "customer_id": "acme", "service_id": [] },
              "correlation": { "min_sources": 0 },
              "steps": [
                { "action": "police", "ttl_seconds": 10, "require_persistence_seconds": 5, "require_confidence_at_least": 0.5 },
                { "action": "police", "rate_bps": 7999, "ttl_seconds": 120, "require_persistence_seconds": 86401 },
                { "action": "discard", "rate_bps": 8000, "ttl_seconds": 3600, "allowed_ports_rate_bps": 10 },
                { "action": "police", "rate_bps": 7, "ttl_seconds": 120 },
                { "action": "redirect", "ttl_seconds": 120, "match": { "src_ports": [0] } },
            ]},
            { "name": "a", "match": { "vector": "nonsense" }, "steps": [] },
        ],
    }));
    let places: Vec<&str> = found.iter().map(|text| text.split_once(": ").unwrap().0).collect();
    let expected = [
        "error /vectors/odd",
        "error /vectors/odd",
        "error /vectors/odd",
        "error /vectors/odd/packet_length",
        "error /vectors/odd/dscp",
        "error /vectors/udp_flood",
        "error /playbooks/0/match/vector/1",
        "error /playbooks/0/match/service_id",
        "error /playbooks/0/correlation/min_sources",
        "error /playbooks/0/steps/0/require_confidence_at_least",
        "error /playbooks/0/steps/0/require_persistence_seconds",
        "error /playbooks/0/steps/0/ttl_seconds",
        "error /playbooks/0/steps/0",
        "error /playbooks/0/steps/1/rate_bps",
        "error /playbooks/0/steps/1/require_persistence_seconds",
        "error /playbooks/0/steps/2/ttl_seconds",
        "error /playbooks/0/steps/2/allowed_ports_rate_bps",
        "error /playbooks/0/steps/2",
        "error /playbooks/0/steps/3/rate_bps",
        "warning /playbooks/0/steps/4/action",
        "error /playbooks/0/steps/4/match/src_ports",
        "error /playbooks/0/steps/4",
        "error /playbooks/1/name",
        "error /playbooks/1/match/vector",
        "error /playbooks/1/steps",
        "error /default_playbook",
    ];
    assert_eq!(places, expected, "{found:#?}");
}

#[test]
fn doubts_about_playbooks_are_warnings() {
    let found = playbooks(json!({ "playbooks": [
        { "name": "a", "match": { "vector": "dns_amplification", "customer_id": ["acme", "acne"], "service_id": "dnz" },
          "steps": [
            { "action": "rtbh", "ttl_seconds": 120 },
            { "action": "discard", "ttl_seconds": 120, "match": { "src_ports": [123] } },
            { "action": "discard", "ttl_seconds": 120, "match": { "dscp": [8] } },
        ]},
    ]}));
    assert_eq!(
        found,
        [
            "warning /playbooks/0/match/customer_id/1: the inventory has no customer \"acne\"",
            "warning /playbooks/0/match/service_id: the inventory has no service \"dnz\"",
            "warning /playbooks/0/steps/0/action: rtbh will be refused while guardrails.allow_rtbh is false",
            "warning /playbooks/0/steps/1/match: with vector \"dns_amplification\" the rule will be refused: vector and \
         step have no source port in common",
            "warning /playbooks/0/steps/2/match/dscp: the rule will be refused while guardrails.allow_dscp_match is false",
        ]
    );
}

#[test]
fn no_playbook_at_all_is_an_error() {
    assert_eq!(playbooks(json!({})), ["error /playbooks: at least one playbook is needed"]);
}

#[test]
fn a_switch_that_makes_vectors_unusable_names_them() {
    let mut guardrails = Guardrails::default();
    assert!(guardrails.unusable_vectors(&Vectors::default()).is_empty());
    guardrails.allow_tcp_flags_match = false;
    guardrails.allow_fragment_match = false;
    let found = guardrails.unusable_vectors(&Vectors::default());
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "warning /guardrails/allow_fragment_match: while allow_fragment_match is false, rules of these vectors are \
         refused: fragment_flood",
            "warning /guardrails/allow_tcp_flags_match: while allow_tcp_flags_match is false, rules of these vectors are \
         refused: ack_flood, fin_flood, null_flood, rst_flood, syn_flood, synack_flood, urg_flood",
        ]
    );
}

#[test]
fn unknown_keys_are_refused() {
    let typo = json!({ "playbooks": [{ "name": "a", "match": { "vector": "unknown" },
        "steps": [{ "action": "discard", "ttl_second": 1 }] }] });
    let error = serde_json::from_value::<PlaybooksDocument>(typo).unwrap_err().to_string();
    assert!(error.contains("unknown field `ttl_second`"), "{error}");
    assert!(serde_json::from_value::<InventoryDocument>(json!({ "customer": [] })).is_err());
}

#[test]
fn targets_of_black_holes_are_known_agree_on_a_next_hop_and_belong_to_rtbh() {
    let target = |name: &str, communities: &[&str], next_hop: Option<[u8; 4]>| {
        let communities = communities.iter().map(ToString::to_string).collect();
        let next_hop_v4 = next_hop.map(Into::into);
        (name.parse().unwrap(), RtbhTarget { communities, next_hop_v4, next_hop_v6: None })
    };
    let usual = United {
        communities: ["65535:666", "NO_EXPORT"].map(str::to_owned).into(),
        next_hop_v4: [192, 0, 2, 1].into(),
        next_hop_v6: std::net::Ipv6Addr::LOCALHOST,
    };
    let targets = RtbhTargets::new(
        usual,
        [
            target("transit", &["65001:666"], None),
            target("east", &["65002:666"], Some([192, 0, 2, 66])),
            target("west", &["65003:666"], Some([192, 0, 2, 67])),
            target("inside", &["NO_EXPORT", "65535:666"], None),
        ],
    );
    let guardrails = Guardrails { allow_rtbh: true, ..Guardrails::default() }.with_targets(targets);
    let build = |targets: Value, action: &str| {
        let mut step = json!({ "action": action, "ttl_seconds": 120, "targets": targets });
        if action == "police" {
            step["rate_bps"] = json!(8_000_000);
        }
        let playbook = json!({ "name": "p", "match": { "vector": "udp_flood" }, "steps": [step] });
        let document: PlaybooksDocument = serde_json::from_value(json!({ "playbooks": [playbook] })).unwrap();
        let built = document.build(&guardrails, None);
        built.map(|built| built.value.iter().next().unwrap().steps[0].action)
    };
    let action = |targets: Value| build(targets, "rtbh").unwrap();
    let to = |names: &[&str]| {
        Action::RtbhTo(TargetSet::of(names.iter().map(|name| name.parse().unwrap())).unwrap())
    };
    assert_eq!(action(json!(["east", "transit"])), to(&["east", "transit"]));
    assert_eq!(action(json!([])), Action::Rtbh);
    assert_eq!(action(json!(["inside"])), Action::Rtbh, "that is what every black hole is");
    for (targets, kind, words) in [
        (
            json!(["transit", "wset"]),
            "rtbh",
            "there is no target \"wset\" in bgp.rtbh_targets: it has east, inside",
        ),
        (
            json!(["east", "west"]),
            "rtbh",
            "the targets east, west have differing next hops (192.0.2.66, 192.0.2.67)",
        ),
        (json!(["transit"]), "police", "targets belong to rtbh: police has none"),
    ] {
        let errors: Vec<String> = build(targets, kind).unwrap_err().iter().map(ToString::to_string).collect();
        let found =
            errors.iter().any(|e| e.starts_with("error /playbooks/0/steps/0/targets: ") && e.contains(words));
        assert!(found, "{words}: {errors:?}");
    }
}
