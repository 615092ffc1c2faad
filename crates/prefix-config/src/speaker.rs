//! What the guard and `prefixdctl panic --direct` need of prefixd.yaml: `pop`, `bgp` and `state_dir`, and nothing else.
//! A mistake anywhere else must not keep them from their work.

use std::path::{Path, PathBuf};
use std::time::Duration;

use prefix_core::name::{Pop, SpeakerName};
use prefix_core::ownership::Owner;
use prefix_gobgp::{TlsIdentity, TlsSettings};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Environment;
use super::folder::{ConfigSource, SETTINGS};
use super::interpolate::variables;
use super::merge::Overrides;
use super::settings::bgp::{BgpKeys, ConfiguredSpeaker};
use super::settings::{Keys, Settings};
use super::yaml;

/// The members of prefixd.yaml that are read.
pub(super) const MEMBERS: [&str; 3] = ["pop", "bgp", "state_dir"];

/// How the speaker is reached, how own paths are known there, and where the state folder is. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeakerSettings {
    /// Name of this site.
    pub pop: Pop,
    /// Our autonomous system.
    pub local_asn: u32,
    /// `bgp`.
    pub bgp: BgpKeys,
    /// `state_dir`.
    pub state_dir: PathBuf,
}

/// One of the speakers.
#[derive(Debug, Clone)]
pub struct NamedSpeaker {
    /// Its name; `None` = the only one, configured by `bgp.gobgp_grpc`.
    pub name: Option<SpeakerName>,
    /// What its adapter is told.
    pub gobgp: prefix_gobgp::Settings,
}

impl SpeakerSettings {
    fn new(pop: Pop, local_asn: u32, mut bgp: BgpKeys, state_dir: &Path) -> Self {
        bgp = bgp.with_defaults();
        bgp.speaker_tls_paths().for_each(|path| *path = absolute(path));
        Self { pop, local_asn, bgp, state_dir: absolute(state_dir) }
    }

    /// From keys whose paths are resolved; none if a required key is missing.
    pub(super) fn from_keys(keys: Keys) -> Option<Self> {
        Some(Self::new(keys.pop?, keys.bgp.local_asn?, keys.bgp, &keys.state_dir))
    }

    /// The same, of a whole configuration.
    pub fn of(settings: &Settings) -> Self {
        let Settings { pop, local_asn, keys, .. } = settings;
        Self::new(pop.clone(), *local_asn, keys.bgp.clone(), &keys.state_dir)
    }

    /// What the adapter of each speaker is told, at least one, in the order of the configuration.
    pub fn speakers(&self) -> Vec<NamedSpeaker> {
        let bgp = &self.bgp;
        let owner = Owner::new(self.local_asn, bgp.owner_tag, &self.pop);
        let named = |speaker: ConfiguredSpeaker<'_>| {
            let ConfiguredSpeaker { name, endpoint, api, tls } = speaker;
            let identity = tls.cert.zip(tls.key).map(|(cert, key)| TlsIdentity { cert, key });
            let gobgp = prefix_gobgp::Settings {
                tls: tls.ca.map(|ca| TlsSettings { ca, identity }),
                api,
                connect_timeout: Duration::from_secs(bgp.connect_timeout_seconds),
                request_timeout: Duration::from_secs(bgp.request_timeout_seconds),
                next_hop_v4: bgp.rtbh_next_hop_v4,
                next_hop_v6: bgp.rtbh_next_hop_v6,
                communities: bgp.communities.clone(),
                rtbh_communities: bgp.rtbh_communities.clone(),
                rtbh_targets: bgp.rtbh_targets(),
                ..prefix_gobgp::Settings::new(endpoint, owner)
            };
            NamedSpeaker { name: name.cloned(), gobgp }
        };
        bgp.speakers().into_iter().map(named).collect()
    }

    /// Tells one configuration from another, for whoever has to know whether two programs guard the same: the head of a
    /// SHA-256, lower-case hex.
    pub fn fingerprint(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        hex::encode(&Sha256::digest(&text)[..8])
    }
}

/// Seen from wherever a program runs.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

impl ConfigSource {
    /// The part of the environment that [`ConfigSource::load_speaker`] needs: the overrides of `pop`, `bgp` and
    /// `state_dir`, and the variables that stand in them. Secrets of anything else are not among it.
    pub fn speaker_environment(&self) -> Environment {
        let environment = self.environment();
        let overrides = Overrides::of("settings", environment).only(&MEMBERS);
        let mut names: Vec<String> = overrides.variables().map(str::to_owned).collect();
        if let Some(mut node) = self.text(SETTINGS).ok().flatten().and_then(|text| yaml::parse(&text).ok()) {
            node.keep_members(&MEMBERS);
            names.extend(variables(&mut node, environment));
        }
        names.into_iter().filter_map(|name| environment.get_key_value(&name)).map(owned).collect()
    }
}

