//! Alertmanager with one webhook receiver.

use super::folder::Folder;
use super::process::Process;
use super::{LabError, Loopback, programs};
use std::net::SocketAddrV4;
use std::process::Command;

const PORT: u16 = 9093;

/// Where those of a pair talk to each other.
const CLUSTER_PORT: u16 = 9094;

/// The intervals of Alertmanager's route, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct AlertmanagerTimes {
    /// The time from the first alert of a group to its first notification.
    pub group_wait: u32,
    /// The time between two notifications if the group changed.
    pub group_interval: u32,
    /// The time between two notifications if it did not.
    pub repeat_interval: u32,
}

/// A running Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    _process: Process,
    address: Loopback,
    _folder: Folder,
}

impl Alertmanager {
    /// Starts one that groups by `alertname` and posts firing and resolved alerts to `webhook`.
    ///
    /// # Errors
    /// [`LabError::Missing`] without Alertmanager.
    pub async fn start(webhook: &str, times: AlertmanagerTimes) -> Result<Self, LabError> {
        // no cluster: it would look for peers on all interfaces
        Self::launch(webhook, times, Loopback::claim()?, &["--cluster.listen-address=".to_owned()]).await
    }

    /// Starts two that know each other: what one has told, the other does not tell again.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn pair(webhook: &str, times: AlertmanagerTimes) -> Result<[Self; 2], LabError> {
        let (one, other) = (Loopback::claim()?, Loopback::claim()?);
        let cluster = |own: &Loopback, peer: SocketAddrV4| {
            let own = own.port(CLUSTER_PORT);
            [
                format!("--cluster.listen-address={own}"),
                format!("--cluster.advertise-address={own}"),
                format!("--cluster.peer={peer}"),
                "--cluster.peer-timeout=500ms".to_owned(),
                "--cluster.settle-timeout=1s".to_owned(),
                "--cluster.gossip-interval=50ms".to_owned(),
            ]
        };
        let of_one = cluster(&one, other.port(CLUSTER_PORT));
        let of_other = cluster(&other, one.port(CLUSTER_PORT));
        let one = Self::launch(webhook, times, one, &of_one).await?;
        Ok([one, Self::launch(webhook, times, other, &of_other).await?])
    }

    async fn launch(
        webhook: &str,
        times: AlertmanagerTimes,
        address: Loopback,
        cluster: &[String],
    ) -> Result<Self, LabError> {
        let program = programs::find_installed("prometheus-alertmanager")?;
        let folder = Folder::new("alertmanager")?;
        let configuration = folder.write("alertmanager.yml", &configuration(webhook, times))?;
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", configuration.display()));
        command.arg(format!("--storage.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address={}", address.port(PORT)));
        command.args(cluster);
        command.arg("--log.level=debug");
        let process = Process::start("alertmanager", command, &folder.join("alertmanager.log"))?;
        process.http_ready(address.port(PORT), "/-/ready").await?;
        Ok(Self { _process: process, address, _folder: folder })
    }

    /// The address of its HTTP API.
    pub fn address(&self) -> SocketAddrV4 {
        self.address.port(PORT)
    }
}

fn configuration(webhook: &str, times: AlertmanagerTimes) -> String {
    let AlertmanagerTimes { group_wait, group_interval, repeat_interval } = times;
    format!(
        "route:
  receiver: prefixd
  group_by: [alertname]
  group_wait: {group_wait}ms
  group_interval: {group_interval}ms
  repeat_interval: {repeat_interval}ms
receivers:
  - name: prefixd
    webhook_configs: [{{url: '{webhook}', send_resolved: true}}]
"
    )
}
