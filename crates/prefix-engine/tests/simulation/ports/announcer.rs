//! The way of one daemon to the speaker.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use prefix_core::Announcer;
use prefix_core::announcer::{AnnounceError, OwnPath, Peer, RibPath, SpeakerEvent};
use prefix_core::flowspec::RouteKey;
use prefix_testkit::fakes::announcer::Change;

use super::{CrashPoint, LinkedPort};
use crate::defects::Defect;
use crate::trace::speaker_name;

impl LinkedPort<dyn Announcer> {
    /// Sends changes, or dies on the way: `send` carries the first so many out.
    async fn change<F>(
        &self,
        changes: Vec<Change>,
        send: impl Fn(usize) -> F,
    ) -> Vec<Result<(), AnnounceError>>
    where
        F: Future<Output = Vec<Result<(), AnnounceError>>>,
    {
        let link = &self.link;
        if link.is_dead() {
            return std::future::pending().await;
        }
        link.observer.sends(link, self.which, &changes);
        let all = changes.len();
        let words = || changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match link.count() {
            Some(CrashPoint::Before) => {
                link.die(&format!("before it can tell the {}: {}", speaker_name(self.which), words())).await
            }
            Some(CrashPoint::Half) => {
                drop(link.alive(send(all.div_ceil(2))).await);
                link.die(&format!("while it tells the {}: {}", speaker_name(self.which), words())).await
            }
            Some(CrashPoint::After) => {
                drop(link.alive(send(all)).await);
                link.die(&format!("before it learns what becomes of: {}", words())).await
            }
            None => {
                let results = link.alive(send(all)).await;
                link.observer.told(link, self.which, &changes, &results);
                results
            }
        }
    }
}

#[async_trait]
impl Announcer for LinkedPort<dyn Announcer> {
    async fn announce(&self, paths: &[OwnPath]) -> Vec<Result<(), AnnounceError>> {
        let changes = paths.iter().map(|path| Change::Announce(Box::new(path.clone()))).collect();
        self.change(changes, |some| async move {
            match self.link.defect {
                Some(defect) => defect.announce(&self.link, &*self.port, &paths[..some]).await,
                None => self.port.announce(&paths[..some]).await,
            }
        })
        .await
    }

    async fn withdraw(&self, keys: &[RouteKey]) -> Vec<Result<(), AnnounceError>> {
        let changes = keys.iter().map(|key| Change::Withdraw(key.clone())).collect();
        self.change(changes, |some| async move {
            match self.link.defect {
                Some(defect) => defect.withdraw(&self.link, &*self.port, &keys[..some]).await,
                None => self.port.withdraw(&keys[..some]).await,
            }
        })
        .await
    }

    async fn table(&self) -> Result<BoxStream<'static, Result<RibPath, AnnounceError>>, AnnounceError> {
        let table = self.link.alive(self.port.table()).await?;
        if self.link.defect.is_none() {
            return Ok(table);
        }
        let paths: Vec<_> = table.collect().await;
        Ok(futures::stream::iter(Defect::bend_table(&self.link, paths)).boxed())
    }

    async fn find(&self, keys: &[RouteKey]) -> Result<Vec<Option<RibPath>>, AnnounceError> {
        let found = self.link.alive(self.port.find(keys)).await?;
        if self.link.defect.is_none() {
            return Ok(found);
        }
        Ok(keys.iter().zip(found).map(|(key, path)| Defect::bend_path(&self.link, key, path)).collect())
    }

    async fn peers(&self) -> Result<Vec<Peer>, AnnounceError> {
        self.link.alive(self.port.peers()).await
    }

    fn watch(&self) -> BoxStream<'static, SpeakerEvent> {
        let life = self.link.life.clone();
        let events = self.port.watch().take_until(async move { life.cancelled().await });
        events.chain(futures::stream::pending()).boxed()
    }
}
