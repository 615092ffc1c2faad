//! The one place where settings become the parts of a daemon.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use prefix_api::{ApiSettings, AuthMode as ApiAuth, CertificateRole, CertificateRoles, RateLimits};
use prefix_core::clock::SystemClock;
use prefix_core::{Announcer, Clock, Store};
use prefix_engine::{AccessSettings, SpeakerPort, settings as engine};
use prefix_gobgp::Gobgp;
use prefix_guard::files::StateDir;
use prefix_tls::{ServerTls, TlsFiles};

use crate::descriptors;
use crate::error::StartError;
use crate::guard_supervisor::{GuardSupervisor, Launch};
use crate::machine;
use crate::mock_speaker::MockSpeaker;
use prefix_config::Environment;
pub use prefix_config::candidate::policy;
use prefix_config::folder::ConfigSource;
use prefix_config::settings::bgp::{Backend, BgpKeys, ConfiguredSpeaker};
use prefix_config::settings::http::{AuthKeys, AuthMode, MtlsRole};
use prefix_config::settings::{Mode, Settings};
use prefix_config::speaker::{NamedSpeaker, SpeakerSettings};

/// The clock of the machine.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// What the engine is told. `configuration` is the hash of all files.
pub fn engine_settings(settings: &Settings, configuration: String) -> engine::Settings {
    let keys = &settings.keys;
    let days = |days: u32| (days > 0).then(|| Duration::from_secs(u64::from(days) * 86_400));
    engine::Settings {
        pop: settings.pop.clone(),
        mode: match keys.mode {
            Mode::DryRun => engine::Mode::DryRun,
            Mode::Enforced => engine::Mode::Enforced,
        },
        announce_timeout: Duration::from_millis(keys.bgp.announce_timeout_ms),
        max_changes_per_second: keys.bgp.max_changes_per_second,
        withdraw_alarm: Duration::from_secs(keys.bgp.withdraw_alarm_seconds),
        reconciliation_interval: Duration::from_secs(keys.timers.reconciliation_interval_seconds),
        neighbors: keys
            .bgp
            .neighbors
            .iter()
            .map(|neighbor| engine::Neighbor {
                name: neighbor.name.clone(),
                address: neighbor.address,
                peer_asn: neighbor.peer_asn,
                platform: neighbor.profile,
                max_entries: neighbor.max_entries,
            })
            .collect(),
        safelist: keys.safelist.prefixes.clone(),
        retain_events: days(keys.storage.retention.events_days),
        retain_mitigations: days(keys.storage.retention.mitigations_days),
        has_sessions: keys.bgp.backend() != Backend::Mock,
        preserve_announcements: keys.shutdown.preserve_announcements,
        speaker_address: speaker_address(&keys.bgp),
        configuration,
    }
}

/// Where the speakers are, as instances of a pop compare it.
fn speaker_address(bgp: &BgpKeys) -> String {
    let address = |speaker: &ConfiguredSpeaker<'_>| {
        let address = machine::speaker_address(&speaker.endpoint);
        speaker.name.map_or(address.clone(), |name| format!("{name}: {address}"))
    };
    let mut addresses: Vec<String> = bgp.speakers().iter().map(address).collect();
    // the order of the list says nothing
    addresses.sort();
    addresses.join(", ")
}

/// The supervisor of the guard; `None` where nothing is announced.
pub fn guard_supervisor(
    settings: &Settings,
    source: &ConfigSource,
    state: &StateDir,
) -> Option<GuardSupervisor> {
    let bgp = &settings.keys.bgp;
    if settings.keys.mode != Mode::Enforced || bgp.backend() == Backend::Mock {
        return None;
    }
    let launch = Launch { source: source.clone(), settings: SpeakerSettings::of(settings) };
    Some(GuardSupervisor::new(bgp.guard.mode, state.clone(), launch))
}

/// The database, migrated.
pub async fn store(settings: &Settings) -> Result<Arc<dyn Store>, StartError> {
    let storage = &settings.keys.storage;
    let url = storage.url();
    let options = prefix_store::Options {
        max_connections: storage.max_connections.max(2),
        ..prefix_store::Options::default()
    };
    prefix_store::open(&url.0, options).await.map_err(StartError::Storage)
}

/// The speakers; nothing is connected yet.
pub fn speakers(settings: &Settings) -> Vec<SpeakerPort> {
    let is_mock = settings.keys.bgp.backend() == Backend::Mock;
    let port = |speaker: NamedSpeaker| {
        let announcer: Arc<dyn Announcer> =
            if is_mock { Arc::new(MockSpeaker::default()) } else { Arc::new(Gobgp::new(speaker.gobgp)) };
        SpeakerPort { name: speaker.name, announcer }
    };
    SpeakerSettings::of(settings).speakers().into_iter().map(port).collect()
}

/// TLS of the API, if it speaks TLS. Client certificates are asked for where they are who gets in.
fn tls(settings: &Settings) -> Result<Option<Arc<ServerTls>>, StartError> {
    let Some(files) = settings.keys.http.tls.files(Path::new("")) else { return Ok(None) };
    let authority = files.authority.clone().filter(|_| settings.auth_mode == AuthMode::Mtls);
    let opened = ServerTls::open(TlsFiles { authority, ..files }).map_err(StartError::Tls)?;
    Ok(Some(Arc::new(opened)))
}

