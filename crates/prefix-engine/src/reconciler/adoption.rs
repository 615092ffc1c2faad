//! Paths that are as they should be: what the speaker's table confirms without anybody having sent it.

use prefix_core::announcer::RibPath;
use prefix_core::flowspec::RouteKey;
use prefix_core::mitigation::Wanting;
use prefix_core::ownership::{Ownership, Tags};
use prefix_core::ports::Epoch;

use super::Reconciler;
use crate::command::settle::{Confirmed, Settle, is_news};
use crate::intent_table::{AnnouncedPath, DesiredPath};

/// Paths that are as they should be: what is noted of the route, and of the rows that want it.
pub(super) type Adopted = Vec<(AnnouncedPath, RouteKey, Vec<Confirmed>)>;

impl Reconciler {
    /// What a path that is as it should be confirms, unless it is known already: after a restart this is how the daemon
    /// learns what is announced.
    pub(super) fn adoption(&self, path: &RibPath) -> Option<(AnnouncedPath, RouteKey, Vec<Confirmed>)> {
        let Ownership::Own { not_after: Some(not_after), .. } = path.ownership else { return None };
        let DesiredPath::Path { wanted_by, path: desired } = self.desired(&path.key) else { return None };
        if self.confirmed(&path.key).is_some_and(|known| known.tags.not_after == not_after) {
            return None;
        }
        let tags = Tags { not_after, mitigation: desired.tags.mitigation };
        let (at, frame) = self.context.clock.reading();
        let confirmed = AnnouncedPath::new(desired.action, tags, at);
        let (key, speaker) = (&path.key, self.speaker.id);
        let row = |Wanting { id, step, action }| Confirmed {
            id,
            speaker,
            key: key.clone(),
            step,
            action,
            not_after,
            at,
            frame,
        };
        Some((confirmed, key.clone(), wanted_by.into_iter().map(row).collect()))
    }

    /// Makes these paths known as confirmed, and has their rows say so, in one go.
    pub(super) fn adopt(&self, adopted: &mut Adopted, epoch: Epoch) {
        let intents = &self.context.intents;
        let speaker = self.speaker.id;
        let mut settle = Settle::by(speaker);
        for (confirmed, key, rows) in adopted.drain(..) {
            intents.rib(speaker).confirmed(&key, confirmed);
            let is_new = |row: &Confirmed| {
                intents.get(row.id).is_some_and(|known| is_news(&known, &key, intents, speaker))
            };
            settle.confirmed.extend(rows.into_iter().filter(is_new));
        }
        if !settle.confirmed.is_empty() {
            // the commit queue ends only with the engine
            let _ = self.context.commit_queue.led_by(epoch).submit(settle);
        }
    }
}
