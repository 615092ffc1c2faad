//! A network for each test: speaker, routers, database, daemon, and those who report, operate and attack.

mod attack;
mod configuration;
mod detector;
mod namespaces;
mod network;
mod past;
mod prefixdctl;
mod raw_http;
mod router;
mod rule;

pub(crate) use attack::{Attack, drop_by_hand, udp_flood};
pub(crate) use detector::Detector;
pub(crate) use namespaces::{Namespaces, OUTSIDE};
pub(crate) use network::{Beside, Network, NetworkBuilder, program};
pub(crate) use prefixdctl::{Prefixdctl, Said};
pub(crate) use raw_http::{RawAnswer, RawHttp};
pub(crate) use router::Router;
pub(crate) use rule::{Action, Rule, discard, police};
