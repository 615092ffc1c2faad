//! BGP Flow Specification (RFC 8955, RFC 8956): every rule that can be built can be announced.
//!
//! A [`Rule`] is the match, an [`Action`] what is done with matching packets, an [`Nlri`] the canonical
//! encoding, which is the rule's identity (RFC 8955 §4, RFC 8956 §3). Equal matches have equal bytes, however they
//! were written.
#![allow(clippy::doc_markdown, reason = "FlowSpec, ICMPv6 and ANDed are words of the field, not code")]

mod action;
mod action_error;
mod bitmask;
mod component;
mod covers;
mod decode;
mod extended_community;
mod fragment;
mod nlri;
mod numeric;
mod overlaps;
mod precedence;
mod route_key;
mod route_target;
mod rule;
mod rule_error;
mod tcp_flags;
mod text;
mod unmatchable;
mod wire;

pub use action::{Action, ActionParts, ActionType, Dscp, Police};
pub use action_error::ActionError;
pub use bitmask::{Bitmask, BitmaskError, BitmaskOperand};
pub use component::Component;
pub use extended_community::{ExtendedCommunity, TrafficAction};
pub use fragment::Fragment;
pub use nlri::{Nlri, NlriError, ScopeHash};
pub use numeric::{Numeric, NumericError};
pub use route_key::{RouteKey, RouteKind};
pub use route_target::{RouteTarget, RouteTargetError};
pub use rule::{Rule, RuleBuilder};
pub use rule_error::RuleError;
pub use tcp_flags::TcpFlags;
pub use text::{RuleTextError, blackhole_text};
pub use unmatchable::Unmatchable;
pub use wire::{WireComponent, WireItem};
