//! Prometheus with the alerting rules of a test, an exporter and an Alertmanager.

use super::folder::Folder;
use super::process::Process;
use super::{Alertmanager, Exporter, LabError, Loopback, programs};
use std::net::SocketAddrV4;
use std::process::Command;

const PORT: u16 = 9090;

/// The time between two scrapes, and between two evaluations of the rules.
const INTERVAL: &str = "200ms";

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    _process: Process,
    _address: Loopback,
    _folder: Folder,
}

impl Prometheus {
    /// Starts one with `rules`, a rule file as Prometheus reads it, that tells each Alertmanager.
    ///
    /// # Errors
    /// [`LabError::Missing`] without Prometheus, [`LabError::Ended`] when it refuses the rules.
    pub async fn start(
        rules: &str,
        exporter: &Exporter,
        alertmanagers: &[Alertmanager],
    ) -> Result<Self, LabError> {
        let program = programs::find_installed("prometheus")?;
        let folder = Folder::new("prometheus")?;
        let address = Loopback::claim()?;
        folder.write("rules.yml", rules)?;
        let configuration = configuration(exporter.address(), alertmanagers);
        let configuration = folder.write("prometheus.yml", &configuration)?;
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", configuration.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address={}", address.port(PORT)));
        let process = Process::start("prometheus", command, &folder.join("prometheus.log"))?;
        process.http_ready(address.port(PORT), "/-/ready").await?;
        Ok(Self { _process: process, _address: address, _folder: folder })
    }
}

fn configuration(exporter: SocketAddrV4, alertmanagers: &[Alertmanager]) -> String {
    let targets: Vec<String> = alertmanagers.iter().map(|one| format!("'{}'", one.address())).collect();
    let targets = targets.join(", ");
    format!(
        "global: {{scrape_interval: {INTERVAL}, scrape_timeout: {INTERVAL}, evaluation_interval: {INTERVAL}}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: [{targets}]}}]}}]}}
scrape_configs: [{{job_name: attacks, honor_labels: true, static_configs: [{{targets: ['{exporter}']}}]}}]
"
    )
}
