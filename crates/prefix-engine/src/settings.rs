//! Settings that only a restart changes.

use std::net::IpAddr;
use std::time::Duration;

use prefix_core::name::Pop;
use prefix_core::platform::Platform;

/// Whether anything reaches the speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything is decided and stored, nothing is announced.
    DryRun,
    /// Rules are announced.
    Enforced,
}

impl Mode {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DryRun => "dry-run",
            Self::Enforced => "enforced",
        }
    }
}

/// A neighbor that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its autonomous system number.
    pub peer_asn: u32,
    /// What it is, or what the routers behind it are.
    pub platform: Platform,
    /// How many entries its filter memory has for our rules; `None` = not known.
    pub max_entries: Option<u64>,
}

/// Settings that only a restart changes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Own pop.
    pub pop: Pop,
    /// Dry-run or enforced.
    pub mode: Mode,
    /// Longest wait of a request for the speaker; zero = none.
    pub announce_timeout: Duration,
    /// Changes per second toward the speaker, in bursts of at most 200.
    pub max_changes_per_second: u32,
    /// From when on a `withdrawing` row counts as stuck.
    pub withdraw_alarm: Duration,
    /// Between two comparisons of intent and table.
    pub reconciliation_interval: Duration,
    /// Named neighbors.
    pub neighbors: Vec<Neighbor>,
    /// Safelist entries of the configuration file.
    pub safelist: Vec<prefix_core::address::Prefix>,
    /// How long events are kept; `None` = for ever.
    pub retain_events: Option<Duration>,
    /// How long final mitigations are kept; `None` = for ever.
    pub retain_mitigations: Option<Duration>,
    /// The speaker keeps BGP sessions, so that one of them should be up; a mock keeps none.
    pub has_sessions: bool,
    /// Leave own rules in the speaker at shutdown, provided that a guard is alive which ends them in time.
    pub preserve_announcements: bool,
    /// Address of the speaker: all instances of a pop have the same.
    pub speaker_address: String,
    /// Hash of the configuration, in hex: instances of a pop shall have the same.
    pub configuration: String,
}

impl Settings {
    /// True if rules are announced.
    pub(crate) fn enforced(&self) -> bool {
        self.mode == Mode::Enforced
    }
}
