//! `FastNetMon` Community, which monitors a device of a namespace and calls a notify script.

use super::folder::Folder;
use super::process::Process;
use super::{LabError, Namespace, programs};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builder of a [`FastNetMon`].
#[must_use]
#[derive(Debug)]
pub struct FastNetMonBuilder {
    device: String,
    networks: Vec<String>,
    packets_per_second: u32,
    ban_seconds: u32,
    script: PathBuf,
    environment: Vec<(String, String)>,
}

impl FastNetMonBuilder {
    /// A network whose hosts it protects, like `203.0.113.0/24`.
    pub fn network(mut self, prefix: &str) -> Self {
        self.networks.push(prefix.to_owned());
        self
    }

    /// The number of packets per second to one host that is an attack.
    pub fn threshold(mut self, packets_per_second: u32) -> Self {
        self.packets_per_second = packets_per_second;
        self
    }

    /// The least duration of a ban; after it, `FastNetMon` lifts the ban once the attack is over.
    pub fn ban_seconds(mut self, seconds: u32) -> Self {
        self.ban_seconds = seconds;
        self
    }

    /// A variable of its environment, and so of the script's.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it inside `namespace`, and waits until it sees traffic.
    ///
    /// # Errors
    /// [`LabError::Missing`] without `FastNetMon`, [`LabError::Ended`] when it refuses its configuration.
    pub async fn start(self, namespace: &Namespace) -> Result<FastNetMon, LabError> {
        let program = programs::find_installed("fastnetmon")?;
        let folder = Folder::new("fastnetmon")?;
        folder.write("networks_list", &self.networks.join("\n"))?;
        folder.write("networks_whitelist", "")?;
        let configuration = folder.write("fastnetmon.conf", &self.configuration(folder.path()))?;
        let mut command = Command::new(program);
        command.arg("--configuration_file").arg(configuration).arg("--log_to_console");
        // several of them may run on one machine
        command.arg("--disable_pid_logic");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start("fastnetmon", namespace.wrap(&command), &folder.join("fastnetmon.log"))?;
        let statistics = folder.join("fastnetmon.dat");
        // written once a second from the first measurement on
        process
            .ready("its statistics", async || match std::fs::read_to_string(&statistics) {
                Ok(text) if text.contains("Incoming traffic") => Ok(()),
                Ok(text) => Err(text),
                Err(error) => Err(error.to_string()),
            })
            .await?;
        Ok(FastNetMon { process, _folder: folder })
    }

    fn configuration(&self, folder: &Path) -> String {
        let Self { device, packets_per_second, ban_seconds, .. } = self;
        let (script, folder) = (self.script.display(), folder.display());
        format!(
            "logging_level = info
disable_usage_report = on
enable_ban = on
enable_ban_ipv6 = on
process_incoming_traffic = on
process_outgoing_traffic = off
ban_details_records_count = 10
ban_time = {ban_seconds}
unban_only_if_attack_finished = on
networks_list_path = {folder}/networks_list
white_list_path = {folder}/networks_whitelist
ban_for_pps = on
ban_for_bandwidth = off
threshold_pps = {packets_per_second}
mirror_afpacket = on
interfaces = {device}
average_calculation_time = 3
monitor_local_ip_addresses = off
enable_api = on
prometheus = off
notify_script_path = {script}
pid_path = {folder}/fastnetmon.pid
cli_stats_file_path = {folder}/fastnetmon.dat
cli_stats_ipv6_file_path = {folder}/fastnetmon6.dat
"
        )
    }
}

/// A running `FastNetMon`.
#[derive(Debug)]
pub struct FastNetMon {
    process: Process,
    _folder: Folder,
}

impl FastNetMon {
    /// A builder of one that monitors `device` and calls `script` (`notify_script_path`).
    pub fn watching(device: &str, script: &Path) -> FastNetMonBuilder {
        FastNetMonBuilder {
            device: device.to_owned(),
            networks: Vec::new(),
            packets_per_second: 1_000,
            ban_seconds: 4,
            script: script.to_path_buf(),
            environment: Vec::new(),
        }
    }

    /// Its log and that of its script.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// What an operator types: `fastnetmon_api_client ban ADDRESS`, or `unban`. It works in the namespace of the daemon, whose
    /// API has one port.
    ///
    /// # Errors
    /// [`LabError::Missing`] without the client, and what the system says if it cannot be run.
    pub fn by_hand(namespace: &Namespace, word: &str, address: &str) -> Result<String, LabError> {
        let mut command = Command::new(programs::find_installed("fastnetmon_api_client")?);
        command.args([word, address]);
        let run = |source| LabError::Run { program: "fastnetmon_api_client".to_owned(), source };
        let output = namespace.wrap(&command).output().map_err(run)?;
        Ok(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    }
}
