//! Errors of actions.

use thiserror::Error;

use super::ActionType;
use crate::rate::BitsPerSecond;

/// Why an action cannot be built or decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ActionError {
    /// Police without any rate.
    #[error("police needs rate_bps or rate_pps")]
    NoRate,
    /// Less than 8 bit/s is encoded as 0 bytes per second, which discards.
    #[error(
        "a police rate of {0} rounds to 0 bytes per second, which would discard: give guardrails.min_police_rate_bps \
         or more, or say discard"
    )]
    RateRoundsToZero(BitsPerSecond),
    /// 0 packets per second would discard.
    #[error("a police rate of 0 packets per second would discard: give 1 or more, or say discard")]
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
    /// A parameter that this action does not have.
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
