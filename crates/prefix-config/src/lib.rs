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
mod yaml;

/// The environment, passed as a value so that nothing below reads the process's own.
pub type Environment = std::collections::BTreeMap<String, String>;
