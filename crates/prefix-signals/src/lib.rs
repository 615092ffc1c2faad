//! What foreign detectors send, read as the reports of prefixd.
//!
//! Every function here takes a payload and gives reports: nothing is stored, asked or decided. A detector is taken as it
//! is: what it writes oddly is read as it is meant. What is there and cannot be read is an error of its item where a rule
//! would become wider without it, and is named otherwise.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod alertmanager;
pub mod expression;
pub mod fastnetmon;
mod item;
pub mod jsonpath;
mod reading;
pub mod webhook;

pub use item::{BadItem, Context, Item, MOST_ITEMS};
