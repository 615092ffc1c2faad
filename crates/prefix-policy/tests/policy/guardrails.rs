//! The guardrails: each refuses what it names, in the order of http-api.md §6.

use prefix_core::flowspec::Action;
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::matching::{DestinationPorts, Matching, PacketLength};
use prefix_core::mitigation::{EndReason, Status};
use prefix_core::rate::BitsPerSecond;
use prefix_core::ttl::Ttl;
use prefix_policy::{BanVerdict, ManualRequest, ManualVerdict};

use crate::lab::{HOST, HOST6, Lab, Saying, discard, report};

/// Something to ask for, and the lab to ask in.
struct Case {
    lab: Lab,
    request: ManualRequest,
}

fn case() -> Case {
    let request = ManualRequest {
        victim_ip: HOST.parse().unwrap(),
        matching: Matching { protocol: Some(17), ..Matching::everything_to(HOST.parse().unwrap()) },
        action: Action::Discard,
        ttl: None,
        flaw: None,
        vector: "unknown".parse().unwrap(),
        reason: "test".into(),
        operator: "operator:alice".parse().unwrap(),
    };
    Case { lab: Lab::with_steps(discard()), request }
}

fn refused(case: &Case) -> Refusal {
    match case.lab.manual(&case.request) {
        ManualVerdict::Refuse { refusal, .. } => refusal,
        other => panic!("not refused: {other:#?}"),
    }
}

fn ports(list: impl IntoIterator<Item = u16>) -> DestinationPorts {
    DestinationPorts::Only(list.into_iter().collect())
}

type Spoil = (Guardrail, fn(&mut Case));

/// One way to break each guardrail without breaking an earlier one, in their order.
const SPOILS: [Spoil; 15] = [
    (Guardrail::Frozen, |case| case.lab.panic(None, None)),
    (Guardrail::NotOwned, |case| {
        case.lab.inventory(serde_json::json!({ "customers": [
            { "customer_id": "other", "prefixes": ["198.51.100.0/24"] }
        ]}));
    }),
    (Guardrail::Safelisted, |case| case.lab.safe("203.0.113.99/32")),
    (Guardrail::ControlPlane, |case| {
        case.lab.parts.guardrails.protected_prefixes.push("203.0.113.0/24".parse().unwrap());
    }),
    (Guardrail::PrefixLength, |case| case.lab.parts.guardrails.dst_prefix_maxlen = 30),
    (Guardrail::Semantic, |case| {
        case.request.matching.packet_length = Some(PacketLength { min: 9, max: 90 });
    }),
    (Guardrail::ActionNotAllowed, |case| {
        case.lab.parts.guardrails.allow_mark = false;
        case.request.action = Action::Mark(prefix_core::flowspec::Dscp::new(8).unwrap());
    }),
    (Guardrail::MatchNotAllowed, |case| {
        case.lab.parts.guardrails.allow_src_port_match = false;
        case.request.matching.src_ports = [53].into();
    }),
    (Guardrail::MaxPorts, |case| {
        case.lab.parts.guardrails.max_ports = 8;
        case.request.matching.dst_ports = ports(1..=9);
    }),
    (Guardrail::NlriSize, |case| {
        case.lab.parts.guardrails.max_ports = 1_000;
        case.request.matching.dst_ports = ports((1..=300).map(|port| port * 3));
    }),
    (Guardrail::Ttl, |case| case.request.ttl = Some(Ttl::from_seconds(10).unwrap())),
    (Guardrail::PoliceRate, |case| {
        case.request.action = Action::police(Some(BitsPerSecond::saturating(7_999)), None).unwrap();
    }),
    (Guardrail::NewRate, |case| case.lab.quota.new_last_minute = 120),
    (Guardrail::QuotaPop, |case| case.lab.quota.pop = 500),
    (Guardrail::QuotaGlobal, |case| case.lab.quota.global = 2_000),
];

