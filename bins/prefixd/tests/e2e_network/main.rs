//! End to end with real parts: prefixd as a process, real HTTP, real gobgpd 3 and 4, and rules seen in real routers.
//!
//! The tests read as the stories they tell; [`stage`] holds the actors: a [`stage::Network`] with its speaker, its
//! routers and its daemon, a detector that posts, an operator at prefixdctl. Expected rules are bytes written down by
//! hand, never computed by the code under test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing step is a failing test"
)]

#[path = "../stage/mod.rs"]
mod stage;

mod bad_input;
mod correlation;
mod crowd;
mod durability;
mod ending;
mod escalation;
mod every_vector;
mod guard;
mod long_past;
mod operator;
mod process;
mod service_ports;
mod several;
mod speaker;
mod ten_thousand;
