//! The state folder: whom it belongs to, what lies in it, and who shares it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::program::{Daemon, PATIENCE, ends, fifo, folder, prefixd, signal};

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_state_folder_that_others_can_write_is_refused_with_what_to_do() {
    let folder = folder("");
    let state = folder.path().join("data");
    std::fs::create_dir(&state).unwrap();
    chmod(&state, 0o777);
    let (code, said) = ends(prefixd(folder.path()).args(["--listen", "127.0.0.1:0"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("state_dir: others than its owner may write to") && said.contains("chmod go-w"),
        "{said}"
    );
    chmod(&state, 0o750);
    Daemon::start(&mut prefixd(folder.path())).stops();
}

#[test]
fn a_pipe_as_panic_marker_hangs_neither_the_start_nor_the_stop() {
    let folder = folder("");
    let state = folder.path().join("data");
    std::fs::create_dir(&state).unwrap();
    chmod(&state, 0o700);
    let marker = fifo(&state.join("panic.json"));
    let daemon = Daemon::start(&mut prefixd(folder.path()));
    // and one that comes later: a look every 250 ms has found none in between, so that it is told again
    std::fs::remove_file(&marker).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    fifo(&marker);
    let line = daemon.logged("panic.json cannot be read");
    assert!(line.contains("is no regular file"), "{line}");
    assert_eq!(daemon.asked("GET", "/v1/health/ready", &serde_json::Value::Null).0, 200);
    daemon.stops();
}

#[test]
fn a_marker_that_anybody_may_have_written_freezes_nobody() {
    let folder = folder("");
    let daemon = Daemon::start(&mut prefixd(folder.path()));
    let marker = folder.path().join("data/panic.json");
    let text = r#"{"panic_id":"01900000-0000-7000-8000-000000000000","reason":"x","started_at":"2026-11-22T00:00:00Z","started_by":"x"}"#;
    let staged = folder.path().join("staged");
    std::fs::write(&staged, text).unwrap();
    chmod(&staged, 0o666);
    std::fs::rename(&staged, &marker).unwrap();
    let line = daemon.logged("panic.json cannot be read");
    assert!(line.contains("mode 0666"), "{line}");
    let (status, frozen) = daemon.asked("GET", "/v1/panic", &serde_json::Value::Null);
    assert!(status == 200 && frozen.contains("\"frozen\":false"), "{frozen}");
    // the same marker, for its owner alone, is obeyed
    chmod(&marker, 0o600);
    daemon.logged("frozen by a direct panic");
}

#[test]
fn a_second_daemon_with_another_database_in_the_same_state_folder_is_refused_if_it_announces() {
    let folder = folder("mode: enforced\n");
    let _first = Daemon::start(&mut prefixd(folder.path()));
    let other = folder.path().join("other.db");
    let mut second = prefixd(folder.path());
    second.env("PREFIXD__STORAGE__URL", format!("sqlite://{}", other.display()));
    let (code, said) = ends(second.args(["--listen", "127.0.0.1:0"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another prefixd runs in") && said.contains("a state_dir of its own"), "{said}");
    assert!(!other.exists(), "it was refused before it made anything");
}

#[test]
fn the_files_of_the_daemon_are_for_its_owner_alone() {
    let folder = folder("");
    let daemon = Daemon::start(&mut prefixd(folder.path()));
    let mode = |path: &str| folder.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    for name in ["prefixd.db", "prefixd.db-wal", "prefixd.db-shm", "prefixd.db.lock"] {
        assert_eq!(mode(&format!("data/{name}")), 0o600, "{name}");
    }
    daemon.stops();
    // as an older version left it
    chmod(&folder.path().join("data/prefixd.db"), 0o644);
    let daemon = Daemon::start(&mut prefixd(folder.path()));
    assert_eq!(mode("data/prefixd.db"), 0o600);
    daemon.stops();
}

#[test]
fn the_guard_gets_no_secret_of_the_daemon() {
    // nobody answers there: a guard waits for its speaker
    let folder = folder("mode: enforced\nstorage: {url: \"sqlite://${DATABASE_FILE}\"}\n");
    let database = folder.path().join("x.db");
    let mut command = prefixd(folder.path());
    command
        .env("PREFIXD__BGP__BACKEND", "gobgp")
        .env("PREFIXD__BGP__GOBGP_GRPC", "127.0.0.1:1")
        .env("DATABASE_FILE", &database)
        .env("PREFIXD_API_TOKEN", "hunter2-hunter2")
        .env("RADWARE_SECRET", "hunter3-hunter3");
    let daemon = Daemon::start(&mut command);
    let alive = folder.path().join("data/guard.alive");
    let deadline = Instant::now() + PATIENCE;
    let guard = loop {
        let pid = std::fs::read_to_string(&alive)
            .ok()
            .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok()?["pid"].as_u64());
        if let Some(pid) = pid {
            break u32::try_from(pid).unwrap();
        }
        assert!(Instant::now() < deadline, "no guard was started");
        std::thread::sleep(Duration::from_millis(20));
    };
    let environment = std::fs::read(format!("/proc/{guard}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).replace('\0', "\n");
    signal(guard, "KILL");
    drop(daemon);
    assert!(environment.contains("PREFIXD__BGP__GOBGP_GRPC=127.0.0.1:1"), "{environment}");
    for secret in ["PREFIXD_API_TOKEN", "RADWARE_SECRET", "DATABASE_FILE", "hunter"] {
        assert!(!environment.contains(secret), "{environment}");
    }
}
