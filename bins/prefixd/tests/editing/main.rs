//! Documents of the configuration replaced over the API: under traffic, and when something breaks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod files;
mod obstacles;
mod traffic;
mod undone;