#[test]
fn each_guardrail_refuses_what_it_is_for() {
    for (guardrail, spoil) in SPOILS {
        let mut case = case();
        assert!(matches!(case.lab.manual(&case.request), ManualVerdict::Mitigate { .. }));
        spoil(&mut case);
        assert_eq!(refused(&case).guardrail, guardrail);
    }
}

#[test]
fn the_first_broken_guardrail_is_the_one_that_is_named() {
    for (position, (guardrail, spoil)) in SPOILS.iter().enumerate() {
        for (_, later) in &SPOILS[position + 1..] {
            let mut case = case();
            later(&mut case);
            spoil(&mut case);
            assert_eq!(refused(&case).guardrail, *guardrail);
        }
    }
}

#[test]
fn the_safelist_counts_in_both_directions() {
    let mut wide = case();
    wide.lab.parts.guardrails.dst_prefix_minlen = 24;
    wide.request.matching.dst_prefix = "203.0.113.0/24".parse().unwrap();
    assert!(matches!(wide.lab.manual(&wide.request), ManualVerdict::Mitigate { .. }));
    wide.lab.safe("203.0.113.1/32");
    assert_eq!(refused(&wide).guardrail, Guardrail::Safelisted);
}

#[test]
fn own_addresses_and_bgp_are_never_touched() {
    let mut own = case();
    own.lab.parts.own_addresses.push(HOST.parse().unwrap());
    assert_eq!(refused(&own).guardrail, Guardrail::ControlPlane);
    for spoil in
        [(|matching: &mut Matching| matching.dst_ports = ports([80, 179])) as fn(&mut Matching), |matching| {
            matching.src_ports = [179].into();
        }]
    {
        let mut bgp = case();
        bgp.request.matching.protocol = Some(6);
        spoil(&mut bgp.request.matching);
        assert_eq!(refused(&bgp).guardrail, Guardrail::ControlPlane);
        bgp.request.matching.protocol = Some(17);
        assert!(matches!(bgp.lab.manual(&bgp.request), ManualVerdict::Mitigate { .. }), "UDP 179 is not BGP");
    }
    let lab = Lab::with_steps(discard());
    assert_eq!(lab.rule(&report("syn_flood", HOST).on(&[80, 179])), "refused: control_plane");
}

#[test]
fn only_a_match_that_names_the_port_of_bgp_is_refused_for_it() {
    let harmless: [fn(&mut Matching); 4] = [
        |m| m.protocol = Some(6),
        |m| m.protocol = None,
        |m| (m.protocol, m.dst_ports) = (Some(6), DestinationPorts::Except([80].into())),
        |m| (m.protocol, m.dst_ports) = (Some(6), DestinationPorts::Except([179].into())),
    ];
    for spoil in harmless {
        let mut case = case();
        spoil(&mut case.request.matching);
        assert!(matches!(case.lab.manual(&case.request), ManualVerdict::Mitigate { .. }));
    }
    let own_vector = serde_json::json!({
        "vectors": { "bgp_flood": { "protocol": "tcp", "src_ports": [179] } },
        "playbooks": [{ "name": "all", "match": { "vector": "bgp_flood" }, "steps": discard() }],
    });
    let lab = Lab::with_playbooks(own_vector);
    assert_eq!(lab.rule(&report("bgp_flood", HOST)), "refused: control_plane");
}

#[test]
fn the_control_plane_is_shielded_from_wider_and_from_narrower_destinations() {
    let wide = |spoil: fn(&mut Lab)| {
        let mut case = case();
        case.lab.parts.guardrails.dst_prefix_minlen = 24;
        case.request.matching.dst_prefix = "203.0.113.0/24".parse().unwrap();
        spoil(&mut case.lab);
        refused(&case).guardrail
    };
    let own = |lab: &mut Lab| lab.parts.own_addresses.push("203.0.113.179".parse().unwrap());
    assert_eq!(wide(own), Guardrail::ControlPlane);
    let narrower = |lab: &mut Lab| {
        lab.parts.guardrails.protected_prefixes.push("203.0.113.200/29".parse().unwrap());
    };
    assert_eq!(wide(narrower), Guardrail::ControlPlane);
    let mut wider = case();
    wider.lab.parts.guardrails.protected_prefixes.push("203.0.112.0/23".parse().unwrap());
    assert_eq!(refused(&wider).guardrail, Guardrail::ControlPlane);
}

