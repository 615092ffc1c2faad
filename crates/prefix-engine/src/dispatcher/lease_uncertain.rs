//! What may still be sent to the speaker when the lease is over and storage does not answer.
//!
//! It is not known then whether another instance leads. So nothing is announced that is not there, nothing is changed,
//! and each path is read first: a path that has outlived its not-after time may be withdrawn by anybody, one whose end
//! is written must go whoever leads, and one that lives on by the same row may live a little longer.

use std::time::Duration;

use chrono::{DateTime, Utc};
use prefix_core::announcer::{OwnPath, RibPath};
use prefix_core::flowspec::RouteKey;
use prefix_core::mitigation::Status;
use prefix_core::ownership::{MitigationTag, Ownership};

use crate::intent_table::IntentTable;
use crate::rib_diff::is_same_on_wire;

/// True if the path that stands there must go, whoever leads.
pub(super) fn must_go(intents: &IntentTable, key: &RouteKey, found: &RibPath, now: DateTime<Utc>) -> bool {
    let Ownership::Own { not_after, mitigation } = found.ownership else { return false };
    if !found.local {
        return false;
    }
    if not_after.is_some_and(|at| at.time() <= now) {
        return true;
    }
    let Some(tag) = mitigation else { return false };
    intents.of_route(key).iter().any(|row| {
        let is_its_row = MitigationTag::from(row.mitigation_id) == tag;
        is_its_row && (row.status == Status::Withdrawing || intents.is_panic_pending(row.mitigation_id))
    })
}

/// How long it is until anybody may withdraw the path that stands there.
pub(super) fn time_left(found: &RibPath, now: DateTime<Utc>) -> Option<Duration> {
    let Ownership::Own { not_after: Some(not_after), .. } = found.ownership else { return None };
    // a timer wakes up a little early now and then
    (not_after.time() - now).to_std().ok().map(|left| left + Duration::from_millis(1))
}

/// True if the desired path is the one that stands there, with a later not-after time.
pub(super) fn may_live_on(desired: &OwnPath, found: &RibPath) -> bool {
    let Ownership::Own { not_after: Some(not_after), mitigation: Some(mitigation) } = found.ownership else {
        return false;
    };
    found.local
        && mitigation == desired.tags.mitigation
        && not_after < desired.tags.not_after
        && found.action.as_ref().is_some_and(|action| is_same_on_wire(action, &desired.action))
}
