//! Peers that mean no good, with real processes: crowds of connections at few descriptors, peers that drip or never read,
//! and thousands of generated requests.

mod crowd;
mod generated;
mod slow;
