//! FRR's bgpd as a receiving router. Of the routers of the lab it resets its session most easily.

use super::folder::Folder;
use super::process::{self, Process};
use super::{Family, Gobgpd, LabError, RouterSeat, programs, wait};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// An FRR bgpd without zebra: it receives and shows, and installs nothing.
#[derive(Debug)]
pub struct Frr {
    process: Process,
    folder: Folder,
    peer: String,
    _seat: RouterSeat,
}

/// FRR's view of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrrSession {
    /// Like `Established`.
    pub state: String,
    /// How many times it came up.
    pub established: u64,
    /// How many times it was lost.
    pub dropped: u64,
    /// The cause of the last loss.
    pub last_reset: String,
}

impl Frr {
    /// Starts bgpd on `seat` and waits until its session with `speaker` is up.
    ///
    /// # Errors
    /// [`LabError::Missing`] without FRR, [`LabError::Deadline`] when the session does not come up.
    pub async fn start(seat: &RouterSeat, speaker: &Gobgpd) -> Result<Self, LabError> {
        let mut command = Command::new(programs::find_installed("bgpd")?);
        let folder = Folder::new("frr")?;
        let configuration = folder.write("bgpd.conf", &configuration(seat, speaker))?;
        // Without zebra, without the kernel, without changing its user, without ports of its own.
        command.args(["--no_kernel", "--no_zebra", "--skip_runas", "--bgp_port", "0", "--vty_port", "0"]);
        command.arg("--config_file").arg(configuration).arg("--pid_file").arg(folder.join("pid"));
        command.arg("--vty_socket").arg(folder.path());
        command.args(["--log", "stdout"]).current_dir(folder.path());
        let process = Process::start("bgpd", command, &folder.join("bgpd.log"))?;
        let peer = speaker.bgp_address().ip().to_string();
        let router = Self { process, folder, peer, _seat: seat.clone() };
        router.wait_until_up().await?;
        Ok(router)
    }
    /// Kills it (SIGKILL): the speaker sees the connection close.
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// Starts it again after [`Self::kill9`]: the speaker sends everything it has, at once. Returns when the session
    /// is up, maybe before the routes are in.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_again(&mut self) -> Result<(), LabError> {
        self.process.restart()?;
        self.wait_until_up().await
    }

    /// Waits until the session is up.
    ///
    /// # Errors
    /// [`LabError::Deadline`], [`LabError::Ended`].
    pub async fn wait_until_up(&self) -> Result<(), LabError> {
        self.process
            .ready("its BGP session is up", async || {
                let session = self.session().await.map_err(|error| error.to_string())?;
                if session.state == "Established" { Ok(()) } else { Err(format!("{session:?}")) }
            })
            .await
    }

    /// The state of the session.
    ///
    /// # Errors
    /// [`LabError::Command`], [`LabError::Unreadable`].
    pub async fn session(&self) -> Result<FrrSession, LabError> {
        let neighbor = self.neighbor().await?;
        let number = |name: &str| neighbor[name].as_u64();
        let text = |name: &str| neighbor[name].as_str().unwrap_or_default().to_owned();
        Ok(FrrSession {
            state: text("bgpState"),
            established: number("connectionsEstablished").unwrap_or(0),
            dropped: number("connectionsDropped").unwrap_or(0),
            last_reset: text("lastResetDueTo"),
        })
    }

    async fn neighbor(&self) -> Result<Value, LabError> {
        let text = self.vtysh(&format!("show bgp neighbors {} json", self.peer)).await?;
        match serde_json::from_str::<Value>(&text) {
            Ok(mut all) => Ok(all[&self.peer].take()),
            Err(error) => Err(LabError::Unreadable { part: "vtysh", problem: error.to_string(), text }),
        }
    }

    /// How many routes of a family FRR accepted from the speaker.
    ///
    /// # Errors
    /// [`LabError::Command`], [`LabError::Unreadable`].
    pub async fn count(&self, family: Family) -> Result<usize, LabError> {
        let name = match family {
            Family::Ipv4Unicast => "ipv4Unicast",
            Family::Ipv6Unicast => "ipv6Unicast",
            Family::Ipv4FlowSpec => "ipv4Flowspec",
            Family::Ipv6FlowSpec => "ipv6Flowspec",
        };
        let accepted = self.neighbor().await?["addressFamilyInfo"][name]["acceptedPrefixCounter"].as_u64();
        Ok(usize::try_from(accepted.unwrap_or(0)).unwrap_or(usize::MAX))
    }

    /// The FlowSpec rules of a family as FRR prints them, like `Destination Address 203.0.113.10/32`, `IP Protocol =
    /// 17`, `FS:rate 0.000000` on lines of their own. FRR says 17 for UDP and prints rates in bytes per second.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn rules(&self, family: Family) -> Result<Vec<String>, LabError> {
        let words = match family {
            Family::Ipv4FlowSpec | Family::Ipv4Unicast => "show bgp ipv4 flowspec detail",
            Family::Ipv6FlowSpec | Family::Ipv6Unicast => "show bgp ipv6 flowspec detail",
        };
        let text = self.vtysh(words).await?;
        let rules = text.split("BGP flowspec entry:").skip(1).map(|entry| {
            let lines = entry.lines().skip(1).map(str::trim);
            let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("Displayed")).collect();
            lines.join("\n").trim().to_owned()
        });
        Ok(rules.collect())
    }

    /// Waits until `fits` holds for the rules of a family.
    ///
    /// # Errors
    /// [`LabError::Deadline`].
    pub async fn wait_for_rules(
        &self,
        condition: &str,
        family: Family,
        fits: impl Fn(&[String]) -> bool,
    ) -> Result<Vec<String>, LabError> {
        wait::until_fits(&format!("FRR to have {condition}"), fits, async || self.rules(family).await).await
    }

    /// Waits until FRR has accepted `count` routes of a family.
    ///
    /// # Errors
    /// [`LabError::Deadline`].
    pub async fn wait_for_count(
        &self,
        family: Family,
        count: usize,
        patience: Duration,
    ) -> Result<(), LabError> {
        wait::until(format!("{count} routes in FRR"), patience, async || {
            let held = self.count(family).await.map_err(|error| error.to_string())?;
            if held == count { Ok(()) } else { Err(format!("{held} routes")) }
        })
        .await
    }

    /// Runs a command of FRR's shell.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn vtysh(&self, words: &str) -> Result<String, LabError> {
        let mut command = Command::new(programs::find_installed("vtysh")?);
        command.arg("--vty_socket").arg(self.folder.path()).arg("-c").arg(words);
        process::run(command).await
    }
}

fn configuration(seat: &RouterSeat, speaker: &Gobgpd) -> String {
    let (router, asn, router_id) = (seat.address(), seat.asn(), seat.address().router_id());
    let (peer, peer_asn) = (speaker.bgp_address(), speaker.asn());
    let (peer, port) = (peer.ip(), peer.port());
    let multihop =
        if asn == peer_asn { String::new() } else { format!(" neighbor {peer} ebgp-multihop 10\n") };
    let families: String = ["ipv4 unicast", "ipv6 unicast", "ipv4 flowspec", "ipv6 flowspec"]
        .map(|family| format!(" address-family {family}\n  neighbor {peer} activate\n exit-address-family\n"))
        .concat();
    format!(
        "hostname frr
router bgp {asn}
 bgp router-id {router_id}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor {peer} remote-as {peer_asn}
 neighbor {peer} port {port}
 neighbor {peer} update-source {router}
{multihop} neighbor {peer} timers connect 1
{families}!
line vty
!
"
    )
}
