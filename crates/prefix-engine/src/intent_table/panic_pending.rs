//! Rows that a panic covers and whose end is not written yet.

use std::sync::Arc;

use prefix_core::flowspec::RouteKey;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Mitigation;
use prefix_core::panic::PanicScope;

use super::{IntentTable, route_keys, sorted};

impl IntentTable {
    /// From now on these scopes are frozen. Returns the routes of rows that are covered for the first time.
    pub(crate) fn freeze(&self, scopes: Arc<Vec<PanicScope>>) -> Vec<RouteKey> {
        let mut state = self.state.lock();
        state.frozen = scopes;
        let covered: Vec<Arc<Mitigation>> =
            state.rows.by_id.values().filter(|row| state.is_frozen(row)).cloned().collect();
        let newly = covered.iter().filter(|row| state.panic_pending.insert(row.mitigation_id));
        sorted(newly.flat_map(|row| route_keys(row)).collect())
    }

    /// True if a panic covered this row.
    pub(crate) fn is_panic_pending(&self, id: MitigationId) -> bool {
        self.state.lock().panic_pending.contains(&id)
    }

    /// Rows that a panic covered and whose end is not written yet, oldest first.
    pub(crate) fn panic_pending(&self) -> Vec<MitigationId> {
        let state = self.state.lock();
        let claims =
            |id: &&MitigationId| state.rows.by_id.get(*id).is_some_and(|row| row.status.claims_rule());
        let mut ids: Vec<MitigationId> = state.panic_pending.iter().filter(claims).copied().collect();
        ids.sort();
        ids
    }

    /// These rows are panic-pending no more: they began after the thaw. Returns their routes.
    pub(crate) fn clear_panic_pending(&self, ids: &[MitigationId]) -> Vec<RouteKey> {
        let mut state = self.state.lock();
        let spared: Vec<_> = ids.iter().filter(|id| state.panic_pending.remove(id)).collect();
        spared.into_iter().filter_map(|id| state.rows.by_id.get(id)).flat_map(|row| route_keys(row)).collect()
    }
}
