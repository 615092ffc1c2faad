//! What systemd is told: ready, reloading, stopping, still alive (`sd_notify(3)`). Without systemd nothing is said.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use prefix_config::Environment;

/// The service manager, if there is one.
#[derive(Debug)]
pub struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Found by `NOTIFY_SOCKET`; the watchdog by `WATCHDOG_USEC`.
    pub fn from_environment(environment: &Environment) -> Self {
        let socket = environment.get("NOTIFY_SOCKET").and_then(|name| open(name).ok());
        let own = environment.get("WATCHDOG_PID").is_none_or(|pid| *pid == std::process::id().to_string());
        let period =
            environment.get("WATCHDOG_USEC").and_then(|text| text.parse().ok()).map(Duration::from_micros);
        // Twice per period, so that one late wake-up is no death.
        let watchdog = period.filter(|period| own && !period.is_zero()).map(|period| period / 2);
        Self { watchdog: watchdog.filter(|_| socket.is_some()), socket }
    }

    /// Start or reload is complete.
    pub fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={status}"));
    }

    /// A reload began.
    pub fn reloading(&self) {
        self.say("RELOADING=1");
    }

    /// The end began.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// How often [`ServiceManager::alive`] is to be called; none without a watchdog.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The daemon still works.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    fn say(&self, message: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(message.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager cannot be told");
        }
    }
}

fn open(name: &str) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn the_manager_hears_every_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::from_environment(&environment(&[
            ("NOTIFY_SOCKET", path.to_str().unwrap()),
            ("WATCHDOG_USEC", "10000000"),
        ]));
        assert_eq!(manager.watchdog(), Some(Duration::from_secs(5)));
        manager.ready("serving");
        manager.reloading();
        manager.alive();
        manager.stopping();
        let all: Vec<String> = (0..4).map(|_| heard(&socket)).collect();
        assert_eq!(all, ["READY=1\nSTATUS=serving", "RELOADING=1", "WATCHDOG=1", "STOPPING=1"]);
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let manager = ServiceManager::from_environment(&environment(&[("WATCHDOG_USEC", "10000000")]));
        assert_eq!(manager.watchdog(), None);
        manager.ready("serving");
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_ours() {
        let manager = ServiceManager::from_environment(&environment(&[
            ("NOTIFY_SOCKET", "@prefixd-test"),
            ("WATCHDOG_USEC", "10000000"),
            ("WATCHDOG_PID", "1"),
        ]));
        assert_eq!(manager.watchdog(), None);
    }
}
