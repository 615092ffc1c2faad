//! gobgpd, the BGP speaker, in the two major versions that prefixd supports.

mod configuration;
mod control;

use super::folder::Folder;
use super::process::Process;
use super::{Certificates, LabError, Loopback, Namespace, RouterSeat, programs};
use nix::sys::signal::Signal;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Not 179, so that a test needs no privilege.
const BGP_PORT: u16 = 11179;
const API_PORT: u16 = 50051;

/// Which gobgpd; their gRPC services have different names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GobgpVersion {
    /// 3.x, of the machine's own Debian suite (3.10 in bookworm): service `apipb.GobgpApi`.
    V3,
    /// 4.x, unpacked by `cargo xtask setup`: service `api.GoBgpService`.
    V4,
}

impl GobgpVersion {
    /// Both versions, for tests that hold for each.
    pub const ALL: [Self; 2] = [Self::V3, Self::V4];

    /// `gobgpd` or `gobgp` of this version.
    fn program(self, program: &'static str) -> Result<PathBuf, LabError> {
        let folder = match self {
            Self::V3 => Path::new("/").to_path_buf(),
            Self::V4 => programs::lab_dir().join("gobgp-4.8"),
        };
        programs::find(program, [folder.join("usr/bin").join(program)])
    }
}

/// Where the gRPC API listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    Tcp,
    UnixSocket,
}

/// How the gRPC API is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protection {
    None,
    Tls,
    MutualTls,
}

/// Builder of a [`Gobgpd`].
#[must_use]
#[derive(Debug)]
pub struct GobgpdBuilder {
    version: GobgpVersion,
    asn: u32,
    neighbors: Vec<RouterSeat>,
    api: Api,
    protection: Protection,
    place: Option<(Arc<Namespace>, Ipv4Addr)>,
}

impl GobgpdBuilder {
    /// Its AS number; 65010 by default.
    pub fn asn(mut self, asn: u32) -> Self {
        self.asn = asn;
        self
    }

    /// Adds a neighbor: the router on `seat`.
    pub fn neighbor(mut self, seat: &RouterSeat) -> Self {
        self.neighbors.push(seat.clone());
        self
    }

    /// The API on a Unix socket instead of TCP.
    pub fn unix_socket(mut self) -> Self {
        self.api = Api::UnixSocket;
        self
    }

    /// The API over TLS, with certificates made for this speaker ([`Gobgpd::certificates`]).
    pub fn tls(mut self) -> Self {
        self.protection = Protection::Tls;
        self
    }

    /// The API over TLS, for clients with a certificate only. gobgpd 3.10 cannot do this.
    pub fn mutual_tls(mut self) -> Self {
        self.protection = Protection::MutualTls;
        self
    }

    /// Inside `namespace`, its API on `address` there. Its routers have to be inside too.
    pub fn inside(mut self, namespace: &Arc<Namespace>, address: Ipv4Addr) -> Self {
        self.place = Some((namespace.clone(), address));
        self
    }

    /// Starts it and waits until its API answers.
    ///
    /// # Errors
    /// [`LabError::Missing`] without this version, [`LabError::Ended`] when gobgpd refuses its configuration.
    pub async fn start(self) -> Result<Gobgpd, LabError> {
        let program = self.version.program("gobgpd")?;
        let control = self.version.program("gobgp")?;
        let folder = Folder::new("gobgpd")?;
        let address = Loopback::claim()?;
        let configuration = folder.write("gobgpd.toml", &self.configuration(&address))?;
        let certificates = match self.protection {
            Protection::None => None,
            _ => Some(Certificates::create(folder.path(), address.ip())?),
        };
        let endpoint = match self.api {
            Api::Tcp if let Some((_, inside)) = &self.place => format!("{inside}:{API_PORT}"),
            Api::Tcp => address.port(API_PORT).to_string(),
            Api::UnixSocket => format!("unix://{}", folder.join("api.sock").display()),
        };
        let mut command = Command::new(program);
        command.arg("-f").arg(configuration).arg("--pprof-disable").arg(format!("--api-hosts={endpoint}"));
        if let Some(certificates) = &certificates {
            command.arg("--tls").arg("--tls-cert-file").arg(&certificates.server_certificate);
            command.arg("--tls-key-file").arg(&certificates.server_key);
            if self.protection == Protection::MutualTls {
                command.arg("--tls-client-ca-file").arg(&certificates.authority);
            }
        }
        let command = Namespace::wrap_in(self.namespace(), command);
        let process = Process::start("gobgpd", command, &folder.join("gobgpd.log"))?;
        let speaker =
            Gobgpd { process, control, endpoint, setup: self, address, certificates, _folder: folder };
        speaker.wait_until_ready().await?;
        Ok(speaker)
    }

    fn namespace(&self) -> Option<&Arc<Namespace>> {
        self.place.as_ref().map(|(namespace, _)| namespace)
    }
}

/// A running gobgpd.
#[derive(Debug)]
pub struct Gobgpd {
    process: Process,
    control: PathBuf,
    endpoint: String,
    setup: GobgpdBuilder,
    address: Loopback,
    certificates: Option<Certificates>,
    _folder: Folder,
}

impl Gobgpd {
    /// A gobgpd 3.x.
    pub fn v3() -> GobgpdBuilder {
        Self::version_of(GobgpVersion::V3)
    }

    /// A gobgpd 4.x.
    pub fn v4() -> GobgpdBuilder {
        Self::version_of(GobgpVersion::V4)
    }

    /// A gobgpd of this version.
    pub fn version_of(version: GobgpVersion) -> GobgpdBuilder {
        GobgpdBuilder {
            version,
            asn: 65010,
            neighbors: Vec::new(),
            api: Api::Tcp,
            protection: Protection::None,
            place: None,
        }
    }

    /// Its version.
    pub fn version(&self) -> GobgpVersion {
        self.setup.version
    }

    /// Its AS number.
    pub fn asn(&self) -> u32 {
        self.setup.asn
    }

    /// The address on which it accepts BGP sessions.
    pub fn bgp_address(&self) -> SocketAddrV4 {
        self.address.port(BGP_PORT)
    }

    /// The endpoint of its gRPC API as `bgp.gobgp_grpc` of prefixd.yaml takes it: `host:port` or `unix:///path`.
    pub fn grpc_endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The certificates of its API, if that is protected.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// The routers it was configured for.
    pub fn neighbors(&self) -> &[RouterSeat] {
        &self.setup.neighbors
    }

    /// The namespace that it runs in.
    pub fn namespace(&self) -> Option<&Arc<Namespace>> {
        self.setup.namespace()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops it (SIGSTOP): connections stay open and nothing is answered, until [`Self::cont`].
    pub fn stop(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Continues it (SIGCONT): it then answers what is queued.
    pub fn cont(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// Kills it (SIGKILL). Its RIB is lost, its routers notice that the connection closed.
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// Starts it again after [`Self::kill9`], with the same configuration and an empty RIB.
    ///
    /// # Errors
    /// As [`GobgpdBuilder::start`].
    pub async fn start_again(&mut self) -> Result<(), LabError> {
        self.process.restart()?;
        self.wait_until_ready().await
    }

    /// Kills it and starts it again.
    ///
    /// # Errors
    /// As [`GobgpdBuilder::start`].
    pub async fn restart(&mut self) -> Result<(), LabError> {
        self.kill9();
        self.start_again().await
    }

    async fn wait_until_ready(&self) -> Result<(), LabError> {
        self.process.ready("its API answers", async || self.cli(&["global"]).await.map(drop)).await
    }
}
