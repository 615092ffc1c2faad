//! The engine through its public face, between a store and a speaker in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod alerts;
mod answers;
mod carpets;
mod clocks;
mod correlation;
mod flapping;
mod hazards;
mod health;
mod lab;
mod leases;
mod life_of_a_rule;
mod memory;
mod merging;
mod neighbors;
mod operators;
mod panic;
mod queue;
mod quotas;
mod replay;
mod scenarios;
mod several;
mod sharing;
mod speaker;
mod starts_and_stops;
mod steps;
mod storage;
mod storms;
mod two_speakers;
