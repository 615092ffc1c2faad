//! Network namespaces, which a test can cut off and reconnect. Needs root.

use super::folder::Folder;
use super::process::{self, Process};
use super::{LabError, Loopback};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;

/// The device inside that is linked to the machine.
const UPLINK: &str = "uplink";

/// The nftables table that lets nothing through.
const CUT: &str = "inet prefixd_cut";

/// A network namespace without a name: the kernel removes it with its last process.
#[derive(Debug)]
pub struct Namespace {
    holder: Process,
    _folder: Folder,
}

impl Namespace {
    /// A new one with a loopback device and nothing else.
    ///
    /// # Errors
    /// [`LabError::Deadline`] without the right to make one.
    pub async fn create() -> Result<Self, LabError> {
        let folder = Folder::new("namespace")?;
        let mut hold = Command::new("unshare");
        hold.args(["--net", "sleep", "infinity"]);
        let holder = Process::start("namespace", hold, &folder.join("namespace.log"))?;
        let namespace = Self { holder, _folder: folder };
        let ours = network_of("self");
        let theirs = namespace.pid();
        namespace
            .holder
            .ready("a network of its own", async || match network_of(&theirs) {
                Some(network) if Some(&network) != ours.as_ref() => Ok(()),
                seen => Err(format!("{seen:?}")),
            })
            .await?;
        namespace.run(&["ip", "link", "set", "lo", "up"]).await?;
        Ok(namespace)
    }

    /// The same command, run inside. Environment and working folder stay; user and group are not taken over.
    pub fn wrap(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net=/proc/{}/ns/net", self.pid())).arg("--");
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        inside
    }

    /// The command, run inside `namespace` if there is one.
    pub(super) fn wrap_in(namespace: Option<&Arc<Self>>, command: Command) -> Command {
        match namespace {
            Some(namespace) => namespace.wrap(&command),
            None => command,
        }
    }

    /// Runs a command inside to its end and returns what it wrote.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn run(&self, words: &[&str]) -> Result<String, LabError> {
        let mut command = Command::new(words.first().copied().unwrap_or("true"));
        command.args(words.iter().skip(1));
        process::run(self.wrap(&command)).await
    }

    /// Does `work` on a thread that is inside; a socket made there stays inside wherever it is used later.
    ///
    /// # Errors
    /// When the system does not let us in.
    pub fn enter<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let network = File::open(format!("/proc/{}/ns/net", self.pid()))?;
        let inside = std::thread::spawn(move || {
            setns(network, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        });
        inside.join().unwrap_or_else(|_| Err(io::Error::other("the work inside panicked")))
    }

    /// Joins this namespace with another by a pair of devices, each with a name and addresses (with prefix length).
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn join(&self, end: &LinkEnd<'_>, other: &Self, far_end: &LinkEnd<'_>) -> Result<(), LabError> {
        let pid = other.pid();
        let add =
            format!("ip link add name {} type veth peer name {} netns {pid}", end.device, far_end.device);
        self.run(&add.split(' ').collect::<Vec<_>>()).await?;
        for (namespace, end) in [(self, end), (other, far_end)] {
            for address in end.addresses {
                let mut words = vec!["ip", "addr", "add", address, "dev", end.device];
                if address.contains(':') {
                    // no other host on the link can have the address
                    words.push("nodad");
                }
                namespace.run(&words).await?;
            }
            namespace.run(&["ip", "link", "set", "dev", end.device, "up"]).await?;
        }
        Ok(())
    }

    /// Joins it with the machine by a pair of devices with addresses of their own.
    ///
    /// # Errors
    /// [`LabError::Command`], [`LabError::NoAddress`].
    pub async fn join_machine(&self) -> Result<Uplink, LabError> {
        let claim = Loopback::claim()?;
        let [_, b, c, d] = claim.ip().octets();
        // As unique as the claimed one: its second octet is 64 to 127.
        let (machine, inside) = (Ipv4Addr::new(10, b, c, d), Ipv4Addr::new(10, b + 64, c, d));
        let device = format!("pfx{:08x}", u32::from(claim.ip()));
        let here = async |words: &[&str]| {
            let mut command = Command::new("ip");
            command.args(words);
            process::run(command).await
        };
        let pid = self.pid();
        here(&["link", "add", "name", &device, "type", "veth", "peer", "name", UPLINK, "netns", &pid])
            .await?;
        let (near, far) = (machine.to_string(), inside.to_string());
        here(&["addr", "add", &near, "peer", &far, "dev", &device]).await?;
        here(&["link", "set", &device, "up"]).await?;
        self.run(&["ip", "addr", "add", &far, "peer", &near, "dev", UPLINK]).await?;
        self.run(&["ip", "link", "set", UPLINK, "up"]).await?;
        Ok(Uplink { inside, _claim: claim })
    }

    /// Drops every packet from and to the machine without notice.
    ///
    /// # Errors
    /// [`LabError::Command`] without nftables.
    pub async fn cut(&self) -> Result<(), LabError> {
        let rules = format!(
            "add table {CUT}; \
             add chain {CUT} in {{ type filter hook input priority -300; }}; \
             add rule {CUT} in iifname {UPLINK} drop; \
             add chain {CUT} out {{ type filter hook output priority -300; }}; \
             add rule {CUT} out oifname {UPLINK} drop"
        );
        self.run(&["nft", &rules]).await.map(drop)
    }

    /// Ends [`Self::cut`].
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn heal(&self) -> Result<(), LabError> {
        self.run(&["nft", &format!("delete table {CUT}")]).await.map(drop)
    }

    /// Takes the device to the machine down, or up again.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn set_cable(&self, plugged: bool) -> Result<(), LabError> {
        let state = if plugged { "up" } else { "down" };
        self.run(&["ip", "link", "set", UPLINK, state]).await.map(drop)
    }

    fn pid(&self) -> String {
        self.holder.pid().to_string()
    }
}

