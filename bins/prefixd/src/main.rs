//! The prefixd daemon.

fn main() {}
