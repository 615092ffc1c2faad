//! The API over a real engine, between a store and a speaker in memory.

mod access;
mod bad_input;
mod bodies;
mod border;
mod chain;
mod config_edit;
mod conformance;
mod corroborator;
mod credentials;
mod events;
mod forms;
mod groups;
mod lab;
mod limits;
mod mitigations;
mod operation;
mod other_sites;
mod outage;
mod panic;
mod reports;
mod safelist;
mod shapes;
mod signals;
mod simulate;
mod slow_peers;
mod wire;
