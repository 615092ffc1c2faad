//! The Announcer port on `GoBGP`'s gRPC API, v3 and v4.
//!
//! NLRI and attributes are sent to the speaker, and read from its table, in the binary form of BGP: what a router
//! receives is what [`prefix_core`] encoded, in both versions of the API. Nothing in this crate can delete by family:
//! a withdrawal is sent as a withdrawn path, and the API's `DeletePath` is not in the protos of this workspace.
//!
//! [`Gobgp`] lists what the adapter promises.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod attributes;
mod client;
mod codec;
mod community;
mod connection;
mod decode;
mod endpoint;
mod error;
mod gobgp;
mod path;
mod proto;
mod settings;
mod watch;

pub use community::{AnyCommunity, Community, CommunityError};
pub use endpoint::{Endpoint, EndpointError};
pub use gobgp::Gobgp;
pub use settings::{Api, Settings, TlsIdentity, TlsSettings};
