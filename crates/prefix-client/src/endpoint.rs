//! The methods of the client, one for each operation, in the areas of the API.

mod audit;
mod config;
mod corroborator;
mod events;
mod groups;
mod mitigations;
mod panic;
mod safelist;
mod signals;
mod simulate;
mod state;
