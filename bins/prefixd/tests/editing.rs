//! Documents of the configuration replaced over the API: under traffic, and when something breaks.

mod files;
mod obstacles;
mod traffic;
mod undone;
