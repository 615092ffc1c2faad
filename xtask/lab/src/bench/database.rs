//! The bare database of the yardsticks: pgbench, and single INSERTs.

use anyhow::{Context, Result, bail};
use prefix_testkit::lab::Database;
use std::fmt::Write as _;
use tokio::process::Command;

/// About what an event of a detector holds.
const BODY: &str = "repeat('x', 300)";

/// Makes the tables of the yardsticks.
pub(super) async fn prepare(database: &Database) -> Result<()> {
    let mut sql = String::new();
    for table in ["events", "mitigations", "audit_entries"] {
        writeln!(
            sql,
            "create table {table} (id bigserial primary key, at timestamptz default now(), body text);"
        )?;
    }
    database.psql(&sql).await?;
    Ok(())
}

/// Transactions per second of pgbench with so many clients, each transaction `inserts` single-row INSERTs.
pub(super) async fn transactions_per_second(
    database: &Database,
    inserts: usize,
    clients: usize,
    seconds: u64,
) -> Result<f64> {
    let tables = ["events", "mitigations", "audit_entries"];
    let lines =
        tables.iter().take(inserts).map(|table| format!("insert into {table} (body) values ({BODY});\n"));
    let script = match inserts {
        1 => lines.collect(),
        _ => format!("begin;\n{}commit;\n", lines.collect::<String>()),
    };
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), script)?;
    let (clients, seconds) = (clients.to_string(), seconds.to_string());
    let mut pgbench = Command::new(program()?);
    pgbench.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
    pgbench.args(["--client", &clients, "--time", &seconds]);
    pgbench.arg("--file").arg(file.path()).arg(database.url());
    let output = pgbench.output().await.context("cannot run pgbench")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    match rate {
        Some(rate) if output.status.success() => Ok(rate),
        _ => bail!("pgbench failed: {text}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Debian keeps the clients of all versions behind one name.
fn program() -> Result<&'static str> {
    let found = ["/usr/bin/pgbench", "/usr/lib/postgresql/15/bin/pgbench"];
    let found = found.into_iter().find(|path| std::path::Path::new(path).is_file());
    found.context("pgbench is not installed: run `cargo xtask setup`")
}

/// One connection that inserts, and waits for the disk.
pub(super) struct Inserter {
    client: tokio_postgres::Client,
    statement: tokio_postgres::Statement,
}

impl Inserter {
    pub(super) async fn connect(database: &Database) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let statement = client.prepare(&format!("insert into events (body) values ({BODY})")).await?;
        Ok(Self { client, statement })
    }

    pub(super) async fn insert(&self) -> Result<()> {
        self.client.execute(&self.statement, &[]).await?;
        Ok(())
    }
}
