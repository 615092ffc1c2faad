//! Documents that are sent are checked like the files, member by member.

use prefix_diagnostics::Kind;
use serde_json::{Map, json};

use super::*;
use crate::Environment;
use crate::folder::{ConfigSource, Files};

const RUNNING: &str = r#"{
    "vectors": {"sip_flood": {"protocol": "udp", "dst_ports": [5060]}},
    "default_playbook": "all",
    "playbooks": [{"name": "all", "match": {"vector": "udp_flood"},
                   "steps": [{"action": "police", "rate_bps": 1000000, "ttl_seconds": 120}]}]
}"#;

fn running() -> PlaybooksDocument {
    serde_json::from_str(RUNNING).unwrap()
}

fn put(body: Value) -> Loaded<Playbooks> {
    let (guardrails, keys) = (Guardrails::default(), CorrelationKeys::default());
    playbooks(body, &running(), &guardrails, &Inventory::default(), &keys)
}

fn put_correlation(body: Value, running: &Value) -> Loaded<CorrelationKeys> {
    let running = serde_json::from_value(running.clone()).unwrap();
    correlation(body, &running, &self::running())
}

fn said<T>(edited: &Loaded<T>) -> Vec<String> {
    let line = |finding: &Diagnostic| {
        let kind = if finding.kind == Kind::Shape { "shape" } else { "rule" };
        format!("{kind} {}: {}", finding.pointer(), finding.text)
    };
    edited.diagnostics.iter().map(line).collect()
}

fn playbook(name: &str) -> Value {
    json!({"name": name, "match": {"vector": "sip_flood"},
           "steps": [{"action": "police", "rate_bps": 2_000_000, "ttl_seconds": 120}]})
}

#[test]
fn a_member_that_is_left_out_stays_as_it_is_and_null_is_said() {
    let edited = put(json!({"playbooks": [playbook("all")]}));
    assert_eq!(said(&edited), [""; 0]);
    let value = edited.value.unwrap();
    assert_eq!(value.document().vectors, running().vectors);
    assert_eq!(value.document().default_playbook, running().default_playbook);
    assert_eq!(value.document().playbooks.len(), 1);

    let edited = put(json!({"playbooks": [playbook("sip")], "default_playbook": null}));
    assert_eq!(edited.value.unwrap().document().default_playbook, None);
    let edited = put(json!({"playbooks": [playbook("sip")]}));
    assert_eq!(said(&edited), ["rule /default_playbook: there is no playbook \"all\""]);
    let edited = put(json!({"vectors": {}}));
    assert_eq!(said(&edited), ["shape : missing key \"playbooks\": the whole list, in its order"]);
}

#[test]
fn an_answer_can_be_sent_back() {
    let vectors: Value = serde_json::to_value(
        Vectors::with_own(running().vectors)
            .iter()
            .map(|(n, t)| (n.to_string(), json!(t)))
            .collect::<Map<_, _>>(),
    )
    .unwrap();
    let body = json!({"playbooks": running().playbooks, "default_playbook": "all", "vectors": vectors,
                      "total_playbooks": 1, "loaded_at": "2026-01-01T00:00:00Z"});
    let edited = put(body);
    assert_eq!(said(&edited), [""; 0]);
    assert_eq!(*edited.value.unwrap().document(), running());
}

#[test]
fn wrong_shapes_are_told_from_broken_rules() {
    let edited = put(json!({
        "playbooks": [
            {"name": "a", "match": {"vector": 7}, "steps": "x"},
            {"name": "b", "match": {"vector": "nothing"}, "stepps": [],
             "steps": [{"action": "drop", "ttl_seconds": 120}, {"action": "discard", "ttl_seconds": 0}]},
        ],
        "vectors": [],
        "extra": 1,
    }));
    assert!(edited.value.is_none());
    insta::assert_snapshot!(said(&edited).join("\n"));
    let edited = put(json!([1]));
    assert_eq!(said(&edited)[0], "shape : expected a map of keys, found a list");
}

#[test]
fn a_correlation_keeps_what_it_does_not_name_and_its_hidden_secrets() {
    let adapter = |secret: Value| {
        json!({"name": "radware", "enabled": false, "auth": {"type": "hmac", "secret_env": secret},
               "fields": {"victim_ip": "$.ip"}})
    };
    let running = json!({"window_seconds": 60, "min_sources": 2, "webhook_adapters": [adapter(json!("RADWARE_SECRET"))]});
    let edited = put_correlation(
        json!({"min_sources": 3, "webhook_adapters": [adapter(json!("***"))], "loaded_at": "x"}),
        &running,
    );
    assert_eq!(said(&edited), [""; 0]);
    let value = edited.value.unwrap();
    assert_eq!((value.window_seconds, value.min_sources), (60, 3));
    assert_eq!(value.webhook_adapters[0].auth.secret_env.as_deref(), Some("RADWARE_SECRET"));
    let mut shown = json!(value);
    hide_secrets(&mut shown);
    assert!(!shown.to_string().contains("RADWARE_SECRET"), "{shown}");

    let mut stranger = adapter(json!("***"));
    stranger["name"] = json!("other");
    let edited = put_correlation(json!({"webhook_adapters": [stranger]}), &running);
    assert_eq!(edited.diagnostics[0].pointer(), "/webhook_adapters/0/auth/secret_env");
    assert!(edited.value.is_none());
}

