//! The HTTP API of prefixd: outside text becomes domain types here, and what the engine answers becomes JSON.
//!
//! [`server`] binds and serves; the daemon gives it an engine and its hold on the configuration
//! ([`ConfigControl`]). Every endpoint stands in one table (`endpoint`) with the permission it asks for, and every
//! answer that is no success has one shape (`problem`).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod access;
mod answer;
mod api;
mod body;
mod call;
mod config_control;
mod connections;
mod document;
mod drain;
mod endpoint;
mod envelope;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzed;
mod gate;
mod handlers;
mod intake;
mod limits;
mod problem;
mod proxies;
mod query;
mod report;
mod request;
mod request_id;
mod server;
mod settings;
mod sites;
mod span;
#[cfg(test)]
mod tests;
mod value;

pub use access::{AuthMode, CertificateRole, CertificateRoles};
pub use api::ApiParts;
pub use config_control::{
    Candidate, ConfigChange, ConfigControl, ConfigDocument, EditAnswer, EditError, ReloadAnswer, ReloadError,
};
pub use connections::ConnectionLimits;
pub use limits::RateLimits;
pub use server::{RunningServer, server};
pub use settings::ApiSettings;
