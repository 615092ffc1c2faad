//! Configuration: a folder of YAML files and the environment become typed settings, or a list of everything that is
//! wrong with them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod candidate;
pub mod correlation;
mod decode;
mod document;
pub mod edit;
pub mod finding;
pub mod folder;
mod interpolate;
mod merge;
pub mod path;
pub mod policy;
mod read;
pub mod settings;
pub mod speaker;
pub mod storage;
pub mod suggest;

/// The environment, passed as a value so that nothing below reads the process's own.
pub type Environment = std::collections::BTreeMap<String, String>;

/// The environment of this process, without what is not UTF-8.
pub fn process_environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