#[test]
fn a_correlation_must_not_contradict_the_playbooks_that_run() {
    let mut playbooks = running();
    playbooks.playbooks[0].correlation =
        serde_json::from_value(json!({"confidence_decay_half_life_seconds": 700})).unwrap();
    let edited = correlation(json!({"window_seconds": 60}), &CorrelationKeys::default(), &playbooks);
    assert_eq!(
        said(&edited),
        [
            "rule /window_seconds: playbook \"all\" has confidence_decay_half_life_seconds 700, with this window at most 600 are allowed"
        ]
    );
    let edited = put_correlation(
        json!({"confidence_mode": "median", "min_sources": "two", "confidence_threshold": 2, "x": 1}),
        &json!({}),
    );
    insta::assert_snapshot!(said(&edited).join("\n"));
}

#[test]
fn what_is_written_reads_back_as_what_was_sent() {
    let words = [
        "yes", "0x10", "1e3", "~", "a: b", "# x", "- y", "${HOME}", "$${X}", " pad ", "ü\t\n", "'q\"", "{}",
        "",
    ];
    let mut document = running();
    let (name, template) = document.vectors.iter().next().map(|(n, t)| (n.clone(), t.clone())).unwrap();
    for word in words {
        let mut template = template.clone();
        template.description = (*word).into();
        document.vectors.insert(name.clone(), template);
        let text =
            text::text_of(Document::Playbooks, &document).unwrap_or_else(|error| panic!("{word:?}: {error}"));
        assert!(text.starts_with("# Written by prefixd"), "{text}");
    }
    let keys: CorrelationKeys = serde_json::from_value(json!({
        "confidence_threshold": 0.1, "default_weight": 1e-9,
        "sources": {"a.b:c": {"type": "null", "confidence_mapping": {"true": 0.5}}},
        "webhook_adapters": [{"name": "x", "enabled": false, "auth": {"type": "none"}, "fields": {"victim_ip": "$.a[?@.b == 'c']"},
                              "transforms": {"bps": {"type": "regex_extract", "pattern": "^\\d+ ${n}$", "group": 0}}}],
    }))
    .unwrap();
    let text = text::text_of(Document::Correlation, &keys).unwrap();
    assert!(text.contains("$${n}"), "{text}");
}

fn obstacles(files: &[(&str, &str)], environment: &[(&str, &str)], document: Document) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let environment: Environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let source = ConfigSource::new(Files::Folder(folder.path().to_owned()), environment);
    source.obstacles(document).iter().map(Diagnostic::pointer).collect()
}

#[test]
fn the_environment_stands_in_the_way_and_is_named() {
    let over = [("PREFIXD__PLAYBOOKS__DEFAULT_PLAYBOOK", "x"), ("PREFIXD__POP", "y")];
    assert_eq!(obstacles(&[], &over, Document::Playbooks), ["PREFIXD__PLAYBOOKS__DEFAULT_PLAYBOOK"]);
    assert_eq!(obstacles(&[], &over, Document::Correlation), [""; 0]);
    let file = (
        "correlation.yaml",
        "# ${NOT}\nmin_sources: 1\nsources:\n  a:\n    type: '$${literal}'\n    weight: ${W}\n",
    );
    assert_eq!(obstacles(&[file], &[], Document::Correlation), ["correlation.yaml:6"]);
    let section = ("prefixd.yaml", "pop: ${POP}\ncorrelation:\n  min_sources: ${N:-1}\n");
    assert_eq!(obstacles(&[section], &[], Document::Correlation), ["prefixd.yaml:3"]);
    assert_eq!(obstacles(&[section, ("correlation.yaml", "")], &[], Document::Correlation), [""; 0]);
    assert_eq!(
        obstacles(&[("playbooks.yaml", "a: [")], &[], Document::Playbooks),
        [""; 0],
        "it is to be mended"
    );
}

#[test]
fn a_file_of_another_host_becomes_a_body_without_its_variables() {
    let read = |text: &str| body::of_text("x.yaml", text);
    let yaml = "a: &x [1, -2, 0.5, yes, true, ~]\nb: {c: *x}\n'5': '$${literal}'\n";
    assert_eq!(
        read(yaml),
        Ok(
            json!({"a": [1, -2, 0.5, "yes", true, null], "b": {"c": [1, -2, 0.5, "yes", true, null]}, "5": "${literal}"})
        )
    );
    assert_eq!(read(r#"{"a": "\u00fc\n", "b": 1e3}"#), Ok(json!({"a": "ü\n", "b": 1000.0})));
    let places =
        |text: &str| -> Vec<String> { read(text).unwrap_err().iter().map(Diagnostic::pointer).collect() };
    assert_eq!(places("a: 1\nb: ${X}\na: 2\n"), ["x.yaml:3", "x.yaml:2"]);
    assert_eq!(places("a: ["), ["x.yaml:1"]);
}
