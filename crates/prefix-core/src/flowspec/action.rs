//! What happens to matching traffic. A value of [`Action`] can always be sent and never means something else.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{ExtendedCommunity, RouteTarget};
use crate::rate::{BitsPerSecond, PacketsPerSecond};

/// Why an action can not be built or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ActionError {
    /// Police without any rate.
    #[error("police needs rate_bps or rate_pps")]
    NoRate,
    /// Less than one byte per second would be sent as 0, which means discard.
    #[error("a police rate of {0} rounds to 0 bytes per second, which would discard; use at least 8 bit/s")]
    RateRoundsToZero(BitsPerSecond),
    /// 0 packets per second would discard.
    #[error("a police rate of 0 packets per second would discard; use at least 1")]
    ZeroPacketRate,
    /// Redirect without target.
    #[error("redirect needs redirect_to, a route target like \"65000:100\"")]
    NoTarget,
    /// Mark without code point.
    #[error("mark needs dscp_mark, from 0 to 63")]
    NoMark,
    /// Not a code point.
    #[error("a DSCP is from 0 to 63, not {0}")]
    Dscp(u64),
    /// A member that this action does not have.
    #[error("{action} takes no {member}")]
    Surplus {
        /// The action.
        action: ActionType,
        /// The member's name.
        member: &'static str,
    },
    /// No community names an action.
    #[error("no extended community names an action")]
    NoAction,
    /// Communities that name different actions.
    #[error("the extended communities name several actions")]
    SeveralActions,
}

/// The name of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionType {
    /// Limit the rate.
    Police,
    /// Drop everything.
    Discard,
    /// Send to a VRF.
    Redirect,
    /// Set the DSCP.
    Mark,
    /// Remotely triggered blackhole (RFC 7999): a unicast route, no FlowSpec.
    Rtbh,
}

impl ActionType {
    /// The name as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Police => "police",
            Self::Discard => "discard",
            Self::Redirect => "redirect",
            Self::Mark => "mark",
            Self::Rtbh => "rtbh",
        }
    }
}

impl fmt::Display for ActionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A differentiated services code point, 0..=63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Dscp(u8);

impl Dscp {
    /// A code point from 0 to 63.
    pub const fn new(value: u8) -> Result<Self, ActionError> {
        if value <= 63 { Ok(Self(value)) } else { Err(ActionError::Dscp(value as u64)) }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for Dscp {
    type Error = ActionError;

    fn try_from(value: u64) -> Result<Self, Self::Error> {
        u8::try_from(value).map_err(|_| ActionError::Dscp(value)).and_then(Self::new)
    }
}

impl From<Dscp> for u64 {
    fn from(dscp: Dscp) -> Self {
        dscp.0.into()
    }
}

/// Limits of a police action: at least one, none that the wire would round to 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Police {
    rate_bps: Option<BitsPerSecond>,
    rate_pps: Option<PacketsPerSecond>,
}

impl Police {
    /// Limits in bits and/or packets per second; both must hold if both are given.
    pub fn new(
        rate_bps: Option<BitsPerSecond>,
        rate_pps: Option<PacketsPerSecond>,
    ) -> Result<Self, ActionError> {
        if rate_bps.is_none() && rate_pps.is_none() {
            return Err(ActionError::NoRate);
        }
        if let Some(rate) = rate_bps.filter(|rate| rate.get() < 8) {
            return Err(ActionError::RateRoundsToZero(rate));
        }
        if rate_pps.is_some_and(|rate| rate.get() == 0) {
            return Err(ActionError::ZeroPacketRate);
        }
        Ok(Self { rate_bps, rate_pps })
    }

    /// Bits per second.
    pub const fn rate_bps(self) -> Option<BitsPerSecond> {
        self.rate_bps
    }

    /// Packets per second.
    pub const fn rate_pps(self) -> Option<PacketsPerSecond> {
        self.rate_pps
    }
}

/// What happens to matching traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "ActionParts", into = "ActionParts")]
pub enum Action {
    /// Limit the rate.
    Police(Police),
    /// Drop everything.
    Discard,
    /// Send to the VRF that imports the target.
    Redirect(RouteTarget),
    /// Set the DSCP.
    Mark(Dscp),
    /// Blackhole the host by a unicast route.
    Rtbh,
}

/// The flat form of an [`Action`], as in the API and in tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionParts {
    /// Which action.
    pub action_type: ActionType,
    /// Of police.
    #[serde(default)]
    pub rate_bps: Option<BitsPerSecond>,
    /// Of police.
    #[serde(default)]
    pub rate_pps: Option<PacketsPerSecond>,
    /// Of redirect.
    #[serde(default)]
    pub redirect_to: Option<RouteTarget>,
    /// Of mark.
    #[serde(default)]
    pub dscp_mark: Option<Dscp>,
}

impl Action {
    /// Police with at least one limit, see [`Police::new`].
    pub fn police(
        rate_bps: Option<BitsPerSecond>,
        rate_pps: Option<PacketsPerSecond>,
    ) -> Result<Self, ActionError> {
        Police::new(rate_bps, rate_pps).map(Self::Police)
    }

    /// The name of the action.
    pub const fn action_type(&self) -> ActionType {
        match self {
            Self::Police(_) => ActionType::Police,
            Self::Discard => ActionType::Discard,
            Self::Redirect(_) => ActionType::Redirect,
            Self::Mark(_) => ActionType::Mark,
            Self::Rtbh => ActionType::Rtbh,
        }
    }

    /// The limit in bits per second, of police.
    pub fn rate_bps(&self) -> Option<BitsPerSecond> {
        if let Self::Police(police) = self { police.rate_bps } else { None }
    }

    /// The limit in packets per second, of police.
    pub fn rate_pps(&self) -> Option<PacketsPerSecond> {
        if let Self::Police(police) = self { police.rate_pps } else { None }
    }

    /// The flat form.
    pub fn parts(&self) -> ActionParts {
        todo!()
    }

    /// The communities that say this action to a router; none for rtbh, whose BLACKHOLE is a plain community.
    pub fn extended_communities(&self) -> Vec<ExtendedCommunity> {
        todo!()
    }

    /// The action that communities name; unknown ones are ignored. A rate of 0, below, or NaN is a discard.
    pub fn from_extended_communities(communities: &[ExtendedCommunity]) -> Result<Self, ActionError> {
        let _ = communities;
        todo!()
    }

    /// Whether this lets through no more than `other` would.
    pub fn strength_at_least(&self, other: &Self) -> bool {
        let _ = other;
        todo!()
    }
}

impl TryFrom<ActionParts> for Action {
    type Error = ActionError;

    fn try_from(parts: ActionParts) -> Result<Self, Self::Error> {
        let _ = parts;
        todo!()
    }
}

impl From<Action> for ActionParts {
    fn from(action: Action) -> Self {
        action.parts()
    }
}
