//! While events flow, each is decided by the one document or the other, and the file is whole at every moment.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use prefix_client::{AuditQuery, Client, ClientOptions, Mode};
use prefix_config::Environment;
use prefix_config::folder::{ConfigSource, Files};
use prefix_testkit::lab::Daemon;
use serde_json::json;

use super::files::{folder, playbook};

const CHANGES: u64 = 12;

fn client(daemon: &Daemon) -> Client {
    Client::new(ClientOptions::for_base(&daemon.url()).unwrap()).unwrap()
}

/// Posts until it is told to stop; returns which playbook decided each event.
async fn post(client: Client, next: Arc<AtomicU32>, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut decided = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let victim = Ipv4Addr::from(0x0a00_0000 + next.fetch_add(1, Ordering::Relaxed));
        let event = json!({"source": "lab", "victim_ip": victim, "vector": "udp_flood"});
        let event = serde_json::from_value(event).unwrap();
        let answer = client.send_event(&event, true).await.expect("an event was refused").value;
        let decision = answer.decision.unwrap();
        let (name, rule) = (decision.playbook.unwrap(), decision.rule.unwrap());
        let number = match name.as_str() {
            "one" => 1,
            "two" => 2,
            other => panic!("{other} was never a playbook"),
        };
        let facts = (rule.rate_bps.map(|rate| rate.0), rule.ttl_seconds.map(u64::from));
        assert_eq!(facts, (Some(number * 1_000_000), Some(number * 100)), "half of {name}");
        decided.push(name);
    }
    decided
}

/// Reads the folder again and again as a starting daemon would.
fn read(folder: &Path, stop: &AtomicBool) -> usize {
    let source = ConfigSource::new(Files::Folder(folder.to_owned()), Environment::new());
    let mut times = 0;
    while !stop.load(Ordering::Relaxed) {
        let loaded = source.load();
        assert!(loaded.value.is_some(), "{:?}", loaded.diagnostics);
        times += 1;
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_decided_by_one_document_and_the_file_is_whole_all_the_time() {
    let folder = folder("", &[]);
    let program = env!("CARGO_BIN_EXE_prefixd");
    let mut daemon = Daemon::with_configuration(folder.path()).program(program).start().await.unwrap();
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(1)));
    let posters: Vec<_> =
        (0..3).map(|_| tokio::spawn(post(client(&daemon), next.clone(), stop.clone()))).collect();
    let reader = {
        let (folder, stop) = (folder.path().to_owned(), stop.clone());
        tokio::task::spawn_blocking(move || read(&folder, &stop))
    };
    let reloads = {
        let (client, stop) = (client(&daemon), stop.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                client.reload(false, Mode::Apply).await.expect("a reload was refused");
            }
        })
    };
    let admin = client(&daemon);
    for change in 0..CHANGES {
        let (name, number) = if change % 2 == 0 { ("two", 2) } else { ("one", 1) };
        let document = json!({"playbooks": [playbook(name, number)]});
        admin.set_playbooks(&document, false, Mode::Apply).await.expect("a change was refused");
        // in force at once: what is sent from now on is decided by it
        let victim = Ipv4Addr::from(0x0a80_0000 + u32::try_from(change).unwrap());
        let event = json!({"source": "lab", "victim_ip": victim, "vector": "udp_flood"});
        let event = serde_json::from_value(event).unwrap();
        let decision = admin.send_event(&event, true).await.unwrap().value.decision.unwrap();
        assert_eq!(decision.playbook.as_deref(), Some(name));
    }
    stop.store(true, Ordering::Relaxed);
    let mut decided = Vec::new();
    for poster in posters {
        decided.extend(poster.await.unwrap());
    }
    reloads.await.unwrap();
    assert!(reader.await.unwrap() > 0);
    for name in ["one", "two"] {
        assert!(decided.iter().any(|decided| decided == name), "no event was decided by {name}");
    }

    let query = AuditQuery { action: Some("config_playbooks_update".to_owned()), ..AuditQuery::default() };
    let entries = admin.audit(&query).await.unwrap().value.items;
    assert_eq!(entries.len() as u64, CHANGES);
    let newest = &entries[0].details;
    let name = "playbooks[0].name";
    assert_eq!((&newest["before"][name], &newest["after"][name]), (&json!("two"), &json!("one")), "{newest}");

    let document = json!({"playbooks": [playbook("two", 2)]});
    admin.set_playbooks(&document, false, Mode::Apply).await.unwrap();
    daemon.kill9();
    daemon.start_again().await.unwrap();
    let shown = client(&daemon).config_playbooks().await.unwrap().value;
    assert_eq!(shown["playbooks"][0]["name"], "two");
    let backup = std::fs::read_to_string(folder.path().join("playbooks.yaml.bak")).unwrap();
    assert!(backup.contains("name: one"), "{backup}");
}
