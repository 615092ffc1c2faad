//! Who may do what: the login that is kept, and the first admin, who is made at the database.

use super::program::{Program, Run, problem, server};
use prefix_store::{Options, StoreUrl, open};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SETTINGS: &str = "pop: fra1\nbgp: {backend: mock, local_asn: 65010, router_id: 10.0.0.1}\n\
                        storage: {url: 'sqlite://data/prefixd.db'}\n";
const PASSWORD: &str = "a sentence of mine";

/// The folder of a daemon's host, with a home below it.
fn host() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prefixd.yaml"), SETTINGS).unwrap();
    std::fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
    std::fs::create_dir(folder.path().join("home")).unwrap();
    folder
}

async fn ctl(host: &Path, api: &str, arguments: &[&str]) -> Run {
    let home = host.join("home");
    let password = host.join("password");
    let arguments: Vec<&str> = arguments
        .iter()
        .map(|word| if *word == "PASSWORD" { password.to_str().unwrap() } else { word })
        .collect();
    let program = Program::new(api).env("HOME", home.to_str().unwrap()).env("XDG_CONFIG_HOME", "");
    program.run(&[&["--config", host.to_str().unwrap()], &arguments[..]].concat()).await
}

/// Nobody answers there.
const NOBODY: &str = "http://127.0.0.1:1";

#[tokio::test]
async fn a_login_is_kept_for_its_server_and_readable_by_nobody_else() {
    let (host, server) = (host(), MockServer::start().await);
    let who =
        json!({"operator_id": "0193f0a0-0000-7000-8000-000000000001", "username": "ada", "role": "admin"});
    Mock::given(method("POST"))
        .and(path("/v1/auth/login"))
        .and(header("sec-fetch-site", "none"))
        .respond_with(
            ResponseTemplate::new(200)
                .insert_header("set-cookie", "session=planted; Path=/; HttpOnly")
                .set_body_json(&who),
        )
        .mount(&server)
        .await;
    let me = json!({"operator_id": null, "username": "ada", "role": "admin", "auth_method": "session", "sources": []});
    Mock::given(method("GET"))
        .and(path("/v1/auth/me"))
        .and(header("cookie", "session=planted"))
        .respond_with(ResponseTemplate::new(200).set_body_json(me))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/v1/auth/logout"))
        .and(header("cookie", "session=planted"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let api = server.uri();
    let login = ["login", "--username", "ada", "--password-file", "PASSWORD", "-v"];
    let run = ctl(host.path(), &api, &login).await.ended(0);
    assert!(run.stderr.contains("logged in as ada (admin)"), "{}", run.stderr);
    assert!(!run.stderr.contains("planted") && !run.stderr.contains(PASSWORD), "{}", run.stderr);
    let file = host.path().join("home/.config/prefixdctl/logins.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(ctl(host.path(), &api, &["whoami"]).await.ended(0).stdout.contains("session"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let run = ctl(host.path(), &api, &["whoami"]).await.ended(1);
    assert!(run.stderr.contains("others can read it"), "{}", run.stderr);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    ctl(host.path(), &api, &["logout"]).await.ended(0);
    let run = ctl(host.path(), &api, &["logout"]).await.ended(0);
    assert_eq!(run.stderr, "not logged in\n");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_what_would_help() {
    let host = host();
    let refused = server(401, &problem(401, "unauthenticated", "credentials are missing").to_string()).await;
    let run = ctl(host.path(), &refused.uri(), &["operators", "list"]).await.ended(3);
    assert!(run.stderr.contains("prefixdctl login"), "{}", run.stderr);
    let low = problem(403, "forbidden", "role viewer may not do this; it needs one of: admin");
    let run =
        ctl(host.path(), &server(403, &low.to_string()).await.uri(), &["tokens", "list"]).await.ended(3);
    assert!(run.stderr.contains("it needs one of: admin"), "{}", run.stderr);
}

#[tokio::test]
async fn the_first_admin_is_made_at_the_database_and_the_second_is_not() {
    let host = host();
    let create = |name: &'static str| {
        ["operators", "create", "--username", name, "--role", "admin", "--password-file", "PASSWORD"]
    };
    // no database is made by this
    ctl(host.path(), NOBODY, &create("admin")).await.ended(2);
    assert!(!host.path().join("data").exists());
    let url = StoreUrl::Sqlite(host.path().join("data/prefixd.db"));
    let store = open(&url, Options::default()).await.unwrap();
    let run = ctl(host.path(), NOBODY, &create("admin")).await.ended(0);
    assert!(run.stdout.contains("admin"), "{}", run.stdout);
    let operators = store.operators().await.unwrap();
    assert_eq!(operators[0].username.as_str(), "admin");
    assert!(operators[0].password.as_ref().unwrap().expose().starts_with("$argon2id$"));
    assert!(store.access_state().await.unwrap().has_admin);
    // from now on it is the server's
    ctl(host.path(), NOBODY, &create("eve")).await.ended(2);
    assert_eq!(store.operators().await.unwrap().len(), 1);
    let direct = [&create("rescue")[..], &["--direct"]].concat();
    ctl(host.path(), NOBODY, &direct).await.ended(0);
    let taken = ctl(host.path(), NOBODY, &direct).await.ended(5);
    assert!(taken.stderr.contains("already"), "{}", taken.stderr);
    let audit = store.audit(&prefix_core::ports::AuditQuery::default()).await.unwrap().items;
    assert_eq!(audit.len(), 2);
    assert!(audit.iter().all(|entry| entry.actor.id.as_ref().unwrap().starts_with("direct:")));
    assert!(!format!("{audit:?}").contains(PASSWORD));
}

#[tokio::test]
async fn a_common_password_and_two_that_differ_are_refused_here() {
    let host = host();
    let url = StoreUrl::Sqlite(host.path().join("data/prefixd.db"));
    let store = open(&url, Options::default()).await.unwrap();
    let create = ["operators", "create", "--username", "admin", "--role", "admin"];
    let common = [&create[..], &["--password", "Password1234"]].concat();
    let run = ctl(host.path(), NOBODY, &common).await.ended(5);
    assert!(run.stderr.contains("most common") && !run.stderr.contains("Password1234"), "{}", run.stderr);
    let run = ctl(host.path(), NOBODY, &create).await.ended(64);
    assert!(run.stderr.contains("--password-file"), "without a terminal: {}", run.stderr);
    assert!(store.operators().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_token_is_alone_on_stdout() {
    let host = host();
    let url = StoreUrl::Sqlite(host.path().join("data/prefixd.db"));
    let store = open(&url, Options::default()).await.unwrap();
    let create = ["tokens", "create", "--direct", "--name", "fnm", "--role", "detector"];
    let run = ctl(host.path(), NOBODY, &create).await.ended(5);
    assert!(run.stderr.contains("--source"), "{}", run.stderr);
    let run = ctl(host.path(), NOBODY, &[&create[..], &["--source", "fnm"]].concat()).await.ended(0);
    assert!(run.stdout.starts_with("pfx_") && run.stdout.len() == 48, "{}", run.stdout);
    let stored = store.tokens().await.unwrap();
    assert_eq!(stored[0].digest, prefix_core::access::CredentialDigest::of(run.stdout.trim().as_bytes()));
}
