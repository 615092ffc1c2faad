//! Candidates are checked like the files, against what runs.

use std::path::Path;

use prefix_policy::{Guardrails, InventoryDocument};

use super::*;
use crate::loaded::is_malformed;
use crate::settings::Keys;

const PLAYBOOKS: &str = r#"{"playbooks": [{"name": "floods", "match": {"vector": "udp_flood"},
    "steps": [{"action": "discard", "ttl_seconds": 600}]}]}"#;
const KEYS: &str = r#"{"pop": "fra1", "http": {"auth": {"mode": "none"}},
    "bgp": {"local_asn": 64500, "router_id": "192.0.2.1", "backend": "mock"}}"#;

/// Tries documents in the place of [`KEYS`] and [`PLAYBOOKS`].
fn tried(documents: Documents) -> Result<Policy, Vec<Diagnostic>> {
    let keys: Keys = serde_json::from_str(KEYS).unwrap();
    let settings = Settings::from_keys(keys, Path::new("/")).unwrap();
    let (guardrails, inventory) = (Guardrails::default(), InventoryDocument::default());
    let inventory = inventory.build(&guardrails).unwrap().value;
    let playbooks: PlaybooksDocument = serde_json::from_str(PLAYBOOKS).unwrap();
    let playbooks = playbooks.build(&guardrails, Some(&inventory)).unwrap().value;
    let correlation = CorrelationKeys::default();
    let base =
        Base { settings: &settings, inventory: &inventory, playbooks: &playbooks, correlation: &correlation };
    candidate(base, documents)
}

fn guardrails(section: Value) -> Documents {
    Documents { guardrails: Some(section), ..Documents::default() }
}

fn places(refused: &[Diagnostic]) -> Vec<String> {
    refused.iter().map(Diagnostic::pointer).collect()
}

#[test]
fn what_is_not_tried_stays_as_it_runs() {
    let policy = tried(Documents::default()).unwrap();
    assert_eq!(policy.parts().playbooks.iter().count(), 1);
    let policy = tried(guardrails(json!({"max_ports": 3}))).unwrap();
    assert_eq!(policy.parts().guardrails.max_ports, 3);
    assert_eq!(policy.parts().guardrails.max_lifetime_seconds, 86_400);
    assert_eq!(policy.parts().playbooks.iter().count(), 1);
}

#[test]
fn a_section_is_checked_like_the_file() {
    let unknown = tried(guardrails(json!({"max_port": 3}))).unwrap_err();
    assert!(is_malformed(&unknown));
    assert_eq!(places(&unknown), ["/guardrails/max_port"]);
    let broken = tried(guardrails(json!({"dst_prefix_minlen": 4}))).unwrap_err();
    assert!(!is_malformed(&broken));
    assert_eq!(places(&broken), ["/guardrails/dst_prefix_minlen"]);
}

#[test]
fn guardrails_must_let_the_playbooks_beside_them_pass() {
    let short = json!({"max_ttl_seconds": 300});
    let refused = tried(guardrails(short.clone())).unwrap_err();
    assert_eq!(places(&refused), ["/guardrails"]);
    assert!(refused[0].text.contains("the playbooks that run would be refused"));
    let fitting = json!({"playbooks": [{"name": "floods", "match": {"vector": "udp_flood"},
        "steps": [{"action": "discard", "ttl_seconds": 200}]}]});
    let both = Documents { guardrails: Some(short), playbooks: Some(fitting), correlation: None };
    assert!(tried(both).is_ok());
}

#[test]
fn mistakes_are_placed_in_the_request() {
    let playbooks = json!({"playbooks": [{"name": "x", "match": {"vector": "nope"}, "steps": []}]});
    let refused = tried(Documents { playbooks: Some(playbooks), ..Documents::default() }).unwrap_err();
    assert!(places(&refused).iter().all(|place| place.starts_with("/playbooks/playbooks/0")), "{refused:?}");
    let correlation = json!({"window_secs": 5});
    let refused = tried(Documents { correlation: Some(correlation), ..Documents::default() }).unwrap_err();
    assert_eq!(places(&refused), ["/correlation/window_secs"]);
}
