//! What the API says, as types that read leniently.

pub(crate) mod audit;
pub(crate) mod config;
pub(crate) mod corroborator;
pub(crate) mod decision;
pub(crate) mod event;
pub(crate) mod group;
pub(crate) mod health;
pub(crate) mod lenient;
pub(crate) mod mitigation;
pub(crate) mod network;
pub(crate) mod panic;
pub(crate) mod query;
pub(crate) mod safelist;
pub(crate) mod signal;
pub(crate) mod simulation;
