//! The daemon's launcher keeps its promises, shown with a stand-in that only answers its health check.

use prefix_testkit::lab::{Daemon, DaemonBuilder, get};
use std::path::Path;

fn stand_in(folder: &Path) -> DaemonBuilder {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand_in/prefixd.py");
    Daemon::with_configuration(folder).program(program)
}

#[tokio::test]
async fn a_daemon_is_started_killed_and_started_again_on_the_same_address() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = stand_in(folder.path()).env("GREETING", "hello").start().await.unwrap();
    assert_eq!(daemon.get("/v1/health/ready").await.unwrap().body, "hello");
    assert_eq!(daemon.get("/v1/elsewhere").await.unwrap().status, 404);

    let (url, address) = (daemon.url(), daemon.http_address());
    daemon.kill9();
    assert!(get(address, "/v1/health/ready").await.is_err());
    daemon.start_again().await.unwrap();
    assert_eq!(daemon.url(), url);
    assert!(!daemon.sigterm().await.unwrap().success(), "the stand-in does not handle SIGTERM");
}

#[tokio::test]
async fn a_daemon_that_refuses_its_configuration_is_reported_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let error = stand_in(folder.path()).argument("--refuse").start().await.unwrap_err().to_string();
    assert!(error.contains("prefixd.yaml:3: unknown key"), "{error}");
}
