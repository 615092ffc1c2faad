//! Identifiers: a UUID that says what it identifies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
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
    };
}

id!(
    /// Identifies a mitigation. Its last 32 bits stand in the mitigation community of its paths.
    MitigationId
);
id!(
    /// Identifies a stored event.
    EventId
);
id!(
    /// Identifies an audit entry.
    AuditId
);
id!(
    /// Identifies a panic: one freeze of a scope.
    PanicId
);
id!(
    /// Identifies an instance: one daemon among those of a pop. It is kept in the state folder, so that a restarted
    /// daemon is known again.
    InstanceId
);
id!(
    /// Identifies a signal group: what several sources say about one attack.
    GroupId
);
id!(
    /// Identifies a signal: that of an event is the event's own identifier.
    SignalId
);

impl From<EventId> for SignalId {
    fn from(id: EventId) -> Self {
        Self(id.as_uuid())
    }
}
