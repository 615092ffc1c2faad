//! The HTTP API of prefixd: outside text becomes domain types here, and what the engine answers becomes JSON.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod access;
mod body;
mod fields;
mod json;
mod limits;
mod pointer;
mod problem;
mod query;
mod request;
mod request_id;
mod value;
