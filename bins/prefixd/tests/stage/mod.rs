//! The actors of the stories and the stage they stand on.
#![allow(dead_code, unused_imports, reason = "test programs share the stage, each uses a part of it")]

mod attack;
mod configuration;
mod detector;
mod network;
mod past;
mod prefixdctl;
mod raw_http;
mod router;
mod rule;
mod streets;

pub(crate) use attack::{Attack, udp_flood};
pub(crate) use detector::Detector;
pub(crate) use network::{Beside, Network, NetworkBuilder, program};
pub(crate) use prefixdctl::{Prefixdctl, Said};
pub(crate) use raw_http::{RawAnswer, RawHttp};
pub(crate) use router::Router;
pub(crate) use rule::{Action, Rule, discard, police};
pub(crate) use streets::{OUTSIDE, Streets};
