//! The built-in configuration: enough to try prefixd out in a checkout, and too little to be taken for production.

use prefix_config::Environment;
use prefix_config::folder::{ConfigSource, Files};

/// Its files; the addresses are those reserved for documentation (RFC 5737, RFC 3849).
const FILES: &[(&str, &str)] = &[
    ("prefixd.yaml", include_str!("development/prefixd.yaml")),
    ("inventory.yaml", include_str!("development/inventory.yaml")),
    ("playbooks.yaml", include_str!("development/playbooks.yaml")),
];

/// The built-in configuration under the environment. `enforce` lets it announce.
pub fn source(mut environment: Environment, enforce: bool) -> ConfigSource {
    if enforce {
        environment.insert("PREFIXD__MODE".to_owned(), "enforced".to_owned());
        environment.entry("PREFIXD__BGP__BACKEND".to_owned()).or_insert_with(|| "gobgp".to_owned());
    }
    ConfigSource::new(Files::BuiltIn(FILES), environment)
}

/// What is said before anything else.
pub fn notice(enforce: bool) -> String {
    let mode = if enforce {
        "ENFORCED: rules are announced to a GoBGP at 127.0.0.1:50051"
    } else {
        "dry-run: nothing is announced, the speaker is a mock"
    };
    format!(
        "using the built-in DEVELOPMENT configuration ({mode}), because neither --config nor {} is there; \
         loopback only, no authentication, SQLite in ./data",
        crate::start::DEFAULT_FOLDER
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use prefix_config::settings::Mode;

    #[test]
    fn it_passes_every_check_and_listens_on_loopback_only() {
        for (enforce, mode) in [(false, Mode::DryRun), (true, Mode::Enforced)] {
            let loaded = source(Environment::new(), enforce).load();
            let errors: Vec<_> =
                loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).collect();
            assert!(errors.is_empty(), "{errors:?}");
            let settings = loaded.value.unwrap().settings;
            assert_eq!(settings.keys.mode, mode);
            assert!(settings.keys.http.listen.0.ip().is_loopback());
            assert_eq!(settings.keys.storage.url().0.to_string(), "sqlite://data/prefixd.db");
        }
    }
}
