//! BIRD as a receiving router.

use super::folder::Folder;
use super::process::{self, Process};
use super::{Family, Gobgpd, LabError, RouterSeat, programs, wait};
use std::process::Command;

/// A BIRD 2 that imports everything.
#[derive(Debug)]
pub struct Bird {
    process: Process,
    folder: Folder,
    _seat: RouterSeat,
}

impl Bird {
    /// Starts BIRD on `seat` and waits until its session with `speaker` is up.
    ///
    /// # Errors
    /// [`LabError::Missing`] without BIRD, [`LabError::Deadline`] when the session does not come up.
    pub async fn start(seat: &RouterSeat, speaker: &Gobgpd) -> Result<Self, LabError> {
        let bird = programs::find_installed("bird")?;
        let folder = Folder::new("bird")?;
        let configuration = folder.write("bird.conf", &configuration(seat, speaker))?;
        let mut command = Command::new(bird);
        command.arg("-f").arg("-c").arg(configuration);
        command.arg("-s").arg(folder.join("control")).arg("-P").arg(folder.join("pid"));
        let process = Process::start("bird", command, &folder.join("bird.log"))?;
        let router = Self { process, folder, _seat: seat.clone() };
        router.wait_until_up().await?;
        Ok(router)
    }

    /// Waits until the session is up.
    ///
    /// # Errors
    /// [`LabError::Deadline`], [`LabError::Ended`].
    pub async fn wait_until_up(&self) -> Result<(), LabError> {
        self.process
            .ready("its BGP session is up", async || {
                let state = self.session_state().await.map_err(|error| error.to_string())?;
                if state.contains("Established") { Ok(()) } else { Err(state) }
            })
            .await
    }

    /// BIRD's line about the session: name, protocol, table, state, since, information.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn session_state(&self) -> Result<String, LabError> {
        let text = self.birdc("show protocols speaker").await?;
        Ok(text.lines().find(|line| line.starts_with("speaker")).unwrap_or_default().to_owned())
    }

    /// Since when the session is in its state, in BIRD's time format: equal values mean that the session was not lost
    /// in between.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn session_since(&self) -> Result<String, LabError> {
        let state = self.session_state().await?;
        Ok(state.split_whitespace().nth(4).unwrap_or_default().to_owned())
    }

    /// The routes of a family, each with its attributes as BIRD prints them, like
    /// `flow4 { dst 203.0.113.10/32; proto 17; dport 53; }  [speaker …` and lines like
    /// `BGP.ext_community: (generic, 0x80060000, 0x0)`.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn routes(&self, family: Family) -> Result<Vec<String>, LabError> {
        let table = match family {
            Family::Ipv4Unicast => "master4",
            Family::Ipv6Unicast => "master6",
            Family::Ipv4FlowSpec => "flow4tab",
            Family::Ipv6FlowSpec => "flow6tab",
        };
        let text = self.birdc(&format!("show route all table {table}")).await?;
        let mut routes: Vec<String> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with("BIRD ") && !line.starts_with("Table ")) {
            match routes.last_mut() {
                Some(route) if line.starts_with(char::is_whitespace) => {
                    route.push('\n');
                    route.push_str(line.trim());
                }
                _ => routes.push(line.to_owned()),
            }
        }
        Ok(routes)
    }

    /// Waits until `fits` holds for the routes of a family.
    ///
    /// # Errors
    /// [`LabError::Deadline`].
    pub async fn wait_for_routes(
        &self,
        condition: &str,
        family: Family,
        fits: impl Fn(&[String]) -> bool,
    ) -> Result<Vec<String>, LabError> {
        wait::until_fits(&format!("BIRD to have {condition}"), fits, async || self.routes(family).await).await
    }

    /// Runs a command of BIRD's control program.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn birdc(&self, words: &str) -> Result<String, LabError> {
        let mut command = Command::new(programs::find_installed("birdc")?);
        command.arg("-s").arg(self.folder.join("control")).args(words.split_whitespace());
        process::run(command).await
    }
}

fn configuration(seat: &RouterSeat, speaker: &Gobgpd) -> String {
    let (router, asn, router_id) = (seat.address(), seat.asn(), seat.address().router_id());
    let (peer, peer_asn) = (speaker.bgp_address(), speaker.asn());
    let (peer, port) = (peer.ip(), peer.port());
    format!(
        "log stderr all;
router id {router_id};
debug protocols {{ states }};
protocol device {{}}
flow4 table flow4tab;
flow6 table flow6tab;
protocol bgp speaker {{
  local {router} port 2180 as {asn};
  neighbor {peer} port {port} as {peer_asn};
  multihop;
  strict bind yes;
  connect delay time 1;
  connect retry time 1;
  error wait time 1, 2;
  hold time 30;
  ipv4 {{ import all; export none; }};
  ipv6 {{ import all; export none; }};
  flow4 {{ table flow4tab; import all; export none; }};
  flow6 {{ table flow6tab; import all; export none; }};
}}
"
    )
}
