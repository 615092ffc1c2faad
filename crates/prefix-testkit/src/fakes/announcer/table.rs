//! The table of the fake: one local path and one learned path per route.

use std::collections::BTreeMap;

use prefix_core::announcer::RibPath;
use prefix_core::flowspec::RouteKey;
use prefix_core::ownership::Ownership;

/// Paths by route, local and learned ones apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    local: BTreeMap<RouteKey, RibPath>,
    learned: BTreeMap<RouteKey, RibPath>,
}

/// Whether the port reports the path: unicast paths only with an owner community.
pub(super) fn is_reported(path: &RibPath) -> bool {
    path.key.kind().is_flowspec() || path.ownership != Ownership::Foreign
}

impl Table {
    pub(super) fn put(&mut self, path: RibPath) {
        let paths = if path.local { &mut self.local } else { &mut self.learned };
        paths.insert(path.key.clone(), path);
    }

    /// True if there was one.
    pub(super) fn remove_local(&mut self, key: &RouteKey) -> bool {
        self.local.remove(key).is_some()
    }

    pub(super) fn local(&self, key: &RouteKey) -> Option<&RibPath> {
        self.local.get(key)
    }

    /// Speakers prefer local paths.
    pub(super) fn best(&self, key: &RouteKey) -> Option<&RibPath> {
        self.local.get(key).or_else(|| self.learned.get(key))
    }

    /// Every path, by route.
    pub(super) fn paths(&self) -> impl Iterator<Item = &RibPath> {
        let mut paths: Vec<&RibPath> = self.local.values().chain(self.learned.values()).collect();
        paths.sort_by(|a, b| (&a.key, !a.local).cmp(&(&b.key, !b.local)));
        paths.into_iter()
    }
}
