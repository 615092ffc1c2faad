//! Identifiers: UUIDs with a type for each kind of thing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Types of identifiers.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new one, ordered by time of creation (UUID version 7, RFC 9562 §5.7).
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The UUID.
            pub fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
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
    /// Identifies a mitigation. Its last 32 bits are the mitigation tag of its paths.
    MitigationId,
    /// Identifies a stored event.
    EventId,
    /// Identifies an audit entry.
    AuditId,
    /// Identifies a panic: one freeze of a scope.
    PanicId,
    /// Identifies an instance: one daemon among those of a pop. It is kept in the state folder, so that a restarted
    /// daemon is known again.
    InstanceId,
    /// Identifies a signal group.
    GroupId,
    /// Identifies a signal; the signal of an event has the identifier of the event.
    SignalId,
}

impl From<EventId> for SignalId {
    fn from(id: EventId) -> Self {
        Self(id.as_uuid())
    }
}