#[test]
fn a_match_that_cannot_exist_is_refused() {
    let spoils: [fn(&mut Matching); 6] = [
        |m| (m.protocol, m.dst_ports) = (Some(1), ports([80])),
        |m| (m.protocol, m.dst_ports) = (None, ports([80])),
        |m| m.tcp_flags = prefix_core::flowspec::TcpFlags::from_words(["syn"]).unwrap(),
        |m| m.icmp_type = [8].into(),
        |m| m.packet_length = Some(PacketLength { min: 100, max: 50 }),
        |m| m.dst_ports = ports([]),
    ];
    for spoil in spoils {
        let mut case = case();
        spoil(&mut case.request.matching);
        assert_eq!(refused(&case).guardrail, Guardrail::Semantic, "{:?}", case.request.matching);
    }
    let mut v6 = case();
    v6.request.victim_ip = HOST6.parse().unwrap();
    v6.request.matching = Matching::everything_to(HOST6.parse().unwrap());
    v6.request.matching.fragment = prefix_core::flowspec::Fragment::DONT_FRAGMENT;
    assert_eq!(refused(&v6).guardrail, Guardrail::Semantic);
}

#[test]
fn a_destination_that_misses_the_victim_is_refused() {
    let mut case = case();
    case.request.matching.dst_prefix = "203.0.113.98/32".parse().unwrap();
    assert_eq!(refused(&case).guardrail, Guardrail::Semantic);
}

#[test]
fn a_black_hole_is_for_one_whole_host() {
    let mut case = case();
    case.request.action = Action::Rtbh;
    assert_eq!(refused(&case).guardrail, Guardrail::Semantic, "it cannot be narrowed to UDP");
    case.lab.parts.guardrails.allow_rtbh = false;
    assert_eq!(
        refused(&case).guardrail,
        Guardrail::ActionNotAllowed,
        "nor is there any, however it is asked for"
    );
    case.lab.parts.guardrails.allow_rtbh = true;
    case.request.matching.protocol = None;
    assert!(matches!(case.lab.manual(&case.request), ManualVerdict::Mitigate { .. }));
    case.lab.parts.guardrails.dst_prefix_minlen = 24;
    case.request.matching.dst_prefix = "203.0.113.0/24".parse().unwrap();
    assert_eq!(refused(&case).guardrail, Guardrail::PrefixLength);
}

#[test]
fn neighbouring_excluded_ports_count_as_one_term() {
    let mut case = case();
    case.request.matching.dst_ports = DestinationPorts::Except((100..=130).collect());
    assert!(matches!(case.lab.manual(&case.request), ManualVerdict::Mitigate { .. }));
    case.request.matching.dst_ports = DestinationPorts::Except((100..=130).step_by(2).collect());
    assert_eq!(refused(&case).guardrail, Guardrail::MaxPorts);
}

fn refusal(verdict: BanVerdict) -> (bool, Refusal) {
    match verdict {
        BanVerdict::Mitigate { waits: Some(refusal), .. } => (true, refusal),
        BanVerdict::Refuse { refusal, .. } => (false, refusal),
        other => panic!("let in: {other:#?}"),
    }
}

