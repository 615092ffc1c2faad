//! The Announcer port on `GoBGP`: changes in streams of one message each, reads in the binary form of BGP.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use prefix_core::Announcer;
use prefix_core::announcer::{AnnounceError, OwnPath, Peer, RibPath, SpeakerEvent};
use prefix_core::flowspec::{RouteKey, RouteKind};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};

use crate::Settings;
use crate::client::Client;
use crate::codec::Codec;
use crate::connection::{Connection, Connector};
use crate::error::{breaks_connection, classify, is_unknown_family};
use crate::path::{Change, KINDS, RibEntry};
use crate::watch::Watch;

/// The most changes in one message. The speaker applies or refuses a message as a whole, so a larger one costs more to
/// split when one path in it is refused.
const CHANGES_PER_MESSAGE: usize = 500;
/// How long the changes of a refused message are sent one by one. A lease of the leadership lasts several times as long.
const ONE_BY_ONE: Duration = Duration::from_millis(500);
/// The most octets in one message, far below the limits of gRPC.
const OCTETS_PER_MESSAGE: usize = 1 << 20;

/// `GoBGP` as the speaker, API version 3 or 4.
///
/// - Connects when first needed; a speaker that is down is no error of [`Gobgp::new`]. One connection serves all calls.
/// - The version of the API is found at each connection.
/// - Announcements and withdrawals are messages of `AddPathStream`, each applied or refused as a whole: what is
///   reported as refused or unreachable has had no effect. A refused message is split to find the path at fault.
/// - A call may name a route once only.
/// - Paths that prefixd could not announce (like a foreign rule without destination) are not reported. A foreign rule
///   that matches what an own rule matches, but is encoded in another way, is another route to the speaker: it is
///   reported as not local, because no change of prefixd replaces it.
/// - The text of the attributes is given for paths of others only.
/// - Unicast paths are reported if they carry the owner community of this or another pop.
pub struct Gobgp {
    shared: Arc<Shared>,
}

/// What calls and watch streams share.
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) connector: Connector,
    pub(crate) codec: Codec,
}

impl Gobgp {
    /// An adapter that has not connected yet.
    pub fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let connector = Connector::new(Arc::clone(&settings));
        let codec = Codec::new(&settings);
        Self { shared: Arc::new(Shared { settings, connector, codec }) }
    }
}

impl Shared {
    /// One call, bounded by `request_timeout`. A connection that broke, or did not answer, is not used again.
    pub(crate) async fn call<T, F: Future<Output = Result<T, Status>>>(
        &self,
        connection: &Connection,
        call: impl FnOnce(Arc<dyn Client>) -> F,
    ) -> Result<T, Status> {
        let limit = self.settings.request_timeout;
        let late = |_| Err(Status::deadline_exceeded(format!("no answer within {limit:?}")));
        let result = timeout(limit, call(Arc::clone(&connection.client))).await.unwrap_or_else(late);
        if let Err(status) = &result
            && breaks_connection(status)
        {
            self.connector.discard(connection).await;
        }
        result
    }

    /// A call that is repeated once if the speaker speaks the other version since its last restart.
    async fn ask<T, F: Future<Output = Result<T, Status>>>(
        &self,
        call: impl Fn(Arc<dyn Client>) -> F,
    ) -> Result<T, AnnounceError> {
        let connection = self.connector.connection().await?;
        match self.call(&connection, &call).await {
            Err(status) if status.code() == Code::Unimplemented => {
                let connection = self.connector.connection().await?;
                self.call(&connection, &call).await.map_err(|status| classify(&status))
            }
            result => result.map_err(|status| classify(&status)),
        }
    }

    async fn apply(&self, changes: &[Change]) -> Result<(), AnnounceError> {
        self.ask(|client| async move { client.apply(changes).await }).await
    }

