//! The HTTP API of prefixd.
