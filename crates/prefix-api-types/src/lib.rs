//! The wire shapes of the HTTP API (http-api.md), each once: the server writes them, the client reads them, and
//! `docs/openapi.json` is made of them.
//!
//! Reading is lenient: unknown members are ignored, members that an older server does not send read as empty, and a word
//! that this version does not know ends up in the `Other` variant of its enum and is written again as it came. What a
//! client sends is written with the members that were set only.
//!
//! The feature `domain` adds the conversions from the types of prefix-core and prefix-policy, the feature `openapi` the
//! schemas.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod access;
mod audit;
mod config;
mod corroborator;
mod decision;
#[cfg(feature = "domain")]
mod domain;
mod dry_run;
mod event;
mod group;
mod health;
mod id;
mod lenient;
mod mitigation;
mod network;
mod page;
mod panic;
mod port;
mod problem;
mod protocol;
mod rate;
mod raw;
mod safelist;
mod seconds;
mod signal;
mod simulation;
mod stats;
mod word;

pub use access::*;
pub use audit::*;
pub use config::*;
pub use corroborator::*;
pub use decision::*;
pub use dry_run::*;
pub use event::*;
pub use group::*;
pub use health::*;
pub use id::*;
pub use mitigation::*;
pub use network::*;
pub use page::*;
pub use panic::*;
pub use port::*;
pub use problem::*;
pub use protocol::*;
pub use rate::*;
pub use raw::*;
pub use safelist::*;
pub use seconds::*;
pub use signal::*;
pub use simulation::*;
pub use stats::*;
