//! What `--check` says of files that are well-formed and of no use, and how it reads what people write.

use super::{PLAYBOOKS, SETTINGS, load, said};

/// Well-formed, and of no use: told before the night on which it matters.
#[test]
fn what_can_never_work_is_a_warning() {
    let step = "steps: [{action: police, rate_bps: 1000000, ttl_seconds: 120";
    let of = |playbooks: &str| said(&load(&[("playbooks.yaml", playbooks)], &[]));
    for (playbooks, warning) in [
        (
            format!(
                "playbooks:\n  - name: a\n    match: {{vector: [udp_flood, ntp_amplification], protocol: tcp}}\n    {step}}}]\n"
            ),
            "warning playbooks.yaml:3: playbook \"a\" is never used: match.protocol is tcp, and udp_flood is of udp, ntp_amplification is of udp",
        ),
        (
            format!(
                "playbooks:\n  - name: a\n    match: {{vector: [udp_flood, generic], protocol: tcp}}\n    {step}}}]\n"
            ),
            "warning playbooks.yaml:3: match.protocol is tcp, so these never come here: udp_flood is of udp",
        ),
        (
            format!(
                "playbooks:\n  - name: a\n    match: {{vector: icmp_flood, protocol: 58}}\n    {step}}}]\n"
            ),
            "",
        ),
        (
            format!(
                "playbooks:\n  - name: a\n    match: {{vector: unknown, protocol: gre}}\n    {step}}}]\n"
            ),
            "",
        ),
        (
            format!(
                "playbooks:\n  - name: a\n    match: {{vector: udp_flood}}\n    {step}, match: {{tcp_flags: [syn]}}}}]\n"
            ),
            "warning playbooks.yaml:4: tcp_flags needs protocol tcp, and vector \"udp_flood\" is of udp: the rule will be refused",
        ),
        (
            format!(
                "playbooks:\n  - name: a\n    match: {{vector: gre_flood}}\n    {step}, match: {{src_ports: [53]}}}}]\n"
            ),
            "warning playbooks.yaml:4: src_ports needs protocol tcp or udp, and vector \"gre_flood\" is of gre: the rule will be refused",
        ),
        (
            format!(
                "playbooks:\n  - name: a\n    match: {{vector: tcp_flood}}\n    {step}, match: {{src_ports: [179]}}}}]\n"
            ),
            "warning playbooks.yaml:4: port 179 carries BGP, which is never filtered: a TCP rule that names it will be refused (control_plane)",
        ),
        (
            format!(
                "vectors:\n  bgp: {{protocol: tcp, dst_ports: [179]}}\n  udp: {{protocol: udp, dst_ports: [179]}}\nplaybooks:\n  - name: a\n    match: {{vector: bgp}}\n    {step}}}]\n"
            ),
            "warning playbooks.yaml:2: port 179 carries BGP, which is never filtered: a TCP rule that names it will be refused (control_plane)",
        ),
    ] {
        assert_eq!(of(&playbooks), warning, "{playbooks}");
    }
    let services = format!(
        "{}    services:\n      - service_id: all\n        allowed_ports: {{udp: [\"1-65535\"], tcp: [\"1-100\", \"102-65535\"]}}\n",
        "customers:\n  - customer_id: acme\n    prefixes: [203.0.113.0/24]\n"
    );
    assert_eq!(
        said(&load(&[("inventory.yaml", &services)], &[])),
        "warning inventory.yaml:6: every udp port is served: nothing is left for a rule but to police all of it; name the ports that the service really has"
    );
    let settings = format!(
        "{SETTINGS}guardrails: {{protected_prefixes: [192.0.2.0/24, 0.0.0.0/0]}}\nsafelist:\n  prefixes:\n    - 203.0.112.0/22\n    - 203.0.113.1/32\n    - \"::/0\"\n"
    );
    assert_eq!(
        said(&load(&[("prefixd.yaml", &settings)], &[])),
        "warning prefixd.yaml:4: guardrails.protected_prefixes: 0.0.0.0/0 is every address of ipv4: no rule is ever made\n\
         warning prefixd.yaml:7: safelist.prefixes: 203.0.112.0/22 covers 203.0.113.0/24 of customer \"acme\": no rule is ever made for their addresses\n\
         warning prefixd.yaml:9: safelist.prefixes: ::/0 is every address of ipv6: no rule is ever made"
    );
}

