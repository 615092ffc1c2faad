//! Expressions of a request that explode: the daemon refuses them, lives on, and keeps its memory.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::program::{Daemon, folder, prefixd};

fn adapter(name: &str, fields: &Value, transforms: &Value) -> Value {
    let mut adapter = json!({"name": name, "auth": {"type": "none"}, "fields": {"victim_ip": "$.ip"}, "transforms": transforms});
    for (field, path) in fields.as_object().unwrap() {
        adapter["fields"][field] = path.clone();
    }
    adapter
}

/// The resident memory of a process, in MiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

#[test]
fn paths_and_patterns_that_explode_are_refused_and_the_next_change_finds_the_way_free() {
    let folder = folder("");
    let daemon = Daemon::start(&mut prefixd(folder.path()));
    let before = resident(daemon.pid());
    let parentheses = format!("$[?{}@.a{}]", "(".repeat(1000), ")".repeat(1000));
    let short = format!("$[?{}@.a{}]", "(".repeat(200), ")".repeat(200));
    let filters = |count: usize| format!("${}{}", "[?@.a".repeat(count), "]".repeat(count));
    let pattern = |text: &str| json!({"vector": {"type": "regex_extract", "pattern": text}});
    let none = json!({});
    let many: Vec<Value> =
        (0..200).map(|number| adapter(&format!("a-{number}"), &none, &pattern(r"\w{9}"))).collect();
    let bombs = [
        (vec![adapter("a", &json!({"bps": parentheses}), &none)], "at most 512 are accepted"),
        (vec![adapter("a", &json!({"bps": short}), &none)], "nested deeper than"),
        (vec![adapter("a", &json!({"bps": filters(20)}), &none)], "nested deeper than"),
        (vec![adapter("a", &json!({"bps": filters(60)}), &none)], "nested deeper than"),
        (vec![adapter("a", &none, &pattern("((a{999}){999}){999}"))], "KiB of memory"),
        (many, "KiB of memory"),
    ];
    for (adapters, part) in bombs {
        let began = Instant::now();
        let document = json!({ "webhook_adapters": adapters });
        for query in ["?dry_run=true", ""] {
            let (status, said) = daemon.asked("PUT", &format!("/v1/config/correlation{query}"), &document);
            assert!(status == 422 && said.contains(part), "{status} {said:.2000}");
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{part}: {:?}", began.elapsed());
    }
    let grown = resident(daemon.pid()).saturating_sub(before);
    assert!(grown < 100, "{grown} MiB more than before");
    let good = json!({"webhook_adapters": [adapter("a", &json!({"bps": "$.rate[?@.unit == 'bps'].value"}), &pattern("([a-z_]+)"))]});
    let (status, said) = daemon.asked("PUT", "/v1/config/correlation", &good);
    assert_eq!(status, 200, "{said}");
    assert_eq!(daemon.asked("POST", "/v1/config/reload", &Value::Null).0, 200);
    daemon.stops();
}
