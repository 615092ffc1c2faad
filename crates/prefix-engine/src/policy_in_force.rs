//! What verdicts are based on: the policy in force, and the index of the newest safelist.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use prefix_core::safelist::Safelist;
use prefix_policy::{Policy, SafelistIndex};

use crate::mutex::Mutex;

/// A policy, and since when it is in force.
pub(crate) struct LoadedPolicy {
    policy: Arc<Policy>,
    at: DateTime<Utc>,
}

/// The policy in force, which a reload replaces as a whole, and the index of the newest safelist that was read.
pub(crate) struct PolicyInForce {
    loaded: ArcSwap<LoadedPolicy>,
    safelist: Mutex<Arc<SafelistIndex>>,
}

impl PolicyInForce {
    pub(crate) fn new(policy: Policy, now: DateTime<Utc>) -> Self {
        let loaded = ArcSwap::from_pointee(LoadedPolicy { policy: Arc::new(policy), at: now });
        Self { loaded, safelist: Mutex::new(Arc::new(SafelistIndex::new(&Safelist::default()))) }
    }

    pub(crate) fn get(&self) -> Arc<Policy> {
        self.loaded.load().policy.clone()
    }

    /// Since when it is in force: another time means another policy.
    pub(crate) fn loaded_at(&self) -> DateTime<Utc> {
        self.loaded.load().at
    }

    /// Puts a policy in force. Returns the former one, for [`Self::restore`].
    pub(crate) fn replace(&self, policy: Policy, now: DateTime<Utc>) -> Arc<LoadedPolicy> {
        self.loaded.swap(Arc::new(LoadedPolicy { policy: Arc::new(policy), at: now }))
    }

    pub(crate) fn restore(&self, former: Arc<LoadedPolicy>) {
        self.loaded.store(former);
    }

    /// The index of this safelist; built once per revision.
    pub(crate) fn safelist_index(&self, list: &Safelist) -> Arc<SafelistIndex> {
        let mut held = self.safelist.lock();
        if held.revision() != list.revision {
            *held = Arc::new(SafelistIndex::new(list));
        }
        held.clone()
    }

    /// The newest index that a transaction has used.
    pub(crate) fn latest_safelist(&self) -> Arc<SafelistIndex> {
        self.safelist.lock().clone()
    }
}
