//! The program as scripts and people meet it: arguments in, exit code, stdout and stderr out.

mod access;
mod changes;
mod direct;
mod emergency;
mod events;
mod exit_codes;
mod groups;
mod lists;
mod local;
mod migrations;
mod operations;
mod program;
mod signals;
mod simulate;
