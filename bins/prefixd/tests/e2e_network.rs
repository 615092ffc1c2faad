//! End to end with real parts: prefixd as a process, real HTTP, real gobgpd 3 and 4, and rules seen in real routers.
//!
//! [`crate::test_network`] holds what each test starts: a network with its speaker, its routers and its daemon, a
//! detector that posts, an operator at prefixdctl. Expected rules are bytes written down by hand, never computed by the
//! code under test.

mod bad_input;
mod carpets;
mod correlation;
mod crowd;
mod durability;
mod ending;
mod escalation;
mod every_vector;
mod guard;
mod long_past;
mod operator;
mod process;
mod service_ports;
mod several;
mod speaker;
mod ten_thousand;
mod three_pops;
mod two_speakers;