/// One end of a link between namespaces.
#[derive(Debug, Clone, Copy)]
pub struct LinkEnd<'a> {
    /// The name of the device, at most 15 characters.
    pub device: &'a str,
    /// Its addresses, like `203.0.113.1/24`.
    pub addresses: &'a [&'a str],
}

/// The link from the machine into a namespace.
#[derive(Debug)]
pub struct Uplink {
    inside: Ipv4Addr,
    _claim: Loopback,
}

impl Uplink {
    /// The address inside that the machine reaches.
    pub fn inside(&self) -> Ipv4Addr {
        self.inside
    }
}

/// The network of a process, as the kernel names it.
fn network_of(pid: &str) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
    Some(link.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::super::wait;
    use super::*;
    use std::time::Duration;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn a_namespace_is_reached_unless_it_is_cut_off() {
        let namespace = Namespace::create().await.unwrap();
        let uplink = namespace.join_machine().await.unwrap();
        // Nobody listens, so an answer is a refusal.
        let reached = async || {
            let connect = TcpStream::connect((uplink.inside(), 9));
            tokio::time::timeout(Duration::from_millis(300), connect).await.is_ok()
        };
        assert!(reached().await);
        namespace.cut().await.unwrap();
        assert!(!reached().await);
        namespace.heal().await.unwrap();
        wait::until("the way to be open again", wait::PATIENCE, async || {
            if reached().await { Ok(()) } else { Err("cut") }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn two_namespaces_are_joined_by_a_link() {
        let (one, other) = (Namespace::create().await.unwrap(), Namespace::create().await.unwrap());
        let end = LinkEnd { device: "a", addresses: &["192.0.2.1/30", "2001:db8:1::1/64"] };
        let far_end = LinkEnd { device: "b", addresses: &["192.0.2.2/30", "2001:db8:1::2/64"] };
        one.join(&end, &other, &far_end).await.unwrap();
        let routes = other.run(&["ip", "route", "get", "192.0.2.1"]).await.unwrap();
        assert!(routes.contains("dev b"), "{routes}");
    }
}
