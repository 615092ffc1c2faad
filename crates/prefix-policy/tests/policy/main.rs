//! What policy promises, in the words of an operator: a lab is set up, something is reported, a verdict comes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::needless_pass_by_value, reason = "documents are written in place")]

mod allowed_ports;
mod bans;
mod carpet;
mod correlation;
mod documents;
mod forms;
mod frozen;
mod guardrails;
mod judge;
mod lab;
mod laws;
mod manual;
mod rule_set_laws;
mod rule_sets;
mod steps;
mod two_speakers;
mod use_cases;
mod vectors;
