//! `--check` on folders of files: what each mistake is called, and where it is.

use std::path::Path;

use prefix_config::Environment;
use prefix_config::folder::{ConfigSource, Configuration, Files};
use prefix_config::loaded::Loaded;
use prefix_policy::settings::{ConfidenceMode, CorrelationSettings};

mod hints;

const SETTINGS: &str =
    "pop: fra1\nhttp: {auth: {mode: none}}\nbgp: {local_asn: 65010, router_id: 10.0.0.1}\n";
const INVENTORY: &str = "customers:\n  - {customer_id: acme, name: ACME, prefixes: [203.0.113.0/24]}\n";
const PLAYBOOKS: &str = "playbooks:\n  - name: all\n    match: {vector: udp_flood}\n    steps:\n      - {action: police, rate_bps: 1000000, ttl_seconds: 120}\n";

/// The three required files, with some replaced or added.
fn load(files: &[(&str, &str)], environment: &[(&str, &str)]) -> Loaded<Configuration> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("prefixd.yaml", SETTINGS), ("inventory.yaml", INVENTORY), ("playbooks.yaml", PLAYBOOKS)]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    load_folder(folder.path(), environment)
}

fn load_folder(folder: &Path, environment: &[(&str, &str)]) -> Loaded<Configuration> {
    let environment: Environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ConfigSource::new(Files::Folder(folder.to_path_buf()), environment).load()
}

fn said(loaded: &Loaded<Configuration>) -> String {
    loaded.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn good_files_say_nothing() {
    let loaded = load(&[], &[]);
    assert_eq!(said(&loaded), "");
    assert!(loaded.value.is_some());
}

#[test]
fn the_shipped_files_are_clean() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let loaded = load_folder(&folder, &[]);
    assert_eq!(said(&loaded), "");
    assert!(loaded.value.is_some());
}

#[test]
fn the_shipped_prefixd_yaml_shows_every_default() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let shipped = load_folder(&folder, &[]).value.unwrap().settings.keys;
    let defaults = load(&[], &[]).value.unwrap().settings.keys;
    // the shipped playbooks tell large reflected answers from small ones
    let lengths = prefix_policy::Guardrails { allow_packet_length_match: true, ..defaults.guardrails };
    assert_eq!(shipped.guardrails, lengths);
    assert_eq!(shipped.quotas, defaults.quotas);
    assert_eq!(shipped.timers, defaults.timers);
    assert_eq!(shipped.escalation, defaults.escalation);
    assert_eq!(shipped.shutdown, defaults.shutdown);
    assert_eq!(shipped.observability, defaults.observability);
    assert_eq!(shipped.http, defaults.http);
    assert_eq!(shipped.mode, defaults.mode);
    assert_eq!(shipped.storage.retention, defaults.storage.retention);
    let (mut shipped, defaults) = (shipped.bgp, defaults.bgp);
    shipped.neighbors.clear();
    shipped.router_id = defaults.router_id;
    shipped.backend_key = None;
    assert_eq!(shipped.with_defaults(), defaults.with_defaults());
}

#[test]
fn missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(said(&load_folder(folder.path(), &[])), @r"
    error prefixd.yaml: the file is missing
    error inventory.yaml: the file is missing
    error playbooks.yaml: the file is missing
    ");
}

