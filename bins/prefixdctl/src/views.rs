//! What is shown of each kind of thing, as columns.

mod access;
mod audit;
mod batch;
mod chain;
mod config;
mod events;
mod groups;
mod mitigations;
mod network;
mod panic;
mod safelist;
mod simulation;

pub(crate) use access::{ME, OPERATORS, PREFERENCES, SESSIONS, TOKENS};
pub(crate) use audit::AUDIT;
pub(crate) use batch::{BATCH, BULK, SIGNALS};
pub(crate) use chain::VERDICT;
pub(crate) use config::CHANGES;
pub(crate) use events::{ANSWER, EVENTS, attacked};
pub(crate) use groups::{CACHED_SIGNALS, CORROBORATED, GROUP_SIGNALS, GROUPS, SOURCE_ACTIVITY};
pub(crate) use mitigations::{MITIGATIONS, action, mitigation_tone};
pub(crate) use network::{PEERS, POP_COUNTS, POPS, TIMESERIES, TOTALS};
pub(crate) use panic::{FROZEN, PANIC, scope_of};
pub(crate) use safelist::SAFELIST;
pub(crate) use simulation::{DIFFERENCES, SIMULATED};

#[cfg(test)]
mod tests;
