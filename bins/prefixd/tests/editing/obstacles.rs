//! What a document may not be replaced over, and what a rehearsal leaves alone.

use prefix_client::{ApiError, AuditQuery, Client, ClientOptions, Mode, Outcome, Problem};
use prefix_testkit::lab::Daemon;
use serde_json::{Value, json};

use super::files::{files, folder, playbook};

async fn start(folder: &tempfile::TempDir, environment: &[(&str, &str)]) -> (Daemon, Client) {
    let mut builder = Daemon::with_configuration(folder.path()).program(env!("CARGO_BIN_EXE_prefixd"));
    for (name, value) in environment {
        builder = builder.env(name, *value);
    }
    let daemon = builder.start().await.unwrap();
    let client = Client::new(ClientOptions::for_base(&daemon.url()).unwrap()).unwrap();
    (daemon, client)
}

fn refused<T: std::fmt::Debug>(answer: Result<T, ApiError>) -> (u16, String) {
    let error = answer.unwrap_err();
    let code = error.problem().map(Problem::code).unwrap_or_default();
    (error.status().unwrap(), format!("{code}: {error}"))
}

#[tokio::test]
async fn a_section_of_prefixd_yaml_becomes_a_file_that_wins() {
    let adapter = "\n  webhook_adapters: [{name: x, enabled: false, auth: {type: hmac, secret_env: X_SECRET}, fields: {victim_ip: $.ip}}]\n";
    let folder = folder(&format!("correlation:\n  min_sources: 2\n  window_seconds: 60{adapter}"), &[]);
    let (mut daemon, client) = start(&folder, &[]).await;
    let mut shown = client.config_correlation().await.unwrap().value;
    assert_eq!((&shown["min_sources"], &shown["window_seconds"]), (&json!(2), &json!(60)));
    assert_eq!(shown["webhook_adapters"][0]["auth"]["secret_env"], "X_SECRET", "everyone is admin here");
    assert!(shown["loaded_at"].is_string());

    // what GET shows can be sent back
    shown["min_sources"] = json!(3);
    shown["webhook_adapters"][0]["auth"]["secret_env"] = json!("***");
    let before = files(folder.path());
    let rehearsed = client.set_correlation(&shown, false, Mode::DryRun).await.unwrap().value;
    let Outcome::Rehearsed(rehearsal) = rehearsed else { panic!("{rehearsed:?}") };
    let changes = rehearsal.result.unwrap().changes;
    assert_eq!((changes.len(), changes[0].path.as_str()), (1, "min_sources"), "{changes:?}");
    assert_eq!(files(folder.path()), before, "a rehearsal writes nothing");

    client.set_correlation(&shown, false, Mode::Apply).await.unwrap();
    assert_eq!(client.config_correlation().await.unwrap().value["min_sources"], 3);
    let query = AuditQuery { action: Some("config_correlation_update".to_owned()), ..AuditQuery::default() };
    let entry = client.audit(&query).await.unwrap().value.items.remove(0);
    assert_eq!(entry.details["before"], json!({"min_sources": 2}));
    assert_eq!(entry.details["after"], json!({"min_sources": 3}));
    assert!(!entry.details.to_string().contains("X_SECRET"));

    daemon.kill9();
    daemon.start_again().await.unwrap();
    let shown = client.config_correlation().await.unwrap().value;
    assert_eq!((&shown["min_sources"], &shown["window_seconds"]), (&json!(3), &json!(60)));
    assert_eq!(shown["webhook_adapters"][0]["auth"]["secret_env"], "X_SECRET");
    assert!(daemon.log().contains("the key \"correlation\" is not used"), "{}", daemon.log());
}

#[tokio::test]
async fn links_variables_and_overrides_are_refused_and_nothing_changes() {
    let folder = folder("", &[("correlation.yaml", "min_sources: ${SOURCES:-2}\n")]);
    let real = folder.path().join("real.yaml");
    let file = folder.path().join("playbooks.yaml");
    std::fs::rename(&file, &real).unwrap();
    std::os::unix::fs::symlink(&real, &file).unwrap();
    let before = files(folder.path());
    let (daemon, client) = start(&folder, &[]).await;
    let document = json!({"playbooks": [playbook("two", 2)]});
    let (status, said) = refused(client.set_playbooks(&document, false, Mode::Apply).await);
    assert!(status == 422 && said.starts_with("not-allowed") && said.contains("symbolic link"), "{said}");
    let (status, said) =
        refused(client.set_correlation(&json!({"min_sources": 1}), false, Mode::Apply).await);
    assert!(
        status == 422 && said.starts_with("not-allowed") && said.contains("correlation.yaml:1"),
        "{said}"
    );
    assert_eq!(files(folder.path()), before);
    assert_eq!(client.config_playbooks().await.unwrap().value["playbooks"][0]["name"], "one");
    drop(daemon);

    std::fs::remove_file(&file).unwrap();
    std::fs::rename(&real, &file).unwrap();
    let (_daemon, client) = start(&folder, &[("PREFIXD__PLAYBOOKS__DEFAULT_PLAYBOOK", "one")]).await;
    let (status, said) = refused(client.set_playbooks(&document, false, Mode::DryRun).await);
    assert_eq!(status, 422);
    assert!(
        said.starts_with("not-allowed") && said.contains("PREFIXD__PLAYBOOKS__DEFAULT_PLAYBOOK"),
        "{said}"
    );
}

#[tokio::test]
async fn mistakes_are_told_by_their_place_and_files_are_compared_with_what_runs() {
    let folder = folder("", &[]);
    let (_daemon, client) = start(&folder, &[]).await;
    let before = files(folder.path());
    let places = |error: ApiError| -> Vec<String> {
        error.problem().unwrap().errors.iter().map(|error| error.pointer.clone()).collect()
    };
    let set = async |document: Value| client.set_playbooks(&document, false, Mode::Apply).await.unwrap_err();
    let error = set(json!({"playbooks": "x", "extra": 1})).await;
    assert_eq!(error.status(), Some(400));
    assert_eq!(places(error), ["/extra", "/playbooks"]);
    let error = set(json!({"playbooks": []})).await;
    assert_eq!(error.status(), Some(422));
    assert_eq!(places(error), ["/playbooks"]);
    assert_eq!(files(folder.path()), before);

    let edited = json!({"playbooks": [playbook("one", 3)]}).to_string();
    std::fs::write(folder.path().join("playbooks.yaml"), edited).unwrap();
    let answer = client.reload(false, Mode::DryRun).await.unwrap().value;
    let changes = answer.result().unwrap().changes.clone().unwrap();
    let said: Vec<_> = changes
        .iter()
        .map(|change| (change.file.as_str(), change.path.as_str(), change.old.clone(), change.new.clone()))
        .collect();
    assert_eq!(
        said,
        [
            ("playbooks.yaml", "playbooks[0].steps[0].rate_bps", json!(1_000_000), json!(3_000_000)),
            ("playbooks.yaml", "playbooks[0].steps[0].ttl_seconds", json!(100), json!(300)),
        ]
    );
}
