//! The API over a real engine, between a store and a speaker in memory.

mod access;
mod bad_input;
mod border;
mod chain;
mod config_edit;
mod corroborator;
mod events;
mod groups;
mod lab;
mod limits;
mod mitigations;
mod operation;
mod outage;
mod panic;
mod safelist;
mod shapes;
mod signals;
mod simulate;
mod wire;