#[test]
fn after_an_operators_withdraw_detectors_wait_and_operators_do_not() {
    let mut lab = Lab::with_steps(discard());
    let reported = report("udp_flood", HOST).on(&[80]);
    let id = lab.raise(&reported);
    lab.end(id, EndReason::Operator);
    lab.later(20);
    let (queued, quiet) = refusal(lab.ban(&report("udp_flood", HOST).on(&[443])));
    assert!(queued);
    assert_eq!((quiet.guardrail, quiet.retry_after_seconds), (Guardrail::QuietPeriod, Some(100)));
    assert!(
        matches!(lab.ban(&report("syn_flood", HOST)), BanVerdict::Mitigate { waits: None, .. }),
        "only that vector"
    );
    let mut request = case().request;
    request.vector = "udp_flood".parse().unwrap();
    assert!(matches!(lab.manual(&request), ManualVerdict::Mitigate { .. }));
    lab.later(100);
    assert!(matches!(lab.ban(&reported), BanVerdict::Mitigate { waits: None, .. }));
}

#[test]
fn a_rule_at_the_end_of_its_life_rests() {
    let mut lab = Lab::with_steps(discard());
    let reported = report("udp_flood", HOST).on(&[80]);
    let id = lab.raise(&reported);
    lab.end(id, EndReason::MaxLifetime);
    lab.later(1);
    let (queued, rest) = refusal(lab.ban(&reported));
    assert!(!queued);
    assert_eq!((rest.guardrail, rest.retry_after_seconds), (Guardrail::MaxLifetime, Some(299)));
    assert!(matches!(
        lab.ban(&report("udp_flood", HOST).on(&[443])),
        BanVerdict::Mitigate { waits: None, .. }
    ));
    lab.later(299);
    assert!(matches!(lab.ban(&reported), BanVerdict::Mitigate { waits: None, .. }));
}

#[test]
fn a_companion_counts_only_toward_what_the_peers_take_and_a_set_is_let_in_whole() {
    let steps = serde_json::json!([{ "action": "discard", "ttl_seconds": 120, "fragments": "police" }]);
    let mut lab = Lab::with_steps(steps);
    let attack = report("ntp_amplification", HOST);
    let is_let_in = |lab: &Lab| matches!(lab.ban(&attack), BanVerdict::Mitigate { waits: None, .. });
    (lab.quota.global, lab.quota.pop) = (1_999, 499);
    lab.quota.customers.insert("acme".parse().unwrap(), 63);
    assert!(is_let_in(&lab), "one main rule fits everywhere");
    lab.quota.companions = 499;
    assert!(is_let_in(&lab), "998 rules and two more");
    lab.quota.companions = 500;
    let (queued, full) = refusal(lab.ban(&attack));
    assert!(queued);
    assert_eq!(full.guardrail, Guardrail::QuotaPop);
    assert!(full.detail.contains("max_announcements_per_peer 1000"), "{full}");
    lab.quota.companions = 0;
    lab.quota.pop = 500;
    assert_eq!(refusal(lab.ban(&attack)).1.guardrail, Guardrail::QuotaPop);
    lab.quota.pop = 499;
    lab.quota.global = 2_000;
    assert_eq!(refusal(lab.ban(&attack)).1.guardrail, Guardrail::QuotaGlobal);
}

#[test]
fn one_victim_has_so_many_main_rules_and_that_is_asked_before_the_customer() {
    let steps = serde_json::json!([{ "action": "discard", "ttl_seconds": 120, "fragments": "police" }]);
    let mut lab = Lab::with_steps(steps);
    for port in 1..=8 {
        lab.raise(&report("udp_flood", HOST).on(&[port]));
    }
    lab.quota.customers.insert("acme".parse().unwrap(), 64);
    let (queued, full) = refusal(lab.ban(&report("udp_flood", HOST).on(&[9])));
    assert!(queued);
    assert_eq!(full.guardrail, Guardrail::QuotaVictim);
    assert_eq!(full.detail, "203.0.113.99 has 8 rules, 1 more exceed quotas.max_active_per_victim 8");
    let other = refusal(lab.ban(&report("udp_flood", "203.0.113.98").on(&[9]))).1;
    assert_eq!(other.guardrail, Guardrail::QuotaCustomer);
}

