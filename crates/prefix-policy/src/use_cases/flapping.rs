//! A rule that its detectors raise and drop again and again: its unban takes effect later (http-api.md §3.4), because
//! each cycle costs every router a removal and an installation, and the victim the time in between.

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::decision::{Stage, StageResult};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation};

use super::unit_of_work::UnitOfWork;
use crate::policy::Policy;
use crate::settings::duration;

/// So long after its end by unban a rule that is raised again is the same episode, flapping.
pub(crate) const REMEMBERED: TimeDelta = TimeDelta::minutes(10);

/// The longest hold, seconds.
const LONGEST_SECONDS: u64 = 600;

/// How many times in a row the rule of this new row was raised again shortly after its end by unban.
pub(super) fn flaps(uow: &UnitOfWork<'_>, row: &Mitigation) -> u32 {
    let Some(key) = row.key().filter(|_| row.parent_id.is_none()) else { return 0 };
    let since = uow.now - REMEMBERED;
    let ended_by_unban = |old: &Mitigation| {
        old.parent_id.is_none()
            && old.end_reason == Some(EndReason::DetectorUnban)
            // what only waited costs no router anything
            && old.guardrail.is_none()
            && old.ended_at.is_some_and(|at| at > since)
            && old.key().as_ref() == Some(&key)
    };
    let earlier = uow.of_victim(row.victim_ip, ended_by_unban);
    let last = earlier.into_iter().filter_map(|id| uow.row(id)).max_by_key(|old| old.ended_at);
    last.map_or(0, |old| old.progress.flaps.saturating_add(1))
}

/// Keeps a mitigation whose last lease a detector released, and its companions, for a while if it flaps. Returns until
/// when, and why in words; `None` if it ends now.
pub(super) fn hold(uow: &mut UnitOfWork<'_>, id: MitigationId) -> Option<(DateTime<Utc>, String)> {
    let row = uow.row(id).filter(|row| row.lives() && !uow.is_frozen(row))?;
    let seconds = seconds(&uow.policy, row.progress.flaps)?;
    let until = (uow.now + duration(seconds)).min(row.lifetime_ends_at);
    let why = format!(
        "the rule was raised again {} times in a row within {} minutes of its end, so it is kept for {seconds} s more, until \
         {} (timers.flap_hold_seconds, doubled each time)",
        row.progress.flaps,
        REMEMBERED.num_minutes(),
        until.format("%H:%M:%S UTC"),
    );
    let now = uow.now;
    let mut members = uow.companions(id);
    members.push(id);
    for member in members {
        uow.edit(member, |row| {
            row.progress.held = true;
            row.expires_at = until.min(row.lifetime_ends_at);
            row.updated_at = now;
        });
    }
    uow.edit(id, |row| row.decision.note(Stage::Announce, StageResult::Info, why.as_str()));
    Some((until, why))
}

/// The hold of a rule that flapped so often: `timers.flap_hold_seconds`, doubled each time.
fn seconds(policy: &Policy, flaps: u32) -> Option<u64> {
    let first = policy.parts().timers.flap_hold_seconds;
    let doubled = flaps.checked_sub(1).map(|times| first.saturating_mul(1 << times.min(30)))?;
    (first > 0).then(|| doubled.min(LONGEST_SECONDS.max(first)))
}

/// Somebody reports again what was held: its next hold is longer.
pub(super) fn raised_again(row: &mut Mitigation) {
    if std::mem::take(&mut row.progress.held) {
        row.progress.flaps = row.progress.flaps.saturating_add(1);
    }
}