    /// One result per change, in order.
    async fn apply_all(&self, changes: &[Change]) -> Vec<Result<(), AnnounceError>> {
        let mut results = Vec::with_capacity(changes.len());
        for message in messages(changes) {
            match self.apply(message).await {
                Ok(()) => results.extend(message.iter().map(|_| Ok(()))),
                Err(AnnounceError::Refused(_)) if message.len() > 1 => {
                    results.extend(self.apply_one_by_one(message).await);
                }
                Err(error) => results.extend(message.iter().map(|_| Err(error.clone()))),
            }
            // of the rest nothing was sent
            if let Some(Err(AnnounceError::Unreachable(text) | AnnounceError::Unknown(text))) = results.last()
            {
                let rest = AnnounceError::Unreachable(text.clone());
                results.resize(changes.len(), Err(rest));
                break;
            }
        }
        results
    }

    /// One result per change of a message that was refused as a whole, to find the ones at fault. It takes no longer
    /// than [`ONE_BY_ONE`]: the caller looks again whether it still leads before it asks for the rest.
    async fn apply_one_by_one(&self, message: &[Change]) -> Vec<Result<(), AnnounceError>> {
        let until = Instant::now() + ONE_BY_ONE;
        let mut results = Vec::with_capacity(message.len());
        for change in message {
            if Instant::now() >= until {
                let rest = "not sent yet: the speaker refused a message, and its changes are sent one by one";
                results.resize(message.len(), Err(AnnounceError::Unreachable(rest.to_owned())));
                break;
            }
            results.push(self.apply(std::slice::from_ref(change)).await);
        }
        results
    }

    /// A table, or its routes to `prefixes` (unicast only). A family that is not configured at the speaker is empty.
    async fn list(
        &self,
        kind: RouteKind,
        prefixes: Vec<String>,
    ) -> Result<BoxStream<'static, Result<RibEntry, AnnounceError>>, AnnounceError> {
        let connection = self.connector.connection().await?;
        let limit = self.settings.request_timeout;
        let answers =
            match self.call(&connection, |client| async move { client.list(kind, prefixes).await }).await {
                Ok(answers) => answers,
                Err(status) if is_unknown_family(&status) => return Ok(stream::empty().boxed()),
                Err(status) => return Err(classify(&status)),
            };
        let bounded = stream::try_unfold(answers, move |mut answers| async move {
            match timeout(limit, answers.next()).await {
                Ok(Some(Ok(entry))) => Ok(Some((entry, answers))),
                Ok(Some(Err(status))) if is_unknown_family(&status) => Ok(None),
                Ok(Some(Err(status))) => Err(classify(&status)),
                Ok(None) => Ok(None),
                Err(_) => Err(AnnounceError::Unknown(format!("the table stalled for {limit:?}"))),
            }
        });
        Ok(bounded.boxed())
    }
}

/// Splits changes into messages.
fn messages(changes: &[Change]) -> impl Iterator<Item = &[Change]> {
    let mut rest = changes;
    std::iter::from_fn(move || {
        let mut octets = 0;
        let fitting = rest.iter().take(CHANGES_PER_MESSAGE).take_while(|change| {
            octets += change.size();
            octets <= OCTETS_PER_MESSAGE
        });
        let count = fitting.count().max(usize::from(!rest.is_empty()));
        let (message, tail) = rest.split_at(count);
        rest = tail;
        (!message.is_empty()).then_some(message)
    })
}

#[async_trait]
impl Announcer for Gobgp {
    async fn announce(&self, paths: &[OwnPath]) -> Vec<Result<(), AnnounceError>> {
        let encoded: Vec<_> = paths.iter().map(|path| self.shared.codec.announcement(path)).collect();
        let changes: Vec<_> = encoded.iter().filter_map(|change| change.as_ref().ok()).cloned().collect();
        let mut sent = self.shared.apply_all(&changes).await.into_iter();
        let lost = || Err(AnnounceError::Unknown("no result".to_owned()));
        encoded.into_iter().map(|change| change.and_then(|_| sent.next().unwrap_or_else(lost))).collect()
    }

