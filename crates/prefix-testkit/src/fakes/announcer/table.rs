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
    /// Learned paths are better than local ones, as with a higher `LOCAL_PREF` (RFC 4271 §5.1.5).
    pub(super) prefers_learned: bool,
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

    pub(super) fn clear(&mut self) {
        self.local.clear();
        self.learned.clear();
    }

    /// True if there was one.
    pub(super) fn remove_local(&mut self, key: &RouteKey) -> bool {
        self.local.remove(key).is_some()
    }

    pub(super) fn local(&self, key: &RouteKey) -> Option<&RibPath> {
        self.local.get(key)
    }

    /// True if there was one.
    pub(super) fn remove_learned(&mut self, key: &RouteKey) -> bool {
        self.learned.remove(key).is_some()
    }

    /// The path that changes act on, else a learned one.
    pub(super) fn find(&self, key: &RouteKey) -> Option<&RibPath> {
        self.local.get(key).or_else(|| self.learned.get(key))
    }

    /// The best path, which events tell of.
    pub(super) fn best(&self, key: &RouteKey) -> Option<&RibPath> {
        let learned = self.learned.get(key).filter(|_| self.prefers_learned);
        learned.or_else(|| self.find(key))
    }

    /// Every path, by route.
    pub(super) fn paths(&self) -> impl Iterator<Item = &RibPath> {
        let mut paths: Vec<&RibPath> = self.local.values().chain(self.learned.values()).collect();
        paths.sort_by(|a, b| (&a.key, !a.local).cmp(&(&b.key, !b.local)));
        paths.into_iter()
    }
}
