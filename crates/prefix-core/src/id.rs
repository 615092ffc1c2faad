//! Identifiers: UUIDs with a type for each kind of thing.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Timestamp, Uuid};

thread_local! {
    /// Counts the identifiers of one millisecond, and the latest time that one was made for.
    static COUNTER: RefCell<(DateTime<Utc>, ContextV7)> =
        RefCell::new((DateTime::UNIX_EPOCH, ContextV7::new().with_additional_precision()));
}

/// A UUID version 7 (RFC 9562 §5.7) of this time. Of two that a thread makes for the same time, or for a time that fell by
/// less than a millisecond, the second one is the greater.
pub fn uuid_at(time: DateTime<Utc>) -> Uuid {
    COUNTER.with_borrow_mut(|(latest, counter)| {
        if time.timestamp_millis() < latest.timestamp_millis() {
            // the clock was set: a counter that never falls would go on with the time of before
            *counter = ContextV7::new().with_additional_precision();
        }
        *latest = time;
        let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
        Uuid::new_v7(Timestamp::from_unix(&*counter, seconds, time.timestamp_subsec_nanos()))
    })
}

/// Types of identifiers.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new one, ordered by time of creation (UUID version 7, RFC 9562 §5.7).
            pub fn generate_at(time: DateTime<Utc>) -> Self {
                Self(uuid_at(time))
            }

            /// The same, by the machine's time of day: for what no engine decides.
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
    /// Identifies an operator: a person with a login.
    OperatorId,
    /// Identifies an API token.
    TokenId,
    /// Identifies a login session. It is not the cookie, and opens nothing.
    SessionId,
}

impl From<EventId> for SignalId {
    fn from(id: EventId) -> Self {
        Self(id.as_uuid())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn identifiers_are_of_the_time_that_they_are_made_for_and_in_order() {
        let noon = DateTime::from_timestamp(1_800_000_000, 123_456_000).unwrap();
        let hour = TimeDelta::hours(1);
        for time in [noon, noon - hour, noon + hour] {
            let ids: Vec<EventId> = (0..100).map(|_| EventId::generate_at(time)).collect();
            assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
            let (seconds, nanos) = ids[99].as_uuid().get_timestamp().unwrap().to_unix();
            assert_eq!((i64::try_from(seconds), nanos / 1_000_000), (Ok(time.timestamp()), 123));
        }
    }
}