fn owned((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

#[cfg(test)]
mod tests {
    use crate::folder::Files;
    use crate::loaded::Loaded;

    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> Loaded<SpeakerSettings> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("prefixd.yaml"), text).unwrap();
        let environment: Environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ConfigSource::new(Files::Folder(folder.path().to_path_buf()), environment).load_speaker()
    }

    const BGP: &str = "bgp: {local_asn: 65010, router_id: 10.0.0.1, guard: {grace_seconds: 7}}";

    #[test]
    fn the_speaker_needs_no_secret_of_anything_else() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "pop: \"${{SITE}}\"\n{BGP}\nstate_dir: ${{STATE:-data}}\nstorage: {{url: \"postgres://u:${{PASSWORD}}@h/d\"}}\n"
        );
        std::fs::write(folder.path().join("prefixd.yaml"), text).unwrap();
        let names = [
            "SITE",
            "PASSWORD",
            "PREFIXD_API_TOKEN",
            "DATABASE_URL",
            "PREFIXD__BGP__OWNER_TAG",
            "PREFIXD__STORAGE__URL",
            "PREFIXD__STATE_DIR",
            "RADWARE_SECRET",
        ];
        let environment = names.map(|name| (name.to_owned(), "7".to_owned())).into();
        let source = ConfigSource::new(Files::Folder(folder.path().to_path_buf()), environment);
        let needed: Vec<String> = source.speaker_environment().into_keys().collect();
        assert_eq!(needed, ["PREFIXD__BGP__OWNER_TAG", "PREFIXD__STATE_DIR", "SITE"]);
    }

    #[test]
    fn mistakes_anywhere_else_change_nothing() {
        let rest = "\nmode: enforce\nhttp: {auth: {mode: bearer, bearer_token_env: NOT_SET}}\nnonsense: [1\n ]\n\
                    storage: {url: \"${NOT_SET}\"}\nguardrails: 5\nquotas: {max_active_per_pop: -1}\nmode: twice\n";
        let loaded = load(&format!("pop: fra1\n{BGP}{rest}"), &[("PREFIXD__HTTP__LISTN", "x")]);
        assert_eq!(loaded.diagnostics, []);
        let settings = loaded.value.unwrap();
        assert_eq!((settings.pop.as_str(), settings.local_asn), ("fra1", 65010));
        assert_eq!(settings.bgp.guard.grace_seconds, 7);
        assert!(settings.state_dir.is_absolute() && settings.state_dir.ends_with("data"));
    }

    #[test]
    fn the_environment_wins_and_mistakes_in_what_is_read_are_said() {
        let loaded = load(
            &format!("pop: fra1\n{BGP}\n"),
            &[("PREFIXD__BGP__GUARD__GRACE_SECONDS", "3"), ("PREFIXD__STATE_DIR", "/state")],
        );
        let settings = loaded.value.unwrap();
        assert_eq!(settings.bgp.guard.grace_seconds, 3);
        assert_eq!(settings.state_dir, PathBuf::from("/state"));

        let said = |text: &str| {
            let loaded = load(text, &[]);
            assert!(loaded.value.is_none(), "{text}");
            loaded.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert!(said(BGP).contains("missing key \"pop\""));
        let unknown = said("pop: fra1\nbgp:\n  local_asn: 1\n  router_id: 10.0.0.1\n  owner_tg: 1\n");
        assert!(unknown.contains("prefixd.yaml:5: unknown key \"owner_tg\" in bgp"), "{unknown}");
        assert!(said("pop: [").contains("prefixd.yaml"));
    }

    #[test]
    fn daemon_and_guard_agree_on_the_fingerprint_and_another_configuration_has_another() {
        let text = format!("pop: fra1\nhttp: {{auth: {{mode: none}}}}\n{BGP}\n");
        let folder = tempfile::tempdir().unwrap();
        let playbooks =
            "playbooks: [{name: a, match: {vector: udp_flood}, steps: [{action: discard, ttl_seconds: 60}]}]";
        for (name, text) in [
            ("prefixd.yaml", text.as_str()),
            ("inventory.yaml", "customers: []"),
            ("playbooks.yaml", playbooks),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let source = ConfigSource::new(Files::Folder(folder.path().to_path_buf()), Environment::new());
        let whole = SpeakerSettings::of(&source.load().value.unwrap().settings);
        let part = source.load_speaker().value.unwrap();
        assert_eq!(whole, part);
        assert_eq!(whole.fingerprint(), part.fingerprint());
        let mut other = part.clone();
        other.bgp.guard.grace_seconds += 1;
        assert_ne!(other.fingerprint(), part.fingerprint());
    }
}
