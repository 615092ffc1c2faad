//! The schema, told and brought up to date with no server at all.

use super::program::{Program, Run};
use prefix_store::{Options, StoreUrl, open};
use std::path::Path;
use std::process::Command;

/// A configuration of which only the storage can be read.
const SETTINGS: &str = "http: 5\nbgp: {}\nstorage: {url: 'sqlite://data/prefixd.db'}\n";

fn folder(settings: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prefixd.yaml"), settings).unwrap();
    folder
}

async fn ctl(folder: &Path, arguments: &[&str]) -> Run {
    let program = Program::bare(env!("CARGO_BIN_EXE_prefixdctl"));
    let mut run = program.run(&[&["--config", folder.to_str().unwrap()], arguments].concat()).await;
    for text in [&mut run.stdout, &mut run.stderr] {
        *text = text.replace(folder.to_str().unwrap(), "DIR");
    }
    run
}

fn set_version(folder: &Path, version: u8) {
    let script =
        "import sqlite3,sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version='+sys.argv[2])";
    let file = folder.join("data/prefixd.db");
    let status = Command::new("python3").args(["-c", script]).arg(file).arg(version.to_string()).status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn the_schema_is_told_rehearsed_and_brought_up_to_date() {
    let folder = folder(SETTINGS);
    let dir = folder.path();
    let mut said = Vec::new();
    for line in [
        "migrations status",
        "migrations run --dry-run",
        "migrations run",
        "migrations run",
        "migrations run -o json",
        "migrations status -o wide",
        "migrations status -o json",
        "migrations status -o yaml",
        "migrations status -o csv",
    ] {
        let is_new = !dir.join("data").exists();
        let run = ctl(dir, &line.split(' ').collect::<Vec<_>>()).await.ended(0);
        said.push(format!("$ prefixdctl {line}\n{}{}", run.stdout, run.stderr));
        assert_eq!(is_new && line != "migrations run", !dir.join("data").exists(), "{line}");
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[tokio::test]
async fn a_broken_configuration_is_told_line_by_line() {
    let folder = folder("pop: \"FRA 1\"\nstorage: {url: 5}\n");
    for line in ["migrations status", "guard status", "panic --direct --reason drill --yes"] {
        let run = ctl(folder.path(), &line.split(' ').collect::<Vec<_>>()).await.ended(5);
        let lines: Vec<_> = run.stderr.lines().collect();
        assert_eq!(lines[0], "error: the configuration cannot be used", "{line}");
        assert!(lines.len() > 1 && lines[1].starts_with("error DIR/prefixd.yaml"), "{line}: {}", run.stderr);
        assert!(!run.stderr.contains("\\n"), "{line}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_not_migrated_under_its_daemon() {
    let folder = folder(SETTINGS);
    let dir = folder.path();
    let url = StoreUrl::Sqlite(dir.join("data/prefixd.db"));
    let daemon = open(&url, Options::default()).await.unwrap();
    ctl(dir, &["migrations", "run"]).await.ended(0);
    // as if the daemon were one version older
    set_version(dir, 3);
    let status = ctl(dir, &["migrations", "status", "-o", "csv"]).await.ended(0);
    assert_eq!(
        status.stdout,
        "version,name,state,applied_at\n1,foundation,applied,\n2,safety,applied,\n3,signals,applied,\n4,admission,pending,\n5,time,pending,\n"
    );
    let run = ctl(dir, &["migrations", "run"]).await.ended(5);
    insta::assert_snapshot!(run.stderr, @"error: DIR/data/prefixd.db is in use by a prefixd that is older than this program: stop it, then run the migrations, or start a new prefixd, which runs them itself");
    assert_eq!(run.stdout, "");
    drop(daemon);
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_left_alone() {
    let folder = folder(SETTINGS);
    ctl(folder.path(), &["migrations", "run", "-q"]).await.ended(0);
    set_version(folder.path(), 77);
    for line in [&["migrations", "status"][..], &["migrations", "run"], &["migrations", "run", "--dry-run"]] {
        let run = ctl(folder.path(), line).await.ended(1);
        assert!(run.stderr.contains("the database is at schema version 77"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn the_environment_names_another_database_and_needs_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let status = async |url: &str| {
        let program = Program::bare(env!("CARGO_BIN_EXE_prefixdctl")).env("DATABASE_URL", url);
        program.run(&["--config", folder.path().to_str().unwrap(), "migrations", "status"]).await
    };
    let run = status("sqlite://other.db").await.ended(0);
    assert!(run.stdout.contains("pending"), "{}", run.stdout);
    let run = status("postgres://user:secret@127.0.0.1:1/prefixd").await.ended(2);
    assert!(run.stderr.contains("127.0.0.1:1/prefixd") && !run.stderr.contains("secret"), "{}", run.stderr);
    let run = status("oracle://user:secret@db").await.ended(5);
    assert!(run.stderr.contains("DATABASE_URL") && !run.stderr.contains("secret"), "{}", run.stderr);
    let run = ctl(folder.path(), &["migrations", "status"]).await.ended(5);
    assert!(run.stderr.contains("the file is missing"), "{}", run.stderr);
}
