//! prefixd.yaml: every key with its type and default. What one key cannot say alone is in [`rules`].

use std::path::{Path, PathBuf};

use prefix_core::address::Prefix;
use prefix_core::name::Pop;
use prefix_core::{section, words};
use prefix_policy::settings::{EscalationDefaults, Guardrails, Quotas, Timers};
use serde::{Deserialize, Serialize};

pub mod bgp;
pub mod http;
pub mod operation;
pub mod rules;
pub mod values;
pub mod view;

use self::bgp::BgpKeys;
use self::http::{AuthMode, HttpKeys};
use self::operation::{ObservabilityKeys, ShutdownKeys, StorageKeys};

words! {
    /// Whether anything reaches the speaker.
    #[derive(Default)]
    pub enum Mode {
        /// Everything is decided and stored, nothing is announced.
        #[default]
        DryRun = "dry-run",
        /// Rules are announced.
        Enforced = "enforced",
    }
}

section! {
    /// The file as it is written, defaults filled in. Keys without default are optional here, so that one that is missing
    /// does not hide the mistakes of the others.
    pub struct Keys {
        /// Name of this site; required.
        pub pop: Option<Pop> = None,
        /// Dry-run or enforced.
        pub mode: Mode = Mode::default(),
        /// Folder for what must survive a restart beside the storage.
        pub state_dir: PathBuf = PathBuf::from("data"),
        /// The API.
        pub http: HttpKeys = HttpKeys::default(),
        /// The speaker.
        pub bgp: BgpKeys = BgpKeys::default(),
        /// Bounds of every rule.
        pub guardrails: Guardrails = Guardrails::default(),
        /// Ceilings.
        pub quotas: Quotas = Quotas::default(),
        /// Lifetimes and intervals.
        pub timers: Timers = Timers::default(),
        /// From step to step.
        pub escalation: EscalationDefaults = EscalationDefaults::default(),
        /// The database.
        pub storage: StorageKeys = StorageKeys::default(),
        /// Log, metrics, audit copy.
        pub observability: ObservabilityKeys = ObservabilityKeys::default(),
        /// Prefixes that are never filtered.
        pub safelist: SafelistKeys = SafelistKeys::default(),
        /// The end.
        pub shutdown: ShutdownKeys = ShutdownKeys::default(),
    }
}

/// `safelist`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SafelistKeys {
    /// Stored as `added_by: config`.
    pub prefixes: Vec<Prefix>,
}

/// Settings that passed every rule. Only a restart changes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Name of this site.
    pub pop: Pop,
    /// Who gets in.
    pub auth_mode: AuthMode,
    /// Our autonomous system.
    pub local_asn: u32,
    /// Our BGP identifier.
    pub router_id: std::net::Ipv4Addr,
    /// Everything else. Paths are absolute or relative to where the daemon runs.
    pub keys: Keys,
}

impl Settings {
    /// Takes the required keys out; none if one is missing, which [`rules::check`] has said already.
    pub fn from_keys(keys: Keys, folder: &Path) -> Option<Self> {
        let (pop, auth_mode) = (keys.pop.clone()?, keys.http.auth.mode?);
        let (local_asn, router_id) = (keys.bgp.local_asn?, keys.bgp.router_id?);
        Some(Self { pop, auth_mode, local_asn, router_id, keys: keys.resolved(folder) })
    }
}

impl Keys {
    /// The guardrails with the TTL bounds of the timers where they name none.
    pub fn guardrails_in_force(&self) -> Guardrails {
        let targets = self.bgp.rtbh_targets().map(ToString::to_string);
        self.guardrails.clone().with_timers(&self.timers).with_targets(targets)
    }

    /// What all instances of a pop have in common: without where each of them listens, keeps its files and writes its
    /// log, and by which way it reaches the storage.
    pub(crate) fn common(&self) -> Self {
        let none = Self::default();
        let http = HttpKeys { listen: none.http.listen, tls: none.http.tls, ..self.http.clone() };
        let storage = StorageKeys {
            url_key: None,
            connection_string: None,
            max_connections: none.storage.max_connections,
            ..self.storage.clone()
        };
        let bgp = self.bgp.clone().with_defaults();
        Self {
            state_dir: none.state_dir,
            observability: none.observability,
            http,
            bgp,
            storage,
            ..self.clone()
        }
    }

    /// Relative paths are relative to the configuration folder.
    pub(crate) fn resolved(mut self, folder: &Path) -> Self {
        self.state_dir = folder.join(&self.state_dir);
        self.storage.resolve(folder);
        let tls = [&mut self.http.tls.cert_path, &mut self.http.tls.key_path, &mut self.http.tls.ca_path];
        let others = [&mut self.observability.audit_log_path];
        let files = tls.into_iter().chain(others).flatten();
        for path in files.chain(&mut self.http.tls.crl_paths).chain(self.bgp.speaker_tls_paths()) {
            *path = folder.join(&path);
        }
        self
    }
}
