//! End to end with real detectors: Alertmanager driven by the rules of a real Prometheus, and FastNetMon that watches a
//! real flood.
//!
//! Detectors are as they are: nothing of what they say is written by the tests. What they were answered is read by a
//! [`prefix_testkit::lab::Recorder`] between them and the daemon.

mod alertmanager;
mod fastnetmon;
