//! The policy in force, and the index of the safelist that guardrails look addresses up in.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use prefix_core::safelist::Safelist;
use prefix_policy::{Policy, SafelistIndex};

/// A policy, and since when it is in force.
pub(crate) struct LoadedPolicy {
    policy: Arc<Policy>,
    at: DateTime<Utc>,
}

/// The policy in force. It is read without waiting; a reload replaces it as a whole.
pub(crate) struct PolicyInForce(ArcSwap<LoadedPolicy>);

impl PolicyInForce {
    pub(crate) fn new(policy: Policy, now: DateTime<Utc>) -> Self {
        Self(ArcSwap::from_pointee(LoadedPolicy { policy: Arc::new(policy), at: now }))
    }

    pub(crate) fn get(&self) -> Arc<Policy> {
        self.0.load().policy.clone()
    }

    /// Since when it is in force: another time means another policy.
    pub(crate) fn loaded_at(&self) -> DateTime<Utc> {
        self.0.load().at
    }

    /// Puts a policy in force. Returns the former one, for [`Self::restore`].
    pub(crate) fn replace(&self, policy: Policy, now: DateTime<Utc>) -> Arc<LoadedPolicy> {
        self.0.swap(Arc::new(LoadedPolicy { policy: Arc::new(policy), at: now }))
    }

    pub(crate) fn restore(&self, former: Arc<LoadedPolicy>) {
        self.0.store(former);
    }
}

/// The index of the newest safelist that was read; built once per revision.
pub(crate) struct SafelistCache(Mutex<Arc<SafelistIndex>>);

impl Default for SafelistCache {
    fn default() -> Self {
        Self(Mutex::new(Arc::new(SafelistIndex::new(&Safelist::default()))))
    }
}

impl SafelistCache {
    /// The index of this list.
    pub(crate) fn index(&self, list: &Safelist) -> Arc<SafelistIndex> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.revision() != list.revision {
            *held = Arc::new(SafelistIndex::new(list));
        }
        held.clone()
    }

    /// The newest index that a transaction has used.
    pub(crate) fn latest(&self) -> Arc<SafelistIndex> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
