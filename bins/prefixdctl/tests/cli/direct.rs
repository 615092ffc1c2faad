//! The commands for the day on which nothing answers: they read the files, and say what they could not do. What they do to a
//! real speaker is told by the daemon's tests.

use super::program::{Program, Run};
use serde_json::{Value, json};
use std::path::Path;

/// A configuration folder with this text, and a speaker that is not there.
fn folder(settings: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prefixd.yaml"), settings).unwrap();
    folder
}

/// Everything but pop and bgp is broken.
const SETTINGS: &str = "pop: fra1\nbgp: {local_asn: 65010, router_id: 10.0.0.1, gobgp_grpc: '127.0.0.1:1', \
                        connect_timeout_seconds: 1}\nhttp: 5\nstorage: {url: \"${NOT_SET}\"}\n";

async fn ctl(folder: &Path, arguments: &[&str]) -> Run {
    let program = Program::bare(env!("CARGO_BIN_EXE_prefixdctl"));
    program.run(&[&["--config", folder.to_str().unwrap()], arguments].concat()).await
}

fn marker(folder: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(folder.join("data/panic.json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn a_direct_panic_leaves_its_marker_even_if_the_speaker_is_away() {
    let folder = folder(SETTINGS);
    let run = ctl(folder.path(), &["panic", "--direct", "--reason", "a drill", "-y"]).await.ended(2);
    assert!(run.stderr.contains("the speaker at 127.0.0.1:1 cannot be read"), "{}", run.stderr);
    assert!(run.stderr.contains("no daemon runs on this host"), "{}", run.stderr);
    let marker = marker(folder.path()).unwrap();
    assert_eq!(marker["reason"], "a drill");
    assert!(marker["panic_id"].is_string(), "{marker}");
    // no more digits than the microseconds of the audit, which takes it over
    let (_, fraction) = marker["started_at"].as_str().unwrap().split_once('.').unwrap();
    assert!(fraction.len() <= 7 && fraction.ends_with('Z'), "{marker}");
}

#[tokio::test]
async fn a_direct_panic_asks_first_and_rehearses_without_a_trace() {
    let folder = folder(SETTINGS);
    let run = ctl(folder.path(), &["panic", "--direct", "--reason", "a drill"]).await.ended(64);
    assert!(run.stderr.contains("--yes is required"), "{}", run.stderr);
    ctl(folder.path(), &["panic", "--direct", "--reason", "a drill", "--dry-run"]).await.ended(2);
    ctl(folder.path(), &["panic", "--direct", "--reason", "r", "-y", "--pop", "fra1"]).await.ended(64);
    assert_eq!(marker(folder.path()), None);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_with_its_place() {
    let folder = folder("pop: fra1\nbgp: {local_asn: 65010, router_id: 10.0.0.1, gobgp_gprc: x}\n");
    for line in [&["guard", "status"][..], &["panic", "--direct", "--reason", "r", "-y"]] {
        let run = ctl(folder.path(), line).await.ended(5);
        assert!(run.stderr.contains("prefixd.yaml:2: unknown key \"gobgp_gprc\""), "{}", run.stderr);
    }
    assert_eq!(marker(folder.path()), None);
    ctl(Path::new("/no/such/folder"), &["guard", "status"]).await.ended(5);
}

#[tokio::test]
async fn the_guards_status_shows_what_is_there_when_the_speaker_is_away() {
    let folder = folder(SETTINGS);
    let run = ctl(folder.path(), &["guard", "status"]).await.ended(2);
    assert!(run.stdout.starts_with("no guard has run on this host"), "{}", run.stdout);

    std::fs::create_dir(folder.path().join("data")).unwrap();
    let alive = json!({"pid": 7, "version": "0.1.0", "configuration": "c", "time": "2026-01-01T00:00:00Z",
        "counter": 1, "own_paths": 3, "overdue": 0, "untimed": 0, "next_not_after": null, "withdrawn": 4,
        "connected": false, "table_read_at": null, "problem": "the speaker is away"});
    std::fs::write(folder.path().join("data/guard.alive"), alive.to_string()).unwrap();
    let run = ctl(folder.path(), &["guard", "status"]).await.ended(2);
    assert!(run.stdout.starts_with("guard SILENT"), "{}", run.stdout);
    assert!(run.stdout.contains("the speaker is away"), "{}", run.stdout);
    let run = ctl(folder.path(), &["guard", "status", "-o", "json"]).await.ended(2);
    assert_eq!(run.json()["alive"], false);
    assert_eq!(run.json()["guard"]["withdrawn"], 4);
    assert_eq!(run.json()["own_paths"], Value::Null);
}
