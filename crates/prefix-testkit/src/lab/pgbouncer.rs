//! `PgBouncer` in front of PostgreSQL, pooling by transaction: each transaction may run in another session.

use super::folder::Folder;
use super::postgres::{self, Account};
use super::process::Process;
use super::{Database, LabError, Loopback, programs};
use tokio::net::TcpStream;

const PORT: u16 = 6432;

/// A running `PgBouncer` in transaction mode.
#[derive(Debug)]
pub struct PgBouncer {
    process: Process,
    address: Loopback,
    _folder: Folder,
}

impl PgBouncer {
    /// Starts one in front of the server at `HOST:PORT`, with at most `connections` connections to each of its databases.
    ///
    /// # Errors
    /// [`LabError::Missing`] without `PgBouncer`.
    pub async fn start(server: &str, connections: u8) -> Result<Self, LabError> {
        let program = programs::find_installed("pgbouncer")?;
        let folder = Folder::new("pgbouncer")?;
        let address = Loopback::claim()?;
        let configuration = folder.write("pgbouncer.ini", &configuration(server, &address, connections))?;
        // it refuses to run as root, as PostgreSQL does
        let account = Account::of_the_server()?;
        account.give(folder.path())?;
        let mut command = account.command(program);
        command.arg(configuration);
        let process = Process::start("pgbouncer", command, &folder.join("pgbouncer.log"))?;
        let pooler = Self { process, address, _folder: folder };
        pooler.wait_until_ready().await?;
        Ok(pooler)
    }

    /// The URL of `database` by way of the pooler.
    pub fn url(&self, database: &Database) -> String {
        format!("postgres://postgres@{}/{}", self.address.port(PORT), database.name())
    }

    /// Runs SQL by way of the pooler, as [`Database::psql`] does without.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn psql(&self, database: &Database, sql: &str) -> Result<String, LabError> {
        postgres::psql_at(&self.url(database), sql).await
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.process.log()
    }

    async fn wait_until_ready(&self) -> Result<(), LabError> {
        let address = self.address.port(PORT);
        self.process.ready("it listens", async || TcpStream::connect(address).await.map(drop)).await
    }
}

fn configuration(server: &str, address: &Loopback, connections: u8) -> String {
    let (host, port) = server.rsplit_once(':').unwrap_or((server, "5432"));
    format!(
        "[databases]
* = host={host} port={port} user=postgres
[pgbouncer]
listen_addr = {address}
listen_port = {PORT}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 300
ignore_startup_parameters = extra_float_digits
"
    )
}