#[test]
fn all_mistakes_of_all_files_are_found_at_once() {
    let settings = "pop: FRA 1
mode: enforcd
http:
  listen: 127.0.0.1:8080
  auth: {mode: none}
bgp:
  local_asn: 65010
  router_id: 10.0.0.1
  neighbours: []
timers:
  max_ttl_seconds: 600
  max_ttl_seconds: 900
guardrails:
  dst_prefix_minlen: 4
storage:
  url: ${DATABASE}
";
    let inventory = "customers:
  - customer_id: acme
    prefixes: [203.0.113.0/24, 203.0.113.128/33]
    services:
      - service_id: dns
        assets:
          - {ip: 203.0.113.10}
          - {ip: 203.0.113.10}
          - {ip: 198.51.100.1}
          - {ip: 203.0.113.300}
        allowed_ports: {udp: [53, 0], tcp: [99999]}
        allowed_prots: {}
  - customer_id: acme
  - customer_id: 64500
    policy_profile: strictt
";
    let playbooks = "vectors:
  udp_flood: {protocol: udp}
default_playbook: nobody
playbooks:
  - name: udp
    match: {vector: [udp_flod, syn_flood]}
    steps:
      - {action: police, rate_bps: 7, ttl_seconds: 120}
      - {action: discard, ttl_second: 300}
      - {action: drop, ttl_seconds: 300}
      - {action: police, ttl_seconds: 1}
  - name: udp
    steps: []
";
    let correlation = "enabled: true
min_sources: 0
sources:
  fastnetmon: {reports: edges, default_confidence: 7}
  netflow: {mode: corroborating}
webhook_adapters:
  - {name: Radware, auth: {type: hmac}, fields: {}}
";
    let loaded = load(
        &[
            ("prefixd.yaml", settings),
            ("inventory.yaml", inventory),
            ("playbooks.yaml", playbooks),
            ("correlation.yaml", correlation),
        ],
        &[("PREFIXD__QUOTAS__MAX_NEW", "3"), ("PREFIXD__INVENTORY__CUSTOMERS__9__NAME", "x")],
    );
    assert!(loaded.value.is_none());
    insta::assert_snapshot!(said(&loaded));
}

#[test]
fn broken_yaml_is_said_with_its_line() {
    let loaded =
        load(&[("playbooks.yaml", "playbooks:\n  - name: [x\n"), ("inventory.yaml", "a: b: c\n")], &[]);
    insta::assert_snapshot!(said(&loaded));
}

#[test]
fn a_file_of_playbooks_that_says_nothing_lacks_a_playbook() {
    for text in ["", "null\n", "# nothing\n", "---\n"] {
        let loaded = load(&[("playbooks.yaml", text)], &[]);
        assert!(loaded.value.is_none());
        assert!(
            said(&loaded).contains("error playbooks.yaml:1: at least one playbook is needed"),
            "{text:?}"
        );
    }
}

#[test]
fn a_key_that_is_no_text_and_seconds_of_a_step_are_said_with_what_is_written() {
    let playbooks = PLAYBOOKS.replace("ttl_seconds: 120", "ttl_seconds: 120}\n      - {action: discard, ttl_seconds: 120, require_persistence_seconds: 5000000000");
    let loaded = load(&[("playbooks.yaml", &playbooks)], &[]);
    let expected = "error playbooks.yaml:6: require_persistence_seconds must be at most 86400";
    assert_eq!(said(&loaded), expected);
    let loaded = load(&[("inventory.yaml", "customers: []\n? [a, b]\n: 1\n")], &[]);
    assert!(said(&loaded).contains("error inventory.yaml:2: a key must be plain text"), "{}", said(&loaded));
}

#[test]
fn the_environment_wins_and_is_named_in_what_it_broke() {
    let loaded = load(
        &[],
        &[
            ("PREFIXD__POP", "ams2"),
            ("PREFIXD__BGP__NEIGHBORS__0", "{name: edge1, address: 192.0.2.1, peer_asn: 65010}"),
            ("PREFIXD__INVENTORY__CUSTOMERS__0__POLICY_PROFILE", "strict"),
            ("PREFIXD__CORRELATION__MIN_SOURCES", "2"),
            ("DATABASE_URL", "postgres://prefixd:secret@db/prefixd"),
        ],
    );
    assert_eq!(said(&loaded), "");
    let configuration = loaded.value.unwrap();
    assert_eq!(configuration.settings.pop.as_str(), "ams2");
    assert_eq!(configuration.settings.keys.bgp.neighbors[0].name, "edge1");
    assert_eq!(configuration.correlation.min_sources, 2);
    assert_eq!(configuration.settings.keys.storage.url().backend(), "postgres");
    assert!(!format!("{:?}", configuration.settings).contains("secret"));

    let loaded = load(
        &[],
        &[
            ("PREFIXD__HTTP__LISTN", "x"),
            ("PREFIXD__TIMERS__MAX_TTL_SECONDS", "0"),
            ("PREFIXD__PLAYBOOKS__PLAYBOOKS__0__STEPS__0__TTL_SECONDS", "5"),
            ("DATABASE_URL", "oracle://x"),
        ],
    );
    insta::assert_snapshot!(said(&loaded));
}

