//! Fakes of the ports: they keep the contract of the port, and fail when they are told to.

pub mod store;

pub use store::MemoryStore;
