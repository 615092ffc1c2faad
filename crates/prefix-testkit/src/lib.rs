//! Real speakers, routers and databases, and fakes of the ports, for tests.
//!
//! * [`fakes`] keep the contract of a port without its outside world, and fail when they are told to.
//! * [`mutation`] makes inputs that nobody would send.
//! * [`lab`] starts the real parts as processes: gobgpd 3 and 4, ExaBGP, BIRD, FRR, PostgreSQL and the daemon itself.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod announcer_contract;
pub mod fakes;
pub mod lab;
pub mod mutation;
pub mod store_contract;