#[test]
fn numbers_are_read_as_people_write_them_and_slips_find_their_key() {
    let playbooks = PLAYBOOKS.replace("1000000", "1e7").replace("120", "1.2e2");
    let loaded = load(&[("playbooks.yaml", &playbooks)], &[]);
    assert_eq!(said(&loaded), "");
    let playbooks = loaded.value.unwrap().playbooks;
    assert_eq!(playbooks.iter().next().unwrap().steps[0].action.rate_bps().unwrap().get(), 10_000_000);
    let of = |rate: &str| said(&load(&[("playbooks.yaml", &PLAYBOOKS.replace("1000000", rate))], &[]));
    assert!(
        of("1.5").contains("playbooks.yaml:5: steps[0].rate_bps: expected a whole number"),
        "{}",
        of("1.5")
    );
    assert_eq!(
        of("0"),
        "error playbooks.yaml:5: a police rate of 0 bit/s rounds to 0 bytes per second, which would discard: give guardrails.min_police_rate_bps or more, or say discard"
    );
    let inventory = "customers:\n  - customer_id: acme\n    prefixes: [203.0.113.0/24]\n    services:\n      - {service_id: s, allowed_ports: {upd: [53]}}\n";
    assert_eq!(
        said(&load(&[("inventory.yaml", inventory)], &[])),
        "error inventory.yaml:5: unknown key \"upd\" in services[0].allowed_ports (did you mean \"udp\"?)"
    );
    let dst = PLAYBOOKS.replace("ttl_seconds: 120", "ttl_seconds: 120, match: {dst_ports: [53]}");
    assert!(!said(&load(&[("playbooks.yaml", &dst)], &[])).contains("src_ports"));
}

#[test]
fn a_vector_that_an_adapter_names_and_nobody_defines_is_reported_where_it_is_named() {
    let correlation = "webhook_adapters:
  - name: lab
    auth: {type: bearer}
    fields: {victim_ip: $.ip}
    vector_map:
      UDP: udp_flood
      SIP: sip_flood
";
    let own = format!("vectors: {{sip_flood: {{protocol: udp, dst_ports: [5060]}}}}\n{PLAYBOOKS}");
    let loaded = load(&[("correlation.yaml", correlation), ("playbooks.yaml", &own)], &[]);
    assert_eq!(said(&loaded), "");
    let loaded = load(&[("correlation.yaml", correlation)], &[]);
    let text = said(&loaded);
    assert!(
        text.starts_with(
            "warning correlation.yaml:7: webhook adapter \"lab\" names the vector \"sip_flood\""
        ),
        "{text}"
    );
    assert!(loaded.value.is_some());
}

/// A value that a variable put there is to be mended there.
#[test]
fn what_is_wrong_with_a_listen_address_of_the_environment_names_the_variable() {
    for value in ["x", "8080", "127.0.0.1", "127.0.0.1:99999"] {
        let loaded = load(&[], &[("PREFIXD__HTTP__LISTEN", value)]);
        assert!(
            said(&loaded).starts_with("error PREFIXD__HTTP__LISTEN: http.listen"),
            "{value}: {}",
            said(&loaded)
        );
    }
}

/// An entry that can never make a rule is an error where it stands; one that reaches one family only says so.
#[test]
fn carpets_that_the_guardrails_forbid_are_errors() {
    let of = |entry: &str, guardrails: &str| {
        let playbooks = format!(
            "{PLAYBOOKS}carpet:\n  - match: {{vector: udp_flood}}\n    {entry}\n    step: {{rate_bps: 1000000, ttl_seconds: 120}}\n"
        );
        let settings = format!("{SETTINGS}guardrails: {{{guardrails}}}\n");
        said(&load(&[("playbooks.yaml", &playbooks), ("prefixd.yaml", &settings)], &[]))
    };
    let refused = "prefix_length 24 is wider than guardrails.dst_prefix_minlen 32 allows: every carpet would be refused";
    assert_eq!(of("prefix_length: 24", ""), format!("error playbooks.yaml:8: {refused}"));
    assert_eq!(of("min_victims: 16", ""), format!("error playbooks.yaml:7: {refused}"));
    assert_eq!(
        of("min_victims: 16", "dst_prefix_minlen: 24"),
        "warning playbooks.yaml:7: prefix_length_v6 56 is wider than guardrails.dst_prefix_minlen_v6 128 allows: this entry is not for ipv6"
    );
    assert_eq!(of("prefix_length: 24", "dst_prefix_minlen: 24"), "");
    assert_eq!(of("prefix_length: 24", "dst_prefix_minlen: 24, dst_prefix_minlen_v6: 56"), "");
    let both = "dst_prefix_minlen: 16, dst_prefix_minlen_v6: 48";
    assert_eq!(
        of("prefix_length: 32", both),
        "error playbooks.yaml:8: prefix_length 32 is no prefix of several hosts, it must be below 32: every carpet would be refused"
    );
    assert_eq!(
        of("min_victims: 1", both),
        "error playbooks.yaml:8: min_victims must be at least 2: one victim has a rule of its own"
    );
    assert_eq!(
        of(
            "{prefix_length: 30, min_victims: 5}".trim_matches(['{', '}']).replace(", ", "\n    ").as_str(),
            both
        ),
        "error playbooks.yaml:9: min_victims 5 is never reached: a carpet holds at most 4"
    );
    let unknown = format!(
        "{PLAYBOOKS}carpet: [{{match: {{vector: udp_flod}}, step: {{rate_bps: 1000000, ttl_seconds: 120, fragments: police}}}}]\n"
    );
    let unknown = said(&load(&[("playbooks.yaml", &unknown)], &[]));
    assert!(unknown.contains("unknown key \"fragments\""), "{unknown}");
}
