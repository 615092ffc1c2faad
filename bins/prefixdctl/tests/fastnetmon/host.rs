//! A host with `FastNetMon`: the notify script, a spool, settings, and a prefixdctl that only writes down.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Longer than any pause between two tries in these tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it does: writes down arguments, environment and standard input, in this order, each call in a folder of its own,
/// and ends as the file `ending` says.
const PREFIXDCTL: &str = "#!/bin/sh
call=$(mktemp -d \"$HOST/calls/.XXXXXX\")
echo \"$*\" >\"$call/arguments\"
echo \"${PREFIXD_API-} ${PREFIXD_API_TOKEN-}\" >\"$call/environment\"
cat >\"$call/stdin\"
mv \"$call\" \"$HOST/calls/$(date +%s%N)\"
. \"$HOST/ending\"
";

pub(crate) fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/fastnetmon/prefixd-fastnetmon")
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fastnetmon")
}

pub(crate) struct Host(tempfile::TempDir);

/// How a call of the script ended.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) code: i32,
    pub(crate) stderr: String,
    pub(crate) took_all_of_stdin: bool,
}

/// What prefixdctl was given.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) arguments: String,
    /// `PREFIXD_API` and `PREFIXD_API_TOKEN`.
    pub(crate) environment: String,
    pub(crate) stdin: String,
}

impl Host {
    pub(crate) fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        for folder in ["bin", "calls", "spool"] {
            fs::create_dir(host.path(folder)).unwrap();
        }
        let program = host.path("bin/prefixdctl");
        fs::write(&program, PREFIXDCTL).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        host.prefixdctl_exits_with(0);
        host
    }

    pub(crate) fn settings(&self, text: &str) {
        fs::write(self.path("fastnetmon.env"), text).unwrap();
    }

    pub(crate) fn prefixdctl_exits_with(&self, code: i32) {
        self.prefixdctl_ends_with(&format!("echo \"error: it exits with {code}\" >&2; exit {code}"));
    }

    pub(crate) fn prefixdctl_hangs(&self) {
        self.prefixdctl_ends_with("exec sleep 60");
    }

    fn prefixdctl_ends_with(&self, text: &str) {
        // Renamed, so that a call at this moment sees one or the other.
        fs::write(self.path("ending.new"), text).unwrap();
        fs::rename(self.path("ending.new"), self.path("ending")).unwrap();
    }

    /// Calls the script, as `FastNetMon` does.
    pub(crate) fn calls(&self, words: &[&str], text: &[u8]) -> Called {
        let path = std::env::var("PATH").unwrap_or_default();
        // A file, because a process in the background may live longer than the call.
        let stderr = self.path("stderr");
        let mut script = Command::new(script())
            .args(words)
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HOST", self.0.path())
            .env("PREFIXD_FASTNETMON_ENV", self.path("fastnetmon.env"))
            .env("PREFIXD_FASTNETMON_SPOOL", self.path("spool"))
            .env_remove("PREFIXD_API")
            .env_remove("PREFIXD_API_TOKEN")
            .env_remove("PREFIXD_SOURCE")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        let took_all_of_stdin = script.stdin.take().unwrap().write_all(text).is_ok();
        let code = script.wait().unwrap().code().unwrap();
        Called { code, stderr: fs::read_to_string(stderr).unwrap(), took_all_of_stdin }
    }

    /// What prefixdctl was given so far, in order.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        let calls = fs::read_dir(self.path("calls")).unwrap().map(|call| call.unwrap().path());
        let mut calls: Vec<PathBuf> =
            calls.filter(|call| !call.file_name().unwrap().to_string_lossy().starts_with('.')).collect();
        calls.sort();
        let read = |call: &Path, name: &str| fs::read_to_string(call.join(name)).unwrap();
        let sent = calls.iter().map(|call| Sent {
            arguments: read(call, "arguments").trim_end().to_owned(),
            environment: read(call, "environment").trim_end().to_owned(),
            stdin: read(call, "stdin"),
        });
        sent.collect()
    }

    /// The words that wait, without the files of the script's own.
    pub(crate) fn spooled(&self) -> Vec<String> {
        let files = fs::read_dir(self.path("spool")).unwrap().map(|file| file.unwrap().file_name());
        let names = files.map(|name| name.to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// Waits until nothing waits any more.
    pub(crate) fn spool_empties(&self) {
        let began = Instant::now();
        while !self.spooled().is_empty() {
            assert!(began.elapsed() < PATIENCE, "still there: {:?}", self.spooled());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes everything in the spool as old as said.
    pub(crate) fn ages_the_spool(&self, age: Duration) {
        for name in self.spooled() {
            let file = fs::File::open(self.path("spool").join(name)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
