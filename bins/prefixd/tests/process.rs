//! The daemon as a process: what its exit codes say, how it starts, reloads and ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const SETTINGS: &str =
    "pop: fra1\nhttp: {auth: {mode: none}}\nbgp: {backend: mock, local_asn: 65010, router_id: 10.0.0.1}\n";
const INVENTORY: &str = "customers:\n  - {customer_id: acme, prefixes: [203.0.113.0/24]}\n";
const PLAYBOOKS: &str = "playbooks:\n  - name: all\n    match: {vector: udp_flood}\n    steps:\n      - {action: police, rate_bps: 1000000, ttl_seconds: 120}\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("prefixd.yaml", SETTINGS), ("inventory.yaml", INVENTORY), ("playbooks.yaml", PLAYBOOKS)]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn prefixd(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prefixd"));
    command.arg("--config").arg(folder);
    // What the machine of the test sets must not decide.
    command.env_clear().env("PREFIXD__OBSERVABILITY__METRICS_LISTEN", "");
    command
}

fn check(folder: &Path) -> (Option<i32>, String) {
    let Output { status, stdout, .. } = prefixd(folder).arg("--check").output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap())
}

/// A running daemon, killed when the test ends.
struct Daemon {
    child: Child,
    api: SocketAddr,
    log: std::sync::mpsc::Receiver<String>,
}

impl Daemon {
    fn start(folder: &Path) -> Self {
        let mut child =
            prefixd(folder).args(["--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, log) = std::sync::mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let mut daemon = Self { child, api: SocketAddr::from(([127, 0, 0, 1], 0)), log };
        let line = daemon.logged("prefixd serves");
        let (_, address) = line.split_once("\"listen\":\"").unwrap();
        daemon.api = address.split('"').next().unwrap().parse().unwrap();
        daemon
    }

    /// Waits for a line of the log.
    fn logged(&self, part: &str) -> String {
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut seen = Vec::new();
        loop {
            match self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("{part:?} was not logged ({error}):\n{}", seen.join("\n")),
            }
        }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.api).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn check_exits_with_0_and_says_nothing_about_good_files() {
    assert_eq!(check(folder().path()), (Some(0), String::new()));
}

#[test]
fn check_exits_with_1_and_names_the_file_in_its_folder() {
    let folder = folder();
    std::fs::write(folder.path().join("playbooks.yaml"), PLAYBOOKS.replace("ttl_seconds", "ttl_second"))
        .unwrap();
    let file = folder.path().join("playbooks.yaml");
    let expected = format!(
        "error {}:5: unknown key \"ttl_second\" in steps[0] (did you mean \"ttl_seconds\"?)\n",
        file.display()
    );
    assert_eq!(check(folder.path()), (Some(1), expected));
}

#[test]
fn warnings_alone_do_not_fail_the_check() {
    let folder = folder();
    std::fs::write(folder.path().join("prefixd.yaml"), format!("{SETTINGS}mode: enforced\n")).unwrap();
    let (code, said) = check(folder.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.lines().count() == 1 && said.lines().all(|line| line.starts_with("warning ")), "{said}");
}

#[test]
fn a_bad_configuration_starts_nothing() {
    let folder = folder();
    std::fs::write(folder.path().join("inventory.yaml"), "customers: 5\n").unwrap();
    let output = prefixd(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("inventory.yaml:1: customers: expected a list, found the number 5"), "{said}");
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_port_in_use_is_said_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = prefixd(folder().path()).args(["--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("http.listen: {address} cannot be listened on")), "{said}");
}

#[test]
fn hangup_reloads_all_files_or_none_and_terminate_ends_cleanly() {
    let folder = folder();
    let daemon = Daemon::start(folder.path());
    assert!(daemon.get("/v1/health/ready").starts_with("HTTP/1.1 200"));

    let inventory = folder.path().join("inventory.yaml");
    std::fs::write(
        &inventory,
        format!("{INVENTORY}  - {{customer_id: globex, prefixes: [198.51.100.0/24]}}\n"),
    )
    .unwrap();
    daemon.signal("HUP");
    daemon.logged("configuration reloaded");
    assert!(daemon.get("/v1/config/inventory").contains("\"total_customers\":2"));

    std::fs::write(&inventory, "customers: [{customer_id: acme, prefix: x}]\n").unwrap();
    daemon.signal("HUP");
    daemon.logged("unknown key \\\"prefix\\\"");
    daemon.logged("reload refused");
    assert!(daemon.get("/v1/config/inventory").contains("\"total_customers\":2"));

    daemon.signal("TERM");
    daemon.logged("\"message\":\"stopped\"");
    assert_eq!(daemon.exit_code(), Some(0));
}
