//! Typed HTTP client of the prefixd API.
