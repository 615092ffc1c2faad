//! What of a victim no decision looks at any more.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::address::VictimIp;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::signal::{GroupStatus, SignalGroup};

use super::VictimState;
use crate::use_cases::REJECTED_COUNTS;

impl VictimState {
    /// Final rows leave once no decision looks at them.
    pub(super) fn forget(
        &mut self,
        now: DateTime<Utc>,
        recent: TimeDelta,
        victim_of: &mut HashMap<MitigationId, VictimIp>,
    ) {
        let is_needed = |row: &Mitigation| {
            let closed_at = row.ended_at.unwrap_or(row.updated_at);
            match row.status {
                Status::Rejected => closed_at >= now - REJECTED_COUNTS,
                status if status.is_final() => closed_at >= now - recent,
                _ => true,
            }
        };
        self.rows.retain(|row| {
            let stays = is_needed(row);
            if !stays {
                victim_of.remove(&row.mitigation_id);
            }
            stays
        });
    }

    /// Groups leave that can be joined no more.
    pub(super) fn forget_groups(&mut self) {
        let rows = &self.rows;
        let stands = |group: &SignalGroup| {
            let rows = rows.iter().filter(|row| !row.status.is_final());
            rows.filter_map(|row| row.correlation.as_ref())
                .any(|known| known.signal_group_id == group.group_id)
        };
        self.groups.retain(|group| group.status == GroupStatus::Open || stands(group));
    }
}
