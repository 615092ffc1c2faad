//! The folder of these tests.

use std::path::Path;

use serde_json::{Value, json};

const SETTINGS: &str = "pop: fra1
http:
  auth: {mode: none}
  rate_limit: {events_per_second: 1000000, burst: 1000000, requests_per_second: 1000000, requests_burst: 1000000}
bgp: {backend: mock, local_asn: 65010, router_id: 10.255.0.1}
quotas: {max_active_per_customer: 1000000, max_active_per_pop: 1000000, max_active_global: 1000000, max_new_per_minute: 1000000, max_announcements_per_peer: 1000000}
";
const INVENTORY: &str = "customers:\n  - {customer_id: acme, prefixes: [10.0.0.0/8]}\n";

/// A playbook whose every number tells which one it is.
pub(super) fn playbook(name: &str, number: u64) -> Value {
    json!({"name": name, "match": {"vector": "udp_flood"},
           "steps": [{"action": "police", "rate_bps": number * 1_000_000, "ttl_seconds": number * 100}]})
}

/// A folder with these files beside inventory.yaml; `more` is added to prefixd.yaml.
pub(super) fn folder(more: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let playbooks = json!({"playbooks": [playbook("one", 1)]}).to_string();
    let settings = format!("{SETTINGS}{more}");
    for (name, text) in
        [("prefixd.yaml", settings.as_str()), ("inventory.yaml", INVENTORY), ("playbooks.yaml", &playbooks)]
            .iter()
            .chain(files)
    {
        write(folder.path(), name, text);
    }
    folder
}

pub(super) fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// Every file with its text, the state of the daemon left out.
pub(super) fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}
