//! The ids of the API, each its own type, so that an event is never withdrawn and a mitigation never looked up as an event.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident from $domain:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        #[cfg(feature = "domain")]
        impl From<prefix_core::id::$domain> for $name {
            fn from(id: prefix_core::id::$domain) -> Self {
                Self(id.as_uuid())
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// The server's id of one stored event.
    EventId from EventId;
    /// The id of one mitigation.
    MitigationId from MitigationId;
    /// The id of a group of signals that wait for each other.
    SignalGroupId from GroupId;
    /// The id of one corroborating signal, or of the event that is a signal.
    SignalId from SignalId;
    /// The id of one pull of the kill switch.
    PanicId from PanicId;
    /// The id of one entry of the audit log.
    AuditId from AuditId;
    /// The id of one operator.
    OperatorId from OperatorId;
    /// The id of one API token.
    TokenId from TokenId;
    /// The id of one login session; it is not the cookie.
    SessionId from SessionId;
}

impl EventId {
    /// True for the nil id, which a batch gives to an item of which nothing was stored.
    pub fn is_nil(&self) -> bool {
        self.0.is_nil()
    }
}
