//! Configuration: a folder of YAML files and the environment become typed settings, or a list of everything that is
//! wrong with them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod candidate;
pub mod correlation;
#[cfg(test)]
mod decoding;
pub mod edit;
pub mod folder;
mod interpolate;
mod load;
pub mod loaded;
mod merge;
mod read;
pub mod settings;
pub mod speaker;
mod substituted;
mod yaml;

/// The environment, passed as a value so that nothing below reads the process's own.
pub type Environment = std::collections::BTreeMap<String, String>;

/// The environment of this process, without what is not UTF-8.
pub fn process_environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
