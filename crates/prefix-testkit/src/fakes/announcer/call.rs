//! The changes that were requested of the fake, for assertions.

use std::fmt;

use prefix_core::announcer::{AnnounceError, OwnPath, RibPath, Route};
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::ownership::Ownership;
use tokio::time::Instant;

/// A requested change of one route.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Announce this path.
    Announce(Box<OwnPath>),
    /// Withdraw the path of this route.
    Withdraw(RouteKey),
}

/// A requested change and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// When it was answered, by tokio's time.
    pub at: Instant,
    /// The change.
    pub change: Change,
    /// The answer.
    pub result: Result<(), AnnounceError>,
}

impl Change {
    /// The route.
    pub fn key(&self) -> RouteKey {
        match self {
            Self::Announce(path) => path.route.key(),
            Self::Withdraw(key) => key.clone(),
        }
    }

    /// The announced path.
    pub fn announced(&self) -> Option<&OwnPath> {
        match self {
            Self::Announce(path) => Some(path),
            Self::Withdraw(_) => None,
        }
    }

    /// Whether it is a withdrawal.
    pub fn is_withdraw(&self) -> bool {
        matches!(self, Self::Withdraw(_))
    }

    /// An error if route and action do not fit: an adapter refuses that before it sends anything.
    pub(super) fn check(&self) -> Result<(), AnnounceError> {
        let Self::Announce(path) = self else { return Ok(()) };
        let hole = matches!(path.route, Route::Blackhole(_));
        if hole == (path.action.is_rtbh()) {
            return Ok(());
        }
        Err(AnnounceError::Refused(format!("{} cannot carry {}", path.route, path.action.action_type())))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Announce(path) => {
                let parts = path.action.parts();
                write!(f, "announce {}: {}", path.route, parts.action_type)?;
                if let Some(rate) = parts.rate_bps {
                    write!(f, " {rate}")?;
                }
                Ok(())
            }
            Self::Withdraw(key) => write!(f, "withdraw {}", key.flow()),
        }
    }
}

/// The path as the table lists it: a rate is a 32-bit floating point number of bytes per second.
pub(super) fn as_listed(path: &OwnPath) -> RibPath {
    let action = match path.route {
        Route::FlowSpec(_) => Action::from_extended_communities(&path.action.extended_communities()).ok(),
        Route::Blackhole(_) => Some(path.action),
    };
    let tags = path.tags;
    RibPath {
        key: path.route.key(),
        action,
        ownership: Ownership::Own { not_after: Some(tags.not_after), mitigation: Some(tags.mitigation) },
        local: true,
        attributes: format!("{} with own tags", path.action.action_type()),
    }
}