#[test]
fn variables_stand_in_for_values() {
    let settings = format!(
        "{SETTINGS}quotas: {{max_active_per_pop: 50, max_active_per_customer: 50}}\nstorage:\n  url: \"sqlite://${{STATE:-data}}/x.db\"\n  max_connections: ${{POOL}}\n"
    );
    let loaded = load(&[("prefixd.yaml", &settings)], &[("POOL", "3")]);
    assert_eq!(said(&loaded), "");
    assert_eq!(loaded.value.unwrap().settings.keys.storage.max_connections, 3);
    let loaded = load(&[("prefixd.yaml", &settings)], &[]);
    assert_eq!(
        said(&loaded),
        "error prefixd.yaml:7: environment variable POOL is not set (a fallback is written ${POOL:-value})"
    );
}

#[test]
fn correlation_may_stand_in_prefixd_yaml_and_the_file_wins() {
    let settings =
        format!("{SETTINGS}correlation:\n  min_sources: 0\n  sources:\n    flow: {{reports: edge}}\n");
    let loaded = load(&[("prefixd.yaml", &settings)], &[]);
    assert_eq!(said(&loaded), "error prefixd.yaml:5: min_sources must be 1 or more, not 0");
    let loaded = load(&[("prefixd.yaml", &settings), ("correlation.yaml", "min_sources: 3\n")], &[]);
    assert_eq!(
        said(&loaded),
        "warning prefixd.yaml:4: the key \"correlation\" is not used, because the file correlation.yaml exists and wins"
    );
    assert_eq!(loaded.value.unwrap().correlation.min_sources, 3);
}

#[test]
fn what_correlation_yaml_says_is_what_policy_decides_by() {
    let text = "enabled: true
confidence_mode: weighted_mean
window_seconds: 60
min_sources: 2
confidence_threshold: 0.7
default_weight: 0.5
confidence_decay_half_life_seconds: 600
sources:
  flow: {weight: 2, silent_after_seconds: 90}
  netflow: {mode: corroborating, match_dimensions: [customer_id, interface]}
";
    let loaded = load(&[("correlation.yaml", text)], &[]);
    assert_eq!(said(&loaded), "");
    let keys = loaded.value.unwrap().correlation;
    let settings = keys.without_adapters();
    assert_eq!(
        settings,
        CorrelationSettings {
            enabled: true,
            confidence_mode: ConfidenceMode::WeightedMean,
            window_seconds: 60,
            min_sources: 2,
            confidence_threshold: 0.7,
            default_weight: 0.5,
            confidence_decay_half_life_seconds: 600,
            sources: keys.sources.clone(),
            webhook_adapters: Vec::new(),
        }
    );
    let sources = keys.sources;
    assert!(sources.is_corroborating(&"netflow".parse().unwrap()));
    assert_eq!(sources.get(&"flow".parse().unwrap()).unwrap().silent_after_seconds, 90);
    let untold = load(&[], &[]).value.unwrap().correlation;
    assert_eq!(untold.without_adapters(), CorrelationSettings::default());
}