fn certificate_roles(auth: &AuthKeys) -> Result<Vec<CertificateRole>, StartError> {
    let role = |keys: &MtlsRole| {
        let matches = keys.matches.parse().map_err(StartError::CertificateMatch)?;
        Ok(CertificateRole { matches, role: keys.role, sources: keys.sources.iter().cloned().collect() })
    };
    auth.mtls_roles.iter().map(role).collect()
}

/// What is asked of passwords, sessions and tokens. Hashing gets no more threads than half of the machine.
pub fn access_settings(auth: &AuthKeys) -> AccessSettings {
    let usual = AccessSettings::default();
    let idle = i64::try_from(auth.session_idle_seconds).ok().and_then(TimeDelta::try_seconds);
    let max_age = (auth.token_max_age_days > 0).then(|| TimeDelta::days(auth.token_max_age_days.into()));
    AccessSettings {
        session_idle: idle.unwrap_or(usual.session_idle),
        token_max_age: max_age,
        password_min_length: usize::try_from(auth.password_min_length).unwrap_or(usual.password_min_length),
        hashing_threads: std::thread::available_parallelism().map_or(1, |all| (all.get() / 2).clamp(1, 4)),
        ..usual
    }
}

/// How the API listens and whom it lets in.
pub fn api_settings(settings: &Settings, environment: &Environment) -> Result<ApiSettings, StartError> {
    let (http, limits) = (&settings.keys.http, &settings.keys.http.rate_limit);
    let at_least_one = |value: u32| NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN);
    let tls = tls(settings)?;
    let auth = match settings.auth_mode {
        AuthMode::None => ApiAuth::None,
        AuthMode::Bearer => {
            let name = &http.auth.bearer_token_env;
            let secret = environment.get(name).map(|secret| secret.trim().to_owned()).unwrap_or_default();
            if secret.is_empty() {
                return Err(StartError::NoSecret { variable: name.clone() });
            }
            ApiAuth::Bearer { secret: secret.into() }
        }
        AuthMode::Credentials => ApiAuth::Credentials,
        AuthMode::Mtls => {
            let tls = tls.clone().ok_or(StartError::NoCertificates)?;
            ApiAuth::Mtls(CertificateRoles { tls, roles: certificate_roles(&http.auth)? })
        }
    };
    let storage_connections = settings.keys.storage.max_connections.max(2);
    Ok(ApiSettings {
        listen: http.listen.0,
        public_url: http.public_url.clone(),
        trusted_proxies: http.trusted_proxies.clone(),
        tls,
        connections: descriptors::connections(descriptors::raise(), storage_connections),
        cors_origin: http.cors_origin.clone(),
        auth,
        access: access_settings(&http.auth),
        rate_limits: RateLimits {
            events_per_second: at_least_one(limits.events_per_second),
            events_burst: at_least_one(limits.burst),
            requests_per_second: at_least_one(limits.requests_per_second),
            requests_burst: at_least_one(limits.requests_burst),
        },
        max_signal_body_bytes: usize::try_from(http.max_signal_body_bytes).unwrap_or(usize::MAX),
        drain_timeout: Duration::from_secs(settings.keys.shutdown.drain_timeout_seconds),
    })
}

#[cfg(test)]
mod tests {
    use prefix_policy::{Inventory, Playbooks};
    use secrecy::ExposeSecret;

    use super::*;
    use crate::development;
    use prefix_config::correlation::CorrelationKeys;

    fn settings(environment: &[(&str, &str)]) -> Settings {
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        development::source(environment, false).load().value.unwrap().settings
    }

    #[test]
    fn everything_of_our_own_is_out_of_bounds() {
        let settings = settings(&[
            ("PREFIXD__HTTP__LISTEN", "192.0.2.80:8080"),
            ("PREFIXD__OBSERVABILITY__METRICS_LISTEN", "0.0.0.0:9090"),
            ("PREFIXD__BGP__GOBGP_GRPC", "192.0.2.48:50051"),
            ("PREFIXD__BGP__NEIGHBORS", "[{name: a, address: '2001:db8::1', peer_asn: 1}]"),
        ]);
        let policy =
            policy(&settings, Inventory::default(), Playbooks::default(), &CorrelationKeys::default());
        let own: Vec<String> = policy.parts().own_addresses.iter().map(ToString::to_string).collect();
        assert_eq!(own, ["10.255.0.1", "192.0.2.48", "192.0.2.80", "2001:db8::1"]);
    }

    #[test]
    fn the_shared_secret_comes_from_its_variable() {
        let environment = Environment::from([
            ("PREFIXD__HTTP__AUTH__MODE".to_owned(), "bearer".to_owned()),
            ("PREFIXD_API_TOKEN".to_owned(), " a-long-enough-shared-secret\n".to_owned()),
        ]);
        let settings = development::source(environment.clone(), false).load().value.unwrap().settings;
        let api = api_settings(&settings, &environment).unwrap();
        let ApiAuth::Bearer { secret } = &api.auth else { panic!("{:?}", api.auth) };
        assert_eq!(secret.expose_secret(), "a-long-enough-shared-secret");
        assert!(!format!("{api:?}").contains("long-enough"), "it does not show itself");
        assert!(api_settings(&settings, &Environment::new()).is_err());
    }
}
