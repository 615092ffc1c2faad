//! ExaBGP as a receiving router: it records every UPDATE, as octets and as ExaBGP decodes it.

mod journal;

use super::folder::Folder;
use super::process::Process;
use super::{Gobgpd, LabError, Namespace, RouterSeat, RouterUpdate, programs, wait};
use journal::Journal;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The program to which ExaBGP writes each line. Its standard input is non-blocking, which Python can read and `cat`
/// cannot.
const RECORDER: &str = "\
import sys
with open(sys.argv[1], 'a', buffering=1) as journal:
    for line in sys.stdin:
        journal.write(line)
";

/// A receiving router that records every UPDATE.
#[derive(Debug)]
pub struct Exabgp {
    process: Process,
    journal: Mutex<Journal>,
    folder: Folder,
    _seat: RouterSeat,
}

impl Exabgp {
    /// Starts ExaBGP on `seat` and waits until its session with `speaker` is up.
    ///
    /// # Errors
    /// [`LabError::Missing`] without ExaBGP 5, [`LabError::Deadline`] when the session does not come up: the speaker
    /// needs this seat among its neighbours.
    pub async fn start(seat: &RouterSeat, speaker: &Gobgpd) -> Result<Self, LabError> {
        let python = programs::lab_dir().join("venv/bin");
        let exabgp = programs::find("exabgp", [python.join("exabgp")])?;
        let folder = Folder::new("exabgp")?;
        let recorder = folder.write("recorder.py", RECORDER)?;
        let lines = folder.write("journal.jsonl", "")?;
        let run = format!("{} {} {}", python.join("python").display(), recorder.display(), lines.display());
        let configuration = folder.write("exabgp.conf", &configuration(seat, speaker, &run))?;
        let mut command = Command::new(exabgp);
        command.arg("server").arg(configuration).env("exabgp.daemon.user", current_user());
        // no control pipes: ExaBGP expects them at fixed paths
        command.env("exabgp.api.cli", "false").env("exabgp.log.level", "WARNING");
        command.env("exabgp.tcp.delay", "0").current_dir(folder.path());
        // in the speaker's namespace, because they connect over loopback
        let command = Namespace::wrap_in(speaker.namespace(), command);
        let process = Process::start("exabgp", command, &folder.join("exabgp.log"))?;
        let journal = Mutex::new(Journal::new(lines));
        let router = Self { process, journal, folder, _seat: seat.clone() };
        router.wait_until_up().await?;
        Ok(router)
    }

    /// Waits until the session is up, for example after a restart of the speaker.
    ///
    /// # Errors
    /// [`LabError::Deadline`], [`LabError::Ended`].
    pub async fn wait_until_up(&self) -> Result<(), LabError> {
        let condition = "its BGP session is up";
        self.process
            .ready(condition, async || {
                let state =
                    self.read(|journal| journal.state().to_owned()).map_err(|error| error.to_string())?;
                if state == "up" { Ok(()) } else { Err(format!("session {state}")) }
            })
            .await
    }

    /// How many times the session came up: 1 as long as it was never lost.
    ///
    /// # Errors
    /// [`LabError::Unreadable`].
    pub fn times_up(&self) -> Result<usize, LabError> {
        self.read(Journal::times_up)
    }

    /// Every update so far, in order.
    ///
    /// # Errors
    /// [`LabError::Unreadable`].
    pub fn updates(&self) -> Result<Vec<RouterUpdate>, LabError> {
        self.read(|journal| journal.updates().to_vec())
    }

    /// The routes of the router: the last announcement of each NLRI that was not withdrawn since the session came up.
    ///
    /// # Errors
    /// [`LabError::Unreadable`].
    pub fn rib(&self) -> Result<Vec<RouterUpdate>, LabError> {
        self.read(Journal::rib)
    }

    /// Every update of rules with this destination, like `203.0.113.10/32`; an IPv6 destination may be given
    /// with or without ExaBGP's offset.
    ///
    /// # Errors
    /// [`LabError::Unreadable`].
    pub fn history_for(&self, destination: &str) -> Result<Vec<RouterUpdate>, LabError> {
        let with_offset = format!("{destination}/0");
        self.read(|journal| {
            let of = |update: &&RouterUpdate| {
                update.destination().is_some_and(|found| found == destination || found == with_offset)
            };
            journal.updates().iter().filter(of).cloned().collect()
        })
    }

    /// Waits for the first update that fits, earlier ones included.
    ///
    /// # Errors
    /// [`LabError::Deadline`] after [`wait::PATIENCE`].
    pub async fn wait_for(
        &self,
        condition: &str,
        fits: impl Fn(&RouterUpdate) -> bool,
    ) -> Result<RouterUpdate, LabError> {
        self.wait_for_within(condition, wait::PATIENCE, fits).await
    }

    /// Waits for the first update that fits, at most for `patience`.
    ///
    /// # Errors
    /// [`LabError::Deadline`], [`LabError::Unreadable`].
    pub async fn wait_for_within(
        &self,
        condition: &str,
        patience: Duration,
        fits: impl Fn(&RouterUpdate) -> bool,
    ) -> Result<RouterUpdate, LabError> {
        let condition = format!("ExaBGP to receive {condition}");
        let mut looked_at = 0;
        wait::until(condition, patience, async || {
            let look = self.read(|journal| {
                let updates = journal.updates();
                let found = updates.iter().skip(looked_at).find(|update| fits(update)).cloned();
                looked_at = updates.len();
                let seen = || {
                    let last = updates.last().map(|update| (update.change, update.nlri_hex()));
                    format!("{} updates, the last {last:?}, session {}", updates.len(), journal.state())
                };
                found.ok_or_else(seen)
            });
            match look {
                Ok(Ok(update)) => Ok(Ok(update)),
                Ok(Err(seen)) => Err(seen),
                Err(error) => Ok(Err(error)),
            }
        })
        .await
        .flatten()
    }

    /// Waits until the router holds `size` NLRI.
    ///
    /// # Errors
    /// [`LabError::Deadline`], [`LabError::Unreadable`].
    pub async fn wait_for_rib_size(&self, size: usize, patience: Duration) -> Result<(), LabError> {
        wait::until(format!("{size} NLRI in ExaBGP"), patience, async || match self.read(Journal::rib_size) {
            Ok(held) if held == size => Ok(Ok(())),
            Ok(held) => Err(held),
            Err(error) => Ok(Err(error)),
        })
        .await
        .flatten()
    }

    /// Its folder.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.process.log()
    }

    fn read<T>(&self, look: impl FnOnce(&Journal) -> T) -> Result<T, LabError> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.catch_up()?;
        Ok(look(&journal))
    }
}

fn configuration(seat: &RouterSeat, speaker: &Gobgpd, run: &str) -> String {
    let (router, asn, router_id) = (seat.address(), seat.asn(), seat.address().router_id());
    let (peer, peer_asn) = (speaker.bgp_address(), speaker.asn());
    let (peer, port) = (peer.ip(), peer.port());
    format!(
        "process recorder {{
  run {run};
  encoder json;
}}
neighbor {peer} {{
  router-id {router_id};
  local-address {router};
  local-as {asn};
  peer-as {peer_asn};
  connect {port};
  hold-time 30;
  family {{ ipv4 unicast; ipv6 unicast; ipv4 flow; ipv6 flow; }}
  api {{ processes [ recorder ]; neighbor-changes; receive {{ parsed; packets; consolidate; update; }} }}
}}
"
    )
}

/// ExaBGP runs as `nobody` by default, who cannot read the folder of a test.
fn current_user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    user.map_or_else(|| "root".to_owned(), |user| user.name)
}
