//! PostgreSQL with a cluster of its own.

use super::folder::Folder;
use super::process::{self, Process};
use super::{LabError, Loopback, Volume, programs};
use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::OnceCell;

const PORT: u16 = 5432;

/// The environment variable in which `cargo xtask test` passes the URL of a cluster that all test processes share.
const SHARED: &str = "PREFIXD_LAB_POSTGRES";

/// Builder of a [`Postgres`].
#[must_use]
#[derive(Debug, Default)]
pub struct PostgresBuilder {
    fsync: bool,
    settings: Vec<String>,
    data: Option<PathBuf>,
}

impl PostgresBuilder {
    /// Waits for the disk at each commit, as in production. Off by default: tests are faster then, and a killed
    /// *process* loses nothing; a machine without power would.
    pub fn fsync(mut self) -> Self {
        self.fsync = true;
        self
    }

    /// A further server setting, like `max_connections=300`.
    pub fn setting(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// Keeps the data on `volume`, which needs about 60 MiB for it. It writes its log in small pieces there, so that a
    /// full disk is felt soon.
    pub fn data_on(mut self, volume: &Volume) -> Self {
        self.data = Some(volume.path().to_path_buf());
        self.setting("min_wal_size=2MB").setting("max_wal_size=4MB")
    }

    /// Makes the cluster, starts it, and waits until it answers.
    ///
    /// # Errors
    /// [`LabError::Missing`] without PostgreSQL, [`LabError::Ended`] when it refuses to start.
    pub async fn start(self) -> Result<Postgres, LabError> {
        let folder = Folder::new("postgres")?;
        let address = Loopback::claim()?;
        let account = Account::of_the_server()?;
        account.give(folder.path())?;
        let data = match self.data {
            None => folder.join("data"),
            Some(volume) => {
                account.give(&volume)?;
                volume.join("data")
            }
        };
        let mut initdb = account.command(programs::find_postgres("initdb")?);
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale"]);
        initdb.arg("--wal-segsize=1").arg("--pgdata").arg(&data);
        process::run(initdb).await?;
        let mut settings = vec![
            format!("listen_addresses={address}"),
            format!("port={PORT}"),
            format!("unix_socket_directories={}", folder.path().display()),
            "max_connections=300".to_owned(),
        ];
        if !self.fsync {
            settings
                .extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"].map(str::to_owned));
        }
        settings.extend(self.settings);
        let mut command = account.command(programs::find_postgres("postgres")?);
        command.arg("-D").arg(&data).args(settings.iter().flat_map(|setting| ["-c", setting]));
        let process = Process::start("postgres", command, &folder.join("postgres.log"))?;
        let postgres = Postgres { process, admin: Admin::at(&address), folder, address };
        postgres.wait_until_ready().await?;
        Ok(postgres)
    }
}

/// The system account of the server, which refuses to run as root.
#[derive(Debug)]
pub(super) struct Account(Option<User>);

impl Account {
    pub(super) fn of_the_server() -> Result<Self, LabError> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        match User::from_name("postgres") {
            Ok(Some(user)) => Ok(Self(Some(user))),
            _ => Err(LabError::Missing {
                program: "the account postgres",
                looked_in: "/etc/passwd".to_owned(),
            }),
        }
    }

    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some(user) = &self.0 {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw()).current_dir("/");
        }
        command
    }

    pub(super) fn give(&self, folder: &Path) -> Result<(), LabError> {
        let Some(user) = &self.0 else { return Ok(()) };
        std::os::unix::fs::chown(folder, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .map_err(LabError::file("change the owner of", folder))
    }
}

/// A PostgreSQL cluster of this test.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    admin: Admin,
    address: Loopback,
    folder: Folder,
}

impl Postgres {
    /// A builder of a cluster.
    pub fn builder() -> PostgresBuilder {
        PostgresBuilder::default()
    }

    /// A cluster without fsync.
    ///
    /// # Errors
    /// As [`PostgresBuilder::start`].
    pub async fn start() -> Result<Self, LabError> {
        Self::builder().start().await
    }

    /// A new empty database in a cluster that the tests of this process share, or all test processes of a
    /// `cargo xtask test`. For tests that do not stop the server.
    ///
    /// # Errors
    /// As [`PostgresBuilder::start`], [`LabError::Command`].
    pub async fn shared_database() -> Result<Database, LabError> {
        // never dropped: the watchdog ends it with the test process
        static CLUSTER: OnceCell<Postgres> = OnceCell::const_new();
        if let Ok(url) = std::env::var(SHARED) {
            return Admin { url }.create_database().await;
        }
        CLUSTER.get_or_try_init(Self::start).await?.create_database().await
    }