#[test]
fn taking_over_a_withdrawing_rule_needs_no_further_room() {
    let mut lab = Lab::with_steps(discard());
    let id = lab.raise(&report("udp_flood", HOST));
    let row = lab.edit(id);
    (row.status, row.end_reason) = (Status::Withdrawing, Some(EndReason::DetectorUnban));
    lab.quota.pop = 500;
    assert!(matches!(lab.ban(&report("udp_flood", HOST)), BanVerdict::Mitigate { waits: None, .. }));
    assert_eq!(refusal(lab.ban(&report("udp_flood", HOST).on(&[80]))).1.guardrail, Guardrail::QuotaPop);
}

#[test]
fn a_queued_mitigation_passes_every_guardrail_again() {
    let mut lab = Lab::with_steps(discard());
    let id = lab.raise(&report("udp_flood", HOST));
    lab.edit(id).status = Status::Queued;
    let row = lab.find(id).clone();
    assert_eq!(lab.admit(&row), Ok(()));
    lab.quota.new_last_minute = 120;
    assert_eq!(lab.admit(&row).unwrap_err().guardrail, Guardrail::NewRate);
    lab.safe("203.0.113.0/24");
    assert_eq!(lab.admit(&row).unwrap_err().guardrail, Guardrail::Safelisted);
}

#[test]
fn living_rules_are_checked_again_for_what_may_have_changed_and_nothing_else() {
    let check = |spoil: fn(&mut Lab)| {
        let mut lab = Lab::with_steps(discard());
        let id = lab.raise(&report("dns_amplification", HOST));
        spoil(&mut lab);
        let answer = lab.revalidate(lab.find(id));
        answer.err().map(|refusal| refusal.guardrail)
    };
    let gone = |lab: &mut Lab| {
        lab.inventory(
            serde_json::json!({ "customers": [{ "customer_id": "x", "prefixes": ["192.0.2.0/24"] }] }),
        );
    };
    assert_eq!(check(|_| ()), None);
    assert_eq!(check(gone), Some(Guardrail::NotOwned));
    assert_eq!(check(|lab| lab.safe("203.0.113.0/24")), Some(Guardrail::Safelisted));
    assert_eq!(
        check(|lab| lab.parts.own_addresses.push(HOST.parse().unwrap())),
        Some(Guardrail::ControlPlane)
    );
    assert_eq!(check(|lab| lab.parts.guardrails.dst_prefix_maxlen = 30), Some(Guardrail::PrefixLength));
    assert_eq!(
        check(|lab| lab.parts.guardrails.allow_src_port_match = false),
        Some(Guardrail::MatchNotAllowed)
    );
    assert_eq!(check(|lab| lab.parts.guardrails.max_lifetime_seconds = 0), Some(Guardrail::MaxLifetime));
    assert_eq!(check(|lab| lab.later(86_400)), Some(Guardrail::MaxLifetime));
    let harmless = |lab: &mut Lab| {
        lab.parts.guardrails.max_ttl_seconds = Some(40);
        lab.quota.global = 10_000;
        lab.quota.new_last_minute = 10_000;
    };
    assert_eq!(check(harmless), None);
}

#[test]
fn what_no_rule_can_have_is_refused_at_its_place_in_the_order() {
    let mut case = case();
    case.request.flaw = Some(Refusal::new(Guardrail::PoliceRate, "no packet per second is no rate"));
    assert_eq!(refused(&case).guardrail, Guardrail::PoliceRate);
    case.request.ttl = Some(Ttl::from_seconds(1).unwrap());
    assert_eq!(refused(&case).guardrail, Guardrail::Ttl);
    case.request.victim_ip = "192.0.2.1".parse().unwrap();
    case.request.matching = Matching::everything_to("192.0.2.1".parse().unwrap());
    assert_eq!(refused(&case).guardrail, Guardrail::NotOwned);
}
