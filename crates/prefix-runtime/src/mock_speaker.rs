//! `bgp.backend: mock`: a speaker in memory, so that prefixd can be tried out where none is.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use prefix_core::Announcer;
use prefix_core::announcer::{AnnounceError, OwnPath, Peer, RibPath, SpeakerEvent};
use prefix_core::flowspec::RouteKey;
use prefix_core::ownership::Ownership;

/// Confirms everything and reaches nobody.
#[derive(Debug, Default)]
pub struct MockSpeaker {
    table: Mutex<BTreeMap<RouteKey, RibPath>>,
}

impl MockSpeaker {
    fn table(&self) -> MutexGuard<'_, BTreeMap<RouteKey, RibPath>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A path as a speaker would show it.
fn shown(path: &OwnPath) -> RibPath {
    RibPath {
        key: path.route.key(),
        action: Some(path.action),
        ownership: Ownership::Own {
            not_after: Some(path.tags.not_after),
            mitigation: Some(path.tags.mitigation),
        },
        local: true,
        attributes: String::new(),
    }
}

#[async_trait]
impl Announcer for MockSpeaker {
    async fn announce(&self, paths: &[OwnPath]) -> Vec<Result<(), AnnounceError>> {
        let mut table = self.table();
        for path in paths {
            table.insert(path.route.key(), shown(path));
        }
        vec![Ok(()); paths.len()]
    }

    async fn withdraw(&self, keys: &[RouteKey]) -> Vec<Result<(), AnnounceError>> {
        let mut table = self.table();
        for key in keys {
            table.remove(key);
        }
        vec![Ok(()); keys.len()]
    }

    async fn table(&self) -> Result<BoxStream<'static, Result<RibPath, AnnounceError>>, AnnounceError> {
        let paths: Vec<_> = MockSpeaker::table(self).values().cloned().map(Ok).collect();
        Ok(stream::iter(paths).boxed())
    }

    async fn find(&self, keys: &[RouteKey]) -> Result<Vec<Option<RibPath>>, AnnounceError> {
        let table = MockSpeaker::table(self);
        Ok(keys.iter().map(|key| table.get(key).cloned()).collect())
    }

    async fn peers(&self) -> Result<Vec<Peer>, AnnounceError> {
        Ok(Vec::new())
    }

    fn watch(&self) -> BoxStream<'static, SpeakerEvent> {
        stream::iter([SpeakerEvent::Connected]).chain(stream::pending()).boxed()
    }
}
