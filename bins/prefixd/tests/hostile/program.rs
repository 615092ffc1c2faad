//! The program with the configuration folder of these tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Far longer than anything here may take, and far shorter than for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const SETTINGS: &str =
    "pop: fra1\nhttp: {auth: {mode: none}}\nbgp: {backend: mock, local_asn: 65010, router_id: 10.0.0.1}\n";
const INVENTORY: &str = "customers:\n  - {customer_id: acme, prefixes: [203.0.113.0/24]}\n";
pub(crate) const PLAYBOOKS: &str = "playbooks:\n  - name: all\n    match: {vector: udp_flood}\n    steps:\n      - {action: police, rate_bps: 1000000, ttl_seconds: 120}\n";

/// A folder with good files; `more` is added to prefixd.yaml.
pub(crate) fn folder(more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("{SETTINGS}{more}");
    for (name, text) in
        [("prefixd.yaml", settings.as_str()), ("inventory.yaml", INVENTORY), ("playbooks.yaml", PLAYBOOKS)]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

pub(crate) fn prefixd(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prefixd"));
    command.arg("--config").arg(folder);
    // what the machine of the test sets must not decide
    command.env_clear().env("PREFIXD__OBSERVABILITY__METRICS_LISTEN", "");
    command
}

/// The exit code and what was said, of a run that must end by itself.
pub(crate) fn ends(command: &mut Command) -> (Option<i32>, String) {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(PATIENCE) else {
        signal(pid, "KILL");
        panic!("it does not end");
    };
    let output = output.unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.concat())
}

pub(crate) fn check(folder: &Path) -> (Option<i32>, String) {
    ends(prefixd(folder).arg("--check"))
}

pub(crate) fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap().success());
}

pub(crate) fn fifo(path: &Path) -> PathBuf {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    path.to_owned()
}

/// A running daemon, killed when the test ends.
pub(crate) struct Daemon {
    child: Child,
    api: SocketAddr,
    log: Receiver<String>,
}

impl Daemon {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, log) = mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let mut daemon = Self { child, api: SocketAddr::from(([127, 0, 0, 1], 0)), log };
        let line = daemon.logged("prefixd serves");
        // in either format of the log
        let (_, address) = line.split_once("listen\":\"").or_else(|| line.split_once("listen=")).unwrap();
        daemon.api = address.split(['"', ' ']).next().unwrap().parse().unwrap();
        daemon
    }

    /// Kills it, and returns the lines of its log that nobody has asked for yet.
    pub(crate) fn rest_of_log(mut self) -> Vec<String> {
        let _ = self.child.kill();
        self.log.iter().collect()
    }

    /// Where the API listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.api
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of the log.
    pub(crate) fn logged(&self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            match self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("{part:?} was not logged ({error}):\n{}", seen.join("\n")),
            }
        }
    }

    /// The status and the body of an answer.
    pub(crate) fn asked(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        ask(self.api, method, path, body)
    }

    /// Sends SIGTERM; it must end in order.
    pub(crate) fn stops(mut self) {
        signal(self.pid(), "TERM");
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the stop hangs");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status and the body of an answer.
pub(crate) fn ask(at: SocketAddr, method: &str, path: &str, body: &Value) -> (u16, String) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
