//! The Announcer port on GoBGP's gRPC API, v3 and v4.
