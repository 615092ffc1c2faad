//! Commands that need no server.

use super::program::Program;
use std::path::{Path, PathBuf};

#[tokio::test]
async fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = Program::bare(env!("CARGO_BIN_EXE_prefixdctl")).run(&["completions", shell]).await.ended(0);
        assert!(run.stdout.contains("prefixdctl") && run.stdout.contains("mitigations"), "{shell}");
    }
}

/// A copy of prefixdctl with a daemon beside it that says `output` and exits with `code`.
fn beside(folder: &Path, output: &str, code: i32) -> PathBuf {
    let own = folder.join("prefixdctl");
    std::fs::hard_link(env!("CARGO_BIN_EXE_prefixdctl"), &own).unwrap();
    // Linked, not written: a script that any process still has open for writing cannot be run.
    let daemon = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/prefixd.sh");
    std::os::unix::fs::symlink(daemon, folder.join("prefixd")).unwrap();
    std::fs::write(folder.join("findings"), format!("{output}\n")).unwrap();
    std::fs::write(folder.join("code"), code.to_string()).unwrap();
    own
}

/// On the file system of the build, where a program can be linked.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[tokio::test]
async fn a_folder_with_errors_exits_5_and_shows_them() {
    let folder = folder();
    let output = "error playbooks.yaml:14: unknown key \"ttl_second\"\nwarning prefixd.yaml:3: auth is off";
    let own = beside(folder.path(), output, 1);
    let dir = folder.path().to_str().unwrap();
    let run = Program::bare(&own).run(&["config", "check", dir]).await.ended(5);
    assert!(run.stdout.contains("playbooks.yaml:14") && run.stdout.contains("auth is off"), "{}", run.stdout);
    assert!(run.stderr.ends_with("1 error(s), 1 warning(s)\n"), "{}", run.stderr);
    let run = Program::bare(&own).run(&["--config", dir, "config", "check", "-o", "json"]).await.ended(5);
    assert_eq!(run.json()[0]["place"], "playbooks.yaml:14");
    let run = Program::bare(&own).run(&["config", "check", dir, "-o", "csv"]).await.ended(5);
    assert!(run.stdout.starts_with("severity,place,text\nerror,playbooks.yaml:14,"), "{}", run.stdout);
}

#[tokio::test]
async fn a_folder_with_warnings_only_is_fine() {
    let folder = folder();
    let own = beside(folder.path(), "warning prefixd.yaml:3: auth is off", 0);
    Program::bare(&own).run(&["config", "check", folder.path().to_str().unwrap()]).await.ended(0);
}

#[tokio::test]
async fn a_daemon_that_fails_without_a_finding_is_no_verdict_on_the_files() {
    let folder = folder();
    let own = beside(folder.path(), "something else entirely", 101);
    let run = Program::bare(&own).run(&["config", "check", folder.path().to_str().unwrap()]).await.ended(1);
    assert!(run.stderr.contains("something else entirely"), "{}", run.stderr);
    Program::bare(&own).run(&["config", "check", "/no/such/folder"]).await.ended(5);
}
