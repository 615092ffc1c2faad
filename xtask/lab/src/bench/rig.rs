//! The rig: a speaker with one receiving peer, a PostgreSQL that waits for its disk, and a daemon between them.

use super::peer::Peer;
use anyhow::{Context, Result, ensure};
use prefix_testkit::lab::{Daemon, Database, Gobgpd, Postgres, RouterSeat};
use serde_json::json;
use std::path::PathBuf;

/// Everything that is measured, and what it is measured with.
pub(super) struct Rig {
    pub(super) daemon: Daemon,
    pub(super) peer: Peer,
    pub(super) speaker: Gobgpd,
    /// Of the yardsticks, in the same cluster as the daemon's.
    pub(super) bare: Database,
    _own: Database,
    _postgres: Postgres,
    _folder: tempfile::TempDir,
}

/// One service-free customer, and one discarding playbook, so that every victim makes a rule that stays.
const INVENTORY: &str = "customers: [{customer_id: acme, name: ACME, prefixes: [10.0.0.0/8]}]";
const PLAYBOOKS: &str = "playbooks: [{name: all, match: {vector: udp_flood}, \
     steps: [{action: discard, ttl_seconds: 7200}]}]";

impl Rig {
    /// Starts everything, on an empty database and an empty table.
    pub(super) async fn start() -> Result<Self> {
        let seat = RouterSeat::claim(65010)?;
        let speaker = Gobgpd::v4().neighbor(&seat).start().await?;
        let peer = Peer::connect(&seat, &speaker).await?;
        let postgres = Postgres::builder().fsync().start().await?;
        let (own, bare) = (postgres.create_database().await?, postgres.create_database().await?);
        let folder = tempfile::Builder::new().prefix("prefixd-bench-").tempdir()?;
        let settings = json!({
            "pop": "bench",
            "mode": "enforced",
            "http": {"auth": {"mode": "none"}, "rate_limit": {
                "events_per_second": 1_000_000, "burst": 1_000_000,
                "requests_per_second": 1_000_000, "requests_burst": 1_000_000,
            }},
            "bgp": {
                "gobgp_grpc": speaker.grpc_endpoint(), "local_asn": speaker.asn(), "router_id": "192.0.2.1",
                "guard": {"mode": "off"},
            },
            "quotas": {
                "max_active_per_victim": 1_000_000, "max_active_per_customer": 1_000_000, "max_active_per_pop": 1_000_000,
                "max_active_global": 1_000_000, "max_new_per_minute": 1_000_000,
                "max_announcements_per_peer": 1_000_000,
            },
            "timers": {"max_ttl_seconds": 7200},
            "storage": {"url": own.url()},
        });
        for (name, text) in [
            ("prefixd.yaml", settings.to_string().as_str()),
            ("inventory.yaml", INVENTORY),
            ("playbooks.yaml", PLAYBOOKS),
        ] {
            std::fs::write(folder.path().join(name), text)?;
        }
        let daemon = Daemon::with_configuration(folder.path()).program(release("prefixd")?).start().await?;
        Ok(Self { daemon, peer, speaker, bare, _own: own, _postgres: postgres, _folder: folder })
    }
}

/// A program of this (release) build.
fn release(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().context("where are we?")?.with_file_name(name);
    ensure!(program.is_file(), "{} is not built: run `cargo xtask bench`", program.display());
    Ok(program)
}
