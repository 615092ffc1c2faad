//! The operator's command line for prefixd.

fn main() {}
