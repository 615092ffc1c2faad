//! Development tasks of prefixd.

fn main() {}
