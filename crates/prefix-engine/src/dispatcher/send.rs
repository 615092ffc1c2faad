//! One burst at the speaker: sent, read back where an earlier answer is missing, and settled.

use prefix_core::announcer::{AnnounceError, OwnPath};
use prefix_core::pacing::Burst;
use tokio::time::Instant;

use super::{Dispatcher, LONGEST_RETRY, READ_BACK_WAIT, RouteUpdate, keys_of};
use crate::command::settle::Settle;
use crate::rib_diff::{is_as_sent, is_ours};
use crate::telemetry;

impl Dispatcher {
    pub(super) async fn send(
        &mut self,
        announce: Vec<RouteUpdate>,
        withdraw: Vec<RouteUpdate>,
        burst: Burst,
        began: Instant,
    ) {
        let paths = announce.iter().filter_map(|update| update.path.as_ref());
        let paths: Vec<OwnPath> = paths.map(|(_, path)| path.clone()).collect();
        let keys = keys_of(&withdraw);
        self.rib().announcing(announce.iter().map(|update| &update.key));
        let started = Instant::now();
        let announcer = &self.announcer;
        let (announced, withdrawn) = tokio::join!(
            async { if paths.is_empty() { Vec::new() } else { announcer.announce(&paths).await } },
            async { if keys.is_empty() { Vec::new() } else { announcer.withdraw(&keys).await } },
        );
        let per_second = self.context.settings.max_changes_per_second;
        self.next_burst = Instant::now() + burst.pause(per_second, began.elapsed());
        let confirmed = |results: &[Result<(), AnnounceError>]| results.iter().filter(|r| r.is_ok()).count();
        telemetry::speaker_call(started.elapsed(), confirmed(&announced), confirmed(&withdrawn));
        let failures = announced.iter().chain(&withdrawn).filter_map(|result| result.as_ref().err());
        telemetry::speaker_failed(self.context.intents.speakers.name(self.speaker), failures);
        let mut settle = Settle::by(self.speaker);
        let updates = announce.into_iter().chain(withdraw);
        for (update, result) in updates.zip(announced.into_iter().chain(withdrawn)) {
            let earlier = self.to_read_back.remove(&update.key);
            match result {
                Ok(()) if self.is_unresolved(&update.key) => {
                    if self.to_read_back.is_empty() && earlier.is_none() {
                        self.read_back_at = Instant::now() + READ_BACK_WAIT;
                    }
                    self.to_read_back.insert(update.key.clone(), update);
                }
                Ok(()) => self.confirm(update, &mut settle),
                Err(error) => self.failed(&update.key, &error),
            }
        }
        self.settle(settle);
    }

    /// An earlier update without an answer may have come in between: what is there now decides.
    pub(super) async fn resolve(&mut self) {
        let updates: Vec<RouteUpdate> = self.to_read_back.drain().map(|(_, update)| update).collect();
        let mut settle = Settle::by(self.speaker);
        match self.announcer.find(&keys_of(&updates)).await {
            Ok(found) => {
                for (update, found) in updates.into_iter().zip(found) {
                    let sent = update.path.as_ref().map(|(_, path)| path);
                    if is_as_sent(sent, found.as_ref()) {
                        self.confirm(update, &mut settle);
                    } else {
                        let error = AnnounceError::Unknown("an earlier change came late".into());
                        self.failed(&update.key, &error);
                    }
                }
            }
            Err(error) => updates.iter().for_each(|update| self.failed(&update.key, &error)),
        }
        self.settle(settle);
    }

    /// Confirms the withdrawals of routes that no path of ours stands on; the others are read again later.
    pub(super) async fn read_back(&mut self, withdrawals: Vec<RouteUpdate>) {
        if withdrawals.is_empty() {
            return;
        }
        let found = self.announcer.find(&keys_of(&withdrawals)).await.ok();
        let mut settle = Settle::by(self.speaker);
        for (index, update) in withdrawals.into_iter().enumerate() {
            let is_gone = found
                .as_ref()
                .and_then(|found| found.get(index))
                .is_some_and(|path| !path.as_ref().is_some_and(is_ours));
            if is_gone {
                self.confirm(update, &mut settle);
            } else {
                self.retries.put(Instant::now() + LONGEST_RETRY, update.key);
            }
        }
        self.settle(settle);
    }
}