#[test]
fn terms_of_a_playbook_that_cannot_be_meant_are_found_with_their_line() {
    let playbooks = "playbooks:
  - name: all
    match: {vector: udp_flood}
    correlation: {min_sources: 0, confidence_threshold: 1.5}
    steps:
      - {action: police, rate_bps: 1000000, ttl_seconds: 120}
  - name: rest
    match: {vector: unknown}
    correlation:
      min_sources: 3
      confidence_decay_half_life_seconds: 601
    steps:
      - {action: police, rate_bps: 1000000, ttl_seconds: 120}
";
    let correlation = "enabled: true\nwindow_seconds: 60\nsources: {flow: {}}\n";
    let loaded = load(&[("playbooks.yaml", playbooks), ("correlation.yaml", correlation)], &[]);
    insta::assert_snapshot!(said(&loaded));
    let off = load(
        &[(
            "playbooks.yaml",
            &playbooks
                .replace("min_sources: 0, confidence_threshold: 1.5", "min_sources: 1")
                .replace("601", "600"),
        )],
        &[],
    );
    insta::assert_snapshot!(said(&off));
    assert!(off.value.is_some());
}

#[test]
fn a_quorum_that_can_hardly_be_is_a_warning() {
    for (text, warning) in [
        (
            "enabled: true\nmin_sources: 3\nsources: {a: {}, b: {mode: corroborating, match_dimensions: [pop]}}\n",
            "warning correlation.yaml:2: min_sources is 3, but only 2 sources are named: without one that has no entry there is never a quorum",
        ),
        (
            "enabled: true\nsources:\n  b: {mode: corroborating, match_dimensions: [pop]}\n",
            "warning correlation.yaml:2: every source that is named is corroborating, and those never trigger: nothing is mitigated unless a source without entry reports",
        ),
        (
            "enabled: true\ndefault_weight: 0\n",
            "warning correlation.yaml:2: default_weight is 0 and no source has a weight above 0: confidence is always 0",
        ),
        ("enabled: true\nmin_sources: 3\n", ""),
        ("min_sources: 3\nsources: {a: {}}\n", ""),
    ] {
        let loaded = load(&[("correlation.yaml", text)], &[]);
        assert_eq!(said(&loaded), warning, "{text}");
        assert!(loaded.value.is_some(), "{text}");
    }
}

#[test]
fn the_hash_changes_with_any_file() {
    let hash = |files: &[(&str, &str)]| load(files, &[]).value.unwrap().hash;
    assert_eq!(hash(&[]), hash(&[]));
    assert_ne!(hash(&[]), hash(&[("inventory.yaml", &format!("{INVENTORY}# one more\n"))]));
}

#[test]
fn instances_of_a_pop_may_differ_in_what_is_their_own_and_in_nothing_else() {
    let hash = |settings: &str, environment: &[(&str, &str)]| {
        let loaded = load(&[("prefixd.yaml", settings)], environment);
        loaded.value.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)).hash
    };
    let known = hash(SETTINGS, &[]);
    for (own, value) in [
        ("HTTP__LISTEN", "127.0.0.2:8081"),
        ("OBSERVABILITY__METRICS_LISTEN", "127.0.0.2:9091"),
        ("OBSERVABILITY__LOG_LEVEL", "debug"),
        ("STATE_DIR", "/elsewhere"),
        ("STORAGE__URL", "postgres://pooler/prefixd"),
    ] {
        assert_eq!(hash(SETTINGS, &[(&format!("PREFIXD__{own}"), value)]), known, "{own}");
    }
    assert_eq!(hash(&format!("# a remark\n{SETTINGS}"), &[]), known);
    for (common, value) in [
        ("QUOTAS__MAX_NEW_PER_MINUTE", "7"),
        ("TIMERS__MIN_TTL_SECONDS", "31"),
        ("CORRELATION__MIN_SOURCES", "2"),
        ("HTTP__CORS_ORIGIN", "https://noc.example.net"),
    ] {
        assert_ne!(hash(SETTINGS, &[(&format!("PREFIXD__{common}"), value)]), known, "{common}");
    }
    let embedded = |count: u32| hash(&format!("{SETTINGS}correlation: {{min_sources: {count}}}\n"), &[]);
    assert_ne!(embedded(2), embedded(3));
}

