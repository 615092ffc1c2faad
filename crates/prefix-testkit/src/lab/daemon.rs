//! The daemon as a process with a configuration folder and an HTTP API.

use super::folder::Folder;
use super::process::Process;
use super::{HttpAnswer, LabError, Loopback, http, programs, wait};
use nix::sys::signal::Signal;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

const HTTP_PORT: u16 = 8080;
const METRICS_PORT: u16 = 9090;

/// Builder of a [`Daemon`].
#[must_use]
#[derive(Debug)]
pub struct DaemonBuilder {
    configuration: PathBuf,
    program: Option<PathBuf>,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    descriptors: Option<u32>,
}

impl DaemonBuilder {
    /// So many descriptors and not more, as after `ulimit -n`.
    pub fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// The binary, if not the one of this build: in tests of the binary's own package `env!("CARGO_BIN_EXE_prefixd")`.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// A variable of its environment, like `PREFIXD__BGP__GOBGP_GRPC`.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// A further argument.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts it on an address of its own and waits until it is ready.
    ///
    /// # Errors
    /// [`LabError::Missing`] when it was not built, [`LabError::Ended`] when it refuses its configuration.
    pub async fn start(self) -> Result<Daemon, LabError> {
        let program = match self.program {
            Some(program) => program,
            None => built("prefixd")?,
        };
        let folder = Folder::new("prefixd")?;
        let address = Loopback::claim()?;
        let mut command = match self.descriptors {
            None => Command::new(program),
            Some(most) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\"")]).arg(program);
                shell
            }
        };
        command.arg("--config").arg(self.configuration).args(self.arguments);
        command.env("PREFIXD__HTTP__LISTEN", address.port(HTTP_PORT).to_string());
        command.env("PREFIXD__OBSERVABILITY__METRICS_LISTEN", address.port(METRICS_PORT).to_string());
        command.env_remove("DATABASE_URL").env_remove("RUST_LOG");
        command.envs(self.environment);
        let process = Process::start("prefixd", command, &folder.join("prefixd.log"))?;
        let daemon = Daemon { process, address, _folder: folder };
        daemon.wait_until_ready().await?;
        Ok(daemon)
    }
}

/// A running prefixd.
#[derive(Debug)]
pub struct Daemon {
    process: Process,
    address: Loopback,
    _folder: Folder,
}

impl Daemon {
    /// A builder of a daemon with the configuration folder `configuration`, which the caller owns.
    pub fn with_configuration(configuration: &Path) -> DaemonBuilder {
        DaemonBuilder {
            configuration: configuration.to_path_buf(),
            program: None,
            environment: Vec::new(),
            arguments: Vec::new(),
            descriptors: None,
        }
    }

    /// The address of its API.
    pub fn http_address(&self) -> SocketAddrV4 {
        self.address.port(HTTP_PORT)
    }

    /// The URL of its API, like `http://127.64.0.1:8080`.
    pub fn url(&self) -> String {
        format!("http://{}", self.http_address())
    }

    /// The address of its metrics.
    pub fn metrics_address(&self) -> SocketAddrV4 {
        self.address.port(METRICS_PORT)
    }

    /// `GET path` of its API.
    ///
    /// # Errors
    /// As [`http::get`].
    pub async fn get(&self, path: &str) -> std::io::Result<HttpAnswer> {
        http::get(self.http_address(), path).await
    }

    /// Its metrics in Prometheus' text format.
    ///
    /// # Errors
    /// As [`http::get`].
    pub async fn metrics(&self) -> std::io::Result<String> {
        http::get(self.metrics_address(), "/metrics").await.map(|answer| answer.body)
    }

    /// Waits until it is ready, for example after a restart of its speaker.
    ///
    /// # Errors
    /// [`LabError::Deadline`], [`LabError::Ended`].
    pub async fn wait_until_ready(&self) -> Result<(), LabError> {
        self.process.http_ready(self.http_address(), "/v1/health/ready").await
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Kills it (SIGKILL).
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// Sends SIGTERM and waits for its end.
    ///
    /// # Errors
    /// [`LabError::Deadline`].
    pub async fn sigterm(&self) -> Result<ExitStatus, LabError> {
        self.process.signal(Signal::SIGTERM);
        self.process.ended(wait::PATIENCE).await
    }

    /// Sends SIGHUP: it reloads its configuration.
    pub fn sighup(&self) {
        self.process.signal(Signal::SIGHUP);
    }

    /// Stops it (SIGSTOP).
    pub fn stop(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Continues it (SIGCONT).
    pub fn cont(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// Starts it again, on the same addresses and with the same configuration, and waits until it is ready.
    ///
    /// # Errors
    /// As [`DaemonBuilder::start`].
    pub async fn start_again(&mut self) -> Result<(), LabError> {
        self.launch_again()?;
        self.wait_until_ready().await
    }

    /// As [`Self::start_again`], without waiting: for tests that disturb a start.
    ///
    /// # Errors
    /// [`LabError::Run`], [`LabError::File`].
    pub fn launch_again(&mut self) -> Result<(), LabError> {
        self.process.restart()
    }

    /// The last lines of its log, for messages of failures.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Its log, over all its starts.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// A binary of this build: `PREFIXD_BIN_DIR`, or the folder above the one of the running test.
fn built(program: &'static str) -> Result<PathBuf, LabError> {
    let named = std::env::var_os("PREFIXD_BIN_DIR").map(PathBuf::from);
    let beside = std::env::current_exe().ok().and_then(|test| Some(test.parent()?.parent()?.to_path_buf()));
    programs::find(program, named.into_iter().chain(beside).map(|folder| folder.join(program)))
}
