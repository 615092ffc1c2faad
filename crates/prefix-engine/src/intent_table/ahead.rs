//! Confirmations that are answered before they are written: see docs/adr/0025-answers-before-the-confirmation.md.
//!
//! Whoever waits is told `active` as soon as the rule is durable intent and in the speaker's table. Until the row says so,
//! too, this instance shows what it has answered.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use prefix_core::flowspec::Action;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::ownership::NotAfter;
use prefix_core::ports::MitigationChange;
use prefix_core::speakers::{SpeakerId, Speakers};

use super::{DesiredPath, IntentTable, State};
use crate::command::settle::Confirmed;
use crate::confirmation_waiters::awaits_speaker;

/// What was answered of a row that is still written as pending.
#[derive(Clone, Copy, Debug)]
struct Confirmation {
    speaker: SpeakerId,
    step: u16,
    action: Action,
    not_after: NotAfter,
    at: DateTime<Utc>,
}

impl Confirmation {
    fn fits(&self, row: &Mitigation) -> bool {
        row.status == Status::Pending && row.progress.step == self.step && row.action == self.action
    }

    /// The row as it will be written.
    fn apply(&self, row: &mut Mitigation, speakers: &Speakers) {
        let times = (self.at, self.at);
        if self.fits(row) && row.confirm_by(speakers, self.speaker, Some(self.not_after), times).is_ok() {
            row.revision += 1;
        }
    }
}

/// What is known of rows before it is committed.
#[derive(Default)]
pub(super) struct Ahead {
    confirmed: HashMap<MitigationId, Confirmation>,
    /// Pending rows that this instance has written last: nobody waits for their confirmation elsewhere.
    own: HashSet<MitigationId>,
    /// Rows that the transaction under way ends, or gives another rule.
    deciding: HashSet<MitigationId>,
    /// The same of transactions of which nobody knows whether they were committed, until everything is read anew.
    in_doubt: HashSet<MitigationId>,
}

impl Ahead {
    /// A committed row: what was answered of it may be written now, or have become wrong.
    pub(super) fn follow(&mut self, row: &Mitigation, is_own: bool) {
        if is_own && row.status == Status::Pending {
            self.own.insert(row.mitigation_id);
        } else {
            self.own.remove(&row.mitigation_id);
        }
        if self.confirmed.get(&row.mitigation_id).is_some_and(|known| !known.fits(row)) {
            self.confirmed.remove(&row.mitigation_id);
        }
    }

    /// All rows were read anew: nothing is in doubt any more.
    pub(super) fn was_reloaded(&mut self, is_unfinished: impl Fn(&MitigationId) -> bool) {
        self.confirmed.retain(|id, _| is_unfinished(id));
        self.own.retain(&is_unfinished);
        self.in_doubt.clear();
    }

    /// Another epoch begins, or another storage: what was answered before is found at the speaker again.
    pub(super) fn clear_confirmed(&mut self) {
        self.confirmed.clear();
    }

    pub(super) fn is_own(&self, id: MitigationId) -> bool {
        self.own.contains(&id)
    }

    pub(super) fn is_confirmed(&self, id: MitigationId) -> bool {
        self.confirmed.contains_key(&id)
    }
}

/// True if a row goes on with the same rule at the same step.
fn goes_on(change: &MitigationChange) -> bool {
    let MitigationChange { before: Some(before), after } = change else { return true };
    after.lives()
        && after.progress.step == before.progress.step
        && after.action == before.action
        && after.route == before.route
}

impl IntentTable {
    /// A transaction is about to write these changes.
    pub(crate) fn deciding(&self, changes: &[MitigationChange]) {
        let ended = changes.iter().filter(|change| !goes_on(change)).map(|change| change.after.mitigation_id);
        self.state.lock().ahead.deciding = ended.collect();
    }

    /// It has ended, and its rows have been followed. `in_doubt`: nobody knows whether it was committed.
    pub(crate) fn decided(&self, in_doubt: bool) {
        let ahead = &mut self.state.lock().ahead;
        let decided = std::mem::take(&mut ahead.deciding);
        if in_doubt {
            ahead.in_doubt.extend(decided);
        }
    }

    /// A speaker has confirmed this path. If the row waits for just that, and nothing else was decided about it, it counts
    /// as confirmed from now on: returns it as it will be written. The first of several speakers is the one that counts.
    pub(crate) fn confirm_ahead(&self, confirmed: &Confirmed, now: DateTime<Utc>) -> Option<Mitigation> {
        let mut state = self.state.lock();
        let id = confirmed.id;
        let is_open = state.ahead.deciding.contains(&id) || state.ahead.in_doubt.contains(&id);
        let row = state.rows.by_id.get(&id).filter(|row| row.status == Status::Pending && !is_open)?;
        let is_desired = match state.desired_path(confirmed.speaker, &confirmed.key, now) {
            DesiredPath::Path { wanted_by, .. } => wanted_by.iter().any(|wanting| {
                (wanting.id, wanting.step, wanting.action) == (id, confirmed.step, confirmed.action)
            }),
            DesiredPath::Former | DesiredPath::Absent => false,
        };
        if !is_desired {
            return None;
        }
        let Confirmed { speaker, step, action, not_after, at, .. } = *confirmed;
        let of_another = |known: &&Confirmation| known.fits(row) && known.speaker != speaker;
        let known = state.ahead.confirmed.get(&id).filter(of_another).copied();
        let confirmation = known.unwrap_or(Confirmation { speaker, step, action, not_after, at });
        let mut row = Mitigation::clone(row);
        confirmation.apply(&mut row, &self.speakers);
        if awaits_speaker(row.status) {
            return None;
        }
        state.ahead.confirmed.insert(id, confirmation);
        Some(row)
    }

    /// True if nobody can wait at another instance for what the speaker says of this row.
    pub(crate) fn is_awaited_here_only(&self, id: MitigationId) -> bool {
        self.state.lock().ahead.own.contains(&id)
    }

    /// Makes a stored row what was answered of it.
    pub(crate) fn as_answered(&self, row: &mut Mitigation) {
        if row.status == Status::Pending
            && let Some(confirmation) = self.state.lock().ahead.confirmed.get(&row.mitigation_id)
        {
            confirmation.apply(row, &self.speakers);
        }
    }

    /// The row as it was answered, if it is unfinished.
    pub(crate) fn answered(&self, id: MitigationId) -> Option<Arc<Mitigation>> {
        let state = self.state.lock();
        state.rows.by_id.get(&id).map(|row| state.answered(row))
    }

    /// Every unfinished row as it was answered.
    pub(crate) fn all_answered(&self) -> Vec<Arc<Mitigation>> {
        let state = self.state.lock();
        state.rows.by_id.values().map(|row| state.answered(row)).collect()
    }

    /// The rows that were answered as confirmed and are not written as such.
    pub(crate) fn answered_ahead(&self) -> Vec<MitigationId> {
        self.state.lock().ahead.confirmed.keys().copied().collect()
    }
}

impl State {
    fn answered(&self, row: &Arc<Mitigation>) -> Arc<Mitigation> {
        match self.ahead.confirmed.get(&row.mitigation_id) {
            Some(confirmation) if confirmation.fits(row) => {
                let mut row = Mitigation::clone(row);
                confirmation.apply(&mut row, &self.speakers);
                Arc::new(row)
            }
            _ => row.clone(),
        }
    }
}