    async fn withdraw(&self, keys: &[RouteKey]) -> Vec<Result<(), AnnounceError>> {
        let changes: Vec<_> = keys.iter().map(|key| self.shared.codec.withdrawal(key)).collect();
        self.shared.apply_all(&changes).await
    }

    async fn table(&self) -> Result<BoxStream<'static, Result<RibPath, AnnounceError>>, AnnounceError> {
        // asked at once, so that an unreachable speaker is an error of this call
        let first = self.shared.list(KINDS[0], Vec::new()).await?;
        let shared = Arc::clone(&self.shared);
        let rest = stream::iter(&KINDS[1..]).then(move |kind| {
            let shared = Arc::clone(&shared);
            async move { shared.list(*kind, Vec::new()).await }
        });
        let shared = Arc::clone(&self.shared);
        let paths = stream::iter([Ok(first)]).chain(rest).try_flatten().try_filter_map(move |entry| {
            let is_reported = entry.key.kind().is_flowspec() || shared.codec.is_tagged(&entry.attributes);
            let path = is_reported.then(|| shared.codec.report(entry));
            async move { Ok(path) }
        });
        Ok(until_error(paths).boxed())
    }

    async fn find(&self, keys: &[RouteKey]) -> Result<Vec<Option<RibPath>>, AnnounceError> {
        let mut found: HashMap<&RouteKey, Option<RibPath>> = keys.iter().map(|key| (key, None)).collect();
        for kind in KINDS {
            let wanted: Vec<_> = found.keys().filter(|key| key.kind() == kind).copied().collect();
            if wanted.is_empty() {
                continue;
            }
            // the speaker looks up unicast routes only; FlowSpec tables are read as a whole
            let prefixes = if kind.is_flowspec() {
                Vec::new()
            } else {
                wanted.iter().map(|key| key.destination().to_string()).collect()
            };
            let mut missing = wanted.len();
            let mut entries = self.shared.list(kind, prefixes).await?;
            while missing > 0
                && let Some(path) = entries.try_next().await?
            {
                let Some(slot) = found.get_mut(&path.key) else { continue };
                // of several paths the one that API changes act on is reported
                if slot.as_ref().is_none_or(|known| !known.local && path.local) {
                    missing -= usize::from(path.local);
                    *slot = Some(self.shared.codec.report(path));
                }
            }
        }
        Ok(keys.iter().map(|key| found.get(key).cloned().flatten()).collect())
    }

    async fn peers(&self) -> Result<Vec<Peer>, AnnounceError> {
        self.shared.ask(|client| async move { client.peers(String::new()).await }).await
    }

    fn watch(&self) -> BoxStream<'static, SpeakerEvent> {
        Watch::new(Arc::clone(&self.shared)).into_stream()
    }
}

/// Ends a stream after its first error.
fn until_error<T: Send, E: Send>(
    items: impl futures::Stream<Item = Result<T, E>> + Send,
) -> impl futures::Stream<Item = Result<T, E>> + Send {
    items.scan(false, |failed, item| {
        let item = (!*failed).then_some(item);
        *failed |= matches!(item, Some(Err(_)));
        std::future::ready(item)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn change(octets: usize) -> Change {
        let attributes = vec![Bytes::from(vec![0; octets])];
        Change { kind: RouteKind::FlowSpecV4, nlri: Bytes::new(), attributes, is_withdraw: false }
    }

    #[test]
    fn messages_are_cut_by_count_and_by_octets() {
        let sizes = |changes: &[Change]| messages(changes).map(<[Change]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), Vec::<usize>::new());
        assert_eq!(sizes(&vec![change(100); 1200]), [500, 500, 200]);
        assert_eq!(sizes(&vec![change(400_000); 5]), [2, 2, 1]);
        assert_eq!(sizes(&[change(2 << 20), change(1)]), [1, 1]);
    }

    #[tokio::test]
    async fn nothing_follows_an_error() {
        let items = stream::iter([Ok(1), Err("gone"), Ok(2)]);
        assert_eq!(until_error(items).collect::<Vec<_>>().await, [Ok(1), Err("gone")]);
    }
}
