//! The API over a real engine, between a store and a speaker in memory.

mod access;
mod bad_input;
mod border;
mod chain;
mod config_edit;
mod events;
mod lab;
mod limits;
mod mitigations;
mod operation;
mod outage;
mod panic;
mod safelist;
mod simulate;
mod wire;
