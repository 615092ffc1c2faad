//! `prefixd guard`: started by a test, or by a daemon.

use super::folder::Folder;
use super::process::{self, Adopted, Process};
use super::{LabError, wait};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The guard's heartbeat in the state folder.
const ALIVE: &str = "guard.alive";

/// A running guard, killed when its value is dropped.
#[derive(Debug)]
pub struct Guard {
    state: PathBuf,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    Started(Box<Process>, #[expect(dead_code, reason = "goes with the process")] Folder),
    Adopted(Adopted),
}

impl Guard {
    /// Starts `program guard` for a configuration folder whose state folder is `state`, and waits for its heartbeat.
    ///
    /// # Errors
    /// [`LabError::Ended`] when it refuses its configuration.
    pub async fn start(program: &Path, configuration: &Path, state: &Path) -> Result<Self, LabError> {
        let folder = Folder::new("guard")?;
        let mut command = Command::new(program);
        command.arg("guard").arg("--config").arg(configuration);
        let process = Process::start("prefixd guard", command, &folder.join("guard.log"))?;
        let pid = process.pid();
        process.ready("its heartbeat", async || connected_as(state, |alive| alive == pid)).await?;
        Ok(Self { state: state.to_path_buf(), origin: Origin::Started(Box::new(process), folder) })
    }

    /// Waits for the heartbeat of the guard that a daemon with this state folder started. It is then killed with the
    /// value.
    ///
    /// # Errors
    /// [`LabError::Deadline`] when there is none.
    pub async fn of_daemon(state: &Path) -> Result<Self, LabError> {
        let beats = wait::until("the heartbeat of the daemon's guard", wait::PATIENCE, async || {
            let alive = read(state)?;
            pid_in(&alive).filter(|pid| process::exists(*pid)).ok_or_else(|| alive.to_string())
        });
        // adopted at once, so that it ends with the test even if it never reaches its speaker
        let adopted = Adopted::new(beats.await?)?;
        wait::until("the daemon's guard to reach its speaker", wait::PATIENCE, async || {
            connected_as(state, |pid| pid == adopted.pid())
        })
        .await?;
        Ok(Self { state: state.to_path_buf(), origin: Origin::Adopted(adopted) })
    }

    /// Runs `program guard --once` to its end, as cron does, and returns its output.
    ///
    /// # Errors
    /// [`LabError::Command`] when it fails.
    pub async fn once(program: &Path, configuration: &Path) -> Result<String, LabError> {
        let mut command = Command::new(program);
        command.args(["guard", "--once", "--config"]).arg(configuration);
        process::run(command).await
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        match &self.origin {
            Origin::Started(process, _) => process.pid(),
            Origin::Adopted(adopted) => adopted.pid(),
        }
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        process::exists(self.pid())
    }

    /// Kills it (SIGKILL).
    pub fn kill9(&self) {
        process::signal(self.pid(), Signal::SIGKILL);
    }

    /// The lines of its log, each a withdrawal.
    pub fn withdrawals(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.state.join("guard.log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

fn read(state: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(state.join(ALIVE)).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn pid_in(alive: &Value) -> Option<u32> {
    alive["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
}

/// Whether the heartbeat is that of the wanted process, and its guard is connected to the speaker.
fn connected_as(state: &Path, is_it: impl Fn(u32) -> bool) -> Result<(), String> {
    let alive = read(state)?;
    let found = pid_in(&alive).is_some_and(is_it) && alive["connected"] == true;
    if found { Ok(()) } else { Err(alive.to_string()) }
}
