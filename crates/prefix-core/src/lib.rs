//! The domain of prefixd: types, invariants, the FlowSpec codec, the mitigation state machine, and the ports.
//!
//! No I/O and no async runtime. Text from outside is parsed into a type once, where it enters, and the ports
//! ([`Store`], [`Announcer`], [`Clock`]) declare what the engine needs of storage, speaker and clock.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[macro_use]
mod macros;

pub mod access;
pub mod address;
pub mod alert;
pub mod announcer;
pub mod audit;
pub mod audit_chain;
pub mod clock;
pub mod confidence;
pub mod decision;
pub mod event;
pub mod flowspec;
pub mod guard;
pub mod guardrail;
pub mod id;
pub mod lease;
pub mod matching;
pub mod mitigation;
pub mod name;
pub mod ownership;
pub mod pacing;
pub mod page;
pub mod panic;
pub mod platform;
pub mod port;
pub mod ports;
pub mod protocol;
pub mod rate;
pub mod rtbh;
pub mod safelist;
pub mod signal;
pub mod speakers;
pub mod ttl;

pub use announcer::Announcer;
pub use clock::Clock;
pub use ports::Store;
