//! Runs prefixdctl as a process, with nothing of the caller's environment that could steer it.

use serde_json::Value;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Fails with everything it said unless it ended with `code`.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("stdout is no JSON")
    }
}

/// Prefixdctl, about to run.
#[derive(Debug)]
pub(crate) struct Program {
    command: tokio::process::Command,
    input: Option<String>,
}

impl Program {
    /// Talks to `api`.
    pub(crate) fn new(api: &str) -> Self {
        let mut program = Self::bare(env!("CARGO_BIN_EXE_prefixdctl"));
        program.command.args(["--api", api]);
        program
    }

    /// Another copy of it, and no server.
    pub(crate) fn bare(path: impl AsRef<std::ffi::OsStr>) -> Self {
        let mut command = tokio::process::Command::new(path);
        for variable in [
            "PREFIXD_API",
            "PREFIXD_API_TOKEN",
            "PREFIXD_OUTPUT",
            "NO_COLOR",
            "http_proxy",
            "HTTP_PROXY",
            "DATABASE_URL",
        ] {
            command.env_remove(variable);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Self { command, input: None }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn input(mut self, text: &str) -> Self {
        self.command.stdin(Stdio::piped());
        self.input = Some(text.to_owned());
        self
    }

    pub(crate) async fn run(mut self, arguments: &[&str]) -> Run {
        let mut child = self.command.args(arguments).spawn().expect("prefixdctl does not start");
        if let Some(text) = self.input {
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(text.as_bytes()).await.unwrap();
        }
        let output = child.wait_with_output().await.unwrap();
        Run {
            code: output.status.code().expect("prefixdctl was killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs prefixdctl against `server`.
pub(crate) async fn ctl(server: &MockServer, arguments: &[&str]) -> Run {
    Program::new(&server.uri()).run(arguments).await
}

/// A server that answers everything with one body.
pub(crate) async fn server(status: u16, body: &str) -> MockServer {
    let server = MockServer::start().await;
    let template = ResponseTemplate::new(status).set_body_raw(body, "application/json");
    Mock::given(wiremock::matchers::any()).respond_with(template).mount(&server).await;
    server
}

/// A problem document.
pub(crate) fn problem(status: u16, code: &str, detail: &str) -> Value {
    serde_json::json!({"type": format!("urn:prefixd:problem:{code}"), "title": "No", "status": status,
        "detail": detail, "error": detail, "instance": "req-1"})
}

/// A file of `tests/fixtures`.
macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/", $name, ".json"))
    };
}
pub(crate) use fixture;

/// One mitigation of the fixtures.
pub(crate) fn mitigation() -> Value {
    serde_json::from_str::<Value>(fixture!("mitigations")).unwrap()["mitigations"][0].take()
}

/// Ids as they are in the fixtures.
pub(crate) const EVENT: &str = "0193f0a0-0000-7000-8000-000000000001";
pub(crate) const MITIGATION: &str = "0193f0a0-0000-7000-8000-00000000000a";
pub(crate) const OTHER_MITIGATION: &str = "0193f0a0-0000-7000-8000-00000000000b";