    /// A new empty database, dropped with its value.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn create_database(&self) -> Result<Database, LabError> {
        self.admin.create_database().await
    }

    /// The URL of the cluster's own database, as a superuser.
    pub fn url(&self) -> &str {
        &self.admin.url
    }

    /// The folder of its Unix socket.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its address.
    pub fn address(&self) -> std::net::SocketAddrV4 {
        self.address.port(PORT)
    }

    /// Runs SQL and returns the output of `psql`, columns separated by `|`, without a header.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn psql(&self, sql: &str) -> Result<String, LabError> {
        self.admin.psql(sql).await
    }

    /// Stops it as a crash would (immediate shutdown): connections break, nothing is written back.
    ///
    /// # Errors
    /// [`LabError::Deadline`].
    pub async fn stop_immediate(&self) -> Result<(), LabError> {
        self.process.signal(Signal::SIGQUIT);
        self.process.ended(super::wait::PATIENCE).await.map(drop)
    }

    /// Stops the postmaster (SIGSTOP): new connections hang. Existing ones have processes of their own and go on.
    pub fn freeze(&self) {
        self.process.signal(Signal::SIGSTOP);
    }
    /// Stops the whole server (SIGSTOP), the processes of its connections included, until the returned value is
    /// dropped: connections stay open, and nothing is answered.
    ///
    /// # Errors
    /// [`LabError::File`] without `/proc`.
    pub fn hang(&self) -> Result<Hang, LabError> {
        // the postmaster first, so that no process is started meanwhile
        self.freeze();
        let mut pids = vec![self.process.pid()];
        pids.extend(process::children_of(self.process.pid())?);
        let hang = Hang { pids };
        hang.signal(Signal::SIGSTOP);
        Ok(hang)
    }

    /// Whether it still runs: a server that could not write may have ended.
    pub fn is_running(&self) -> bool {
        self.process.exit_status().is_none()
    }

    /// Starts it again after [`Self::stop_immediate`], with everything that was committed.
    ///
    /// # Errors
    /// As [`PostgresBuilder::start`].
    pub async fn start_again(&mut self) -> Result<(), LabError> {
        self.process.restart()?;
        self.wait_until_ready().await
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.process.log()
    }

    async fn wait_until_ready(&self) -> Result<(), LabError> {
        self.process.ready("it answers", async || self.psql("select 1").await.map(drop)).await
    }
}

/// A server that answers nothing until this is dropped.
#[derive(Debug)]
pub struct Hang {
    pids: Vec<u32>,
}

impl Hang {
    fn signal(&self, signal: Signal) {
        for &pid in &self.pids {
            process::signal(pid, signal);
        }
    }
}

impl Drop for Hang {
    fn drop(&mut self) {
        self.signal(Signal::SIGCONT);
    }
}

/// A connection to the cluster's own database, as a superuser.
#[derive(Debug, Clone)]
struct Admin {
    url: String,
}

impl Admin {
    fn at(address: &Loopback) -> Self {
        Self { url: format!("postgres://postgres@{address}:{PORT}/postgres") }
    }

    fn command(&self, sql: &str) -> Result<Command, LabError> {
        let mut command = Command::new(programs::find_postgres("psql")?);
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1"]);
        command.args(["--dbname", &self.url, "--command", sql]);
        Ok(command)
    }

    async fn psql(&self, sql: &str) -> Result<String, LabError> {
        process::run(self.command(sql)?).await.map(|text| text.trim_end().to_owned())
    }

    async fn create_database(&self) -> Result<Database, LabError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // with the time, because the system reuses process ids
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{started}_{}_{serial}", std::process::id());
        self.psql(&format!("create database {name}")).await?;
        let url = match self.url.rsplit_once('/') {
            Some((server, _)) => format!("{server}/{name}"),
            None => name.clone(),
        };
        Ok(Database { admin: self.clone(), name, url })
    }
}

/// Runs SQL in the database with this URL.
pub(super) async fn psql_at(url: &str, sql: &str) -> Result<String, LabError> {
    Admin { url: url.to_owned() }.psql(sql).await
}

/// A database of one test; dropped with its value, whoever is connected.
#[derive(Debug)]
pub struct Database {
    admin: Admin,
    name: String,
    url: String,
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `postgres://postgres@127.x.y.z:5432/name`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Host and port of its server, as in `127.x.y.z:5432`.
    pub fn server(&self) -> &str {
        let server = self.url.rsplit_once('@').map_or(self.url.as_str(), |(_, server)| server);
        server.split_once('/').map_or(server, |(server, _)| server)
    }

    /// Runs SQL and returns the output of `psql`, columns separated by `|`, without a header.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn psql(&self, sql: &str) -> Result<String, LabError> {
        psql_at(&self.url, sql).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("drop database if exists {} with (force)", self.name);
        if let Ok(mut command) = self.admin.command(&sql) {
            // a short timeout: the server may be stopped, and the cluster is removed anyway
            command
                .env("PGCONNECT_TIMEOUT", "2")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let _ = command.status();
        }
    }
}
