//! What the FlowSpec codec promises, seen from outside: the bytes of the RFCs and of the API contract, and laws
//! that hold for every rule.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::doc_markdown, reason = "FlowSpec, ExaBGP and GoBGP are names, not code")]

mod captures;
mod contract;
mod coverage;
mod hostile_bytes;
mod laws;
mod rfc_examples;
mod strategies;