#[test]
fn a_large_inventory_is_read_straight_into_its_types() {
    use std::fmt::Write as _;
    let mut text = String::from("customers:\n");
    for number in 0..20_000 {
        let (high, low) = (number / 256, number % 256);
        writeln!(text, "  - customer_id: c{number}\n    name: Customer {number}\n    prefixes: [10.{high}.{low}.0/24]\n    services:\n      - service_id: s\n        assets: [{{ip: 10.{high}.{low}.1}}]\n        allowed_ports: {{udp: [53]}}").unwrap();
    }
    let loaded = load(&[("inventory.yaml", &text)], &[]);
    assert_eq!(said(&loaded), "");
    assert_eq!(loaded.value.unwrap().inventory.customers().len(), 20_000);
}

#[test]
fn a_component_that_is_switched_off_names_the_vectors_that_need_it() {
    let settings = format!("{SETTINGS}guardrails: {{allow_tcp_flags_match: false}}\n");
    let playbooks = format!("vectors: {{own_flood: {{protocol: tcp, tcp_flags: [psh]}}}}\n{PLAYBOOKS}");
    let loaded = load(&[("prefixd.yaml", &settings), ("playbooks.yaml", &playbooks)], &[]);
    assert_eq!(
        said(&loaded),
        "warning prefixd.yaml:4: while allow_tcp_flags_match is false, rules of these vectors are refused: \
         ack_flood, fin_flood, null_flood, own_flood, rst_flood, syn_flood, synack_flood, urg_flood"
    );
    assert!(loaded.value.is_some());
}

#[test]
fn webhook_adapters_are_compiled_with_secrets_of_the_environment() {
    let correlation = "webhook_adapters:
  - name: radware
    auth: {type: hmac, secret_env: RADWARE_SECRET}
    fields: {victim_ip: $.ip}
  - name: lab
    auth: {type: none}
    fields: {victim_ip: $.ip}
  - name: later
    enabled: false
    auth: {type: hmac, secret_env: NOBODY_SET_THIS}
    fields: {victim_ip: $.ip}
";
    let loaded = load(&[("correlation.yaml", correlation)], &[("RADWARE_SECRET", "s3cret")]);
    assert_eq!(
        said(&loaded),
        "warning correlation.yaml:6: webhook_adapters[1].auth: type none lets everybody who reaches the API report \
         attacks: for labs only"
    );
    let configuration = loaded.value.unwrap();
    assert_eq!(configuration.adapters.names().collect::<Vec<_>>(), ["lab", "radware"]);
    assert!(!format!("{configuration:?}").contains("s3cret"));
}

#[test]
fn mistakes_of_webhook_adapters_are_named_with_their_key() {
    let correlation = "webhook_adapters:
  - name: radware
    auth: {type: hmac, secret_env: RADWARE_SECRET}
    fields:
      victim_ip: ip
      bps: $.bps
    transforms:
      vector: {type: unit_conversion, multiplier: 2}
  - name: radware
    auth: {type: bearer}
    fields: {victim_ip: $.ip}
";
    let loaded = load(&[("correlation.yaml", correlation)], &[]);
    assert!(loaded.value.is_none());
    let said = said(&loaded);
    let lines: Vec<&str> = said.lines().collect();
    let beginnings = [
        "error correlation.yaml:3: webhook_adapters[0].auth.secret_env: the environment variable RADWARE_SECRET is not set",
        "error correlation.yaml:5: webhook_adapters[0].fields.victim_ip: \"ip\" is no JSONPath",
        "error correlation.yaml:8: webhook_adapters[0].transforms.vector: can only be regex_extract",
        "error correlation.yaml:9: webhook_adapters[1].name: \"radware\" is the name of another adapter",
    ];
    assert_eq!(lines.len(), beginnings.len(), "{said}");
    for (line, beginning) in lines.iter().zip(beginnings) {
        assert!(line.starts_with(beginning), "{line}");
    }
}
