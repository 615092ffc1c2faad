//! What no single change tells: rules that stay pending, withdrawals that do not end, rules that no session carries.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::alert::AlertType;
use prefix_core::announcer::AfiSafi;
use prefix_core::guard::GuardMode;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Status};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::MOST_AT_ONCE;
use super::causes::{created, flow, raise, session_changed};
use crate::answer::Speaker;
use crate::shared::Shared;
use crate::speaker::{SpeakerState, family_of};

/// Between two sweeps.
const SWEEP: Duration = Duration::from_secs(1);
/// Sessions flap, and come after the rules when a speaker starts: so long a rule may go unseen.
const GRACE: TimeDelta = TimeDelta::seconds(5);

/// Between two questions for the families of sessions.
const ASK: Duration = Duration::from_secs(4);
/// A guard that has just been started needs a moment.
const GUARD_GRACE: TimeDelta = TimeDelta::seconds(10);
/// Its absence is said again after this time.
const GUARD_REMINDER: TimeDelta = TimeDelta::seconds(60);

/// The families that rules belong to.
const FAMILIES: [AfiSafi; 4] =
    [AfiSafi::Ipv4Flowspec, AfiSafi::Ipv6Flowspec, AfiSafi::Ipv4Unicast, AfiSafi::Ipv6Unicast];

/// Rules that the speaker has, while no session carries their family.
#[derive(Default)]
pub(crate) struct Unseen {
    since: HashMap<MitigationId, DateTime<Utc>>,
    told: HashSet<MitigationId>,
    standing: usize,
}

impl Unseen {
    pub(super) fn standing(&self) -> usize {
        self.standing
    }

    /// True if something seems to be unseen.
    fn is_doubtful(&self) -> bool {
        !self.since.is_empty()
    }

    /// Takes what is unseen now; returns what is to be told.
    fn look(&mut self, unseen: &[MitigationId], now: DateTime<Utc>) -> Vec<MitigationId> {
        let current: HashSet<MitigationId> = unseen.iter().copied().collect();
        self.since.retain(|id, _| current.contains(id));
        let mut tell = Vec::new();
        self.standing = 0;
        for id in unseen {
            if now - *self.since.entry(*id).or_insert(now) >= GRACE {
                self.standing += 1;
                if self.told.insert(*id) {
                    tell.push(*id);
                }
            }
        }
        tell
    }
}

/// Whether anybody would end our rules if this daemon died.
#[derive(Default)]
struct Unguarded {
    since: Option<DateTime<Utc>>,
    told: Option<DateTime<Utc>>,
}

impl Unguarded {
    fn look(&mut self, shared: &Shared) {
        let Some(guard) = shared.guard.as_ref().filter(|_| shared.enforced()) else { return };
        let (status, now) = (guard.status(), shared.now());
        if status.alive || status.mode == GuardMode::Off {
            if self.told.take().is_some() {
                info!("the guard is alive again");
            }
            self.since = None;
            return;
        }
        let since = *self.since.get_or_insert(now);
        if now - since >= GUARD_GRACE && self.told.is_none_or(|at| now - at >= GUARD_REMINDER) {
            self.told = Some(now);
            error!(
                mode = ?status.mode,
                last_seen = status.last_seen.map(|at| at.to_string()),
                "no guard is alive: if this daemon dies, its rules stay in the speaker; run prefixd guard"
            );
        }
    }
}

/// Sweeps until it is told to stop.
pub(crate) async fn watch(shared: Arc<Shared>, speaker: Arc<SpeakerState>, stop: CancellationToken) {
    let mut unguarded = Unguarded::default();
    let mut asked = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = speaker.moved.notified() => {}
            () = sleep(SWEEP) => {}
        }
        let changes = speaker.take_changes();
        unguarded.look(&shared);
        // the others see the same speaker
        if shared.leadership.in_charge().is_some() {
            changes.iter().for_each(|change| session_changed(&shared, change));
            // news of a session does not always name its families: they are asked for before anybody is woken
            let doubtful = shared.alerts.open().unseen.is_doubtful() && speaker.has_peers();
            if doubtful && asked.elapsed() >= ASK {
                asked = Instant::now();
                let _ = timeout(SWEEP, speaker.refresh(&*shared.announcer)).await;
            }
            sweep(&shared, &speaker);
        }
    }
}

fn sweep(shared: &Shared, speaker: &SpeakerState) {
    let now = shared.now();
    let rows = shared.intents.rows();
    pending(shared, &rows, now);
    stuck(shared, &rows, now);
    unseen(shared, speaker, &rows, now);
}

fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

fn pending(shared: &Shared, rows: &[Arc<Mitigation>], now: DateTime<Utc>) {
    let longest = span(shared.settings.announce_timeout);
    let late = |row: &&Arc<Mitigation>| row.status == Status::Pending && now - row.updated_at > longest;
    let late: Vec<_> = {
        let mut told = shared.alerts.open();
        // some end while another instance leads
        told.created.retain(|id| shared.intents.get(*id).is_some());
        rows.iter().filter(late).filter(|row| told.created.insert(row.mitigation_id)).collect()
    };
    for row in late {
        created(
            shared,
            row,
            "the speaker has not confirmed the rule yet; it is announced as soon as it can be",
        );
    }
}

fn stuck(shared: &Shared, rows: &[Arc<Mitigation>], now: DateTime<Utc>) {
    let longest = span(shared.settings.withdraw_alarm);
    let is_stuck = |row: &&Arc<Mitigation>| {
        row.status == Status::Withdrawing && row.ended_at.is_some_and(|at| now - at >= longest)
    };
    let mut found: Vec<&Arc<Mitigation>> = rows.iter().filter(is_stuck).collect();
    {
        let mut told = shared.alerts.open();
        let stuck: HashSet<MitigationId> = found.iter().map(|row| row.mitigation_id).collect();
        told.stuck.retain(|id| stuck.contains(id));
        found.retain(|row| told.stuck.insert(row.mitigation_id));
    }
    let seconds = shared.settings.withdraw_alarm.as_secs();
    let message = |row: &Mitigation| {
        let error = row.key().and_then(|key| shared.intents.wire(&key)).and_then(|wire| wire.error);
        let error = error.map(|error| format!(" The speaker: {error}.")).unwrap_or_default();
        format!(
            "the rule is to be withdrawn for more than {seconds} s and the speaker has not confirmed that it is gone; \
             it is repeated until it does.{error}"
        )
    };
    tell(shared, AlertType::WithdrawStuck, "withdraw is stuck", &found, message);
}

fn unseen(shared: &Shared, speaker: &SpeakerState, rows: &[Arc<Mitigation>], now: DateTime<Utc>) {
    let looks = shared.settings.has_sessions && speaker.connection() == Speaker::Connected;
    let blind: Vec<AfiSafi> =
        FAMILIES.into_iter().filter(|family| speaker.established(*family) == 0).collect();
    let looks = looks && !blind.is_empty();
    let is_unseen = |row: &&Arc<Mitigation>| {
        row.lives()
            && !row.dry_run
            && row.route.as_ref().is_some_and(|route| blind.contains(&family_of(route)))
            && row
                .key()
                .and_then(|key| shared.intents.wire(&key))
                .is_some_and(|wire| wire.confirmed.is_some())
    };
    let mut found: Vec<&Arc<Mitigation>> =
        if looks { rows.iter().filter(is_unseen).collect() } else { Vec::new() };
    found.sort_by_key(|row| row.mitigation_id);
    let ids: Vec<MitigationId> = found.iter().map(|row| row.mitigation_id).collect();
    let new: HashSet<MitigationId> = {
        let mut told = shared.alerts.open();
        told.unseen.told.retain(|id| shared.intents.get(*id).is_some());
        told.unseen.look(&ids, now).into_iter().collect()
    };
    found.retain(|row| new.contains(&row.mitigation_id));
    let message = |row: &Mitigation| {
        let family = row.route.as_ref().map(family_of).map(|family| family.to_string()).unwrap_or_default();
        format!(
            "the speaker has the rule, but no established BGP session carries {family}: no router filters by it. \
             Negotiate the family with the neighbors, or bring their sessions up."
        )
    };
    tell(shared, AlertType::RuleUnseen, "no router has the rule", &found, message);
}

/// One alert each; of very many the last one tells how many there are.
fn tell(
    shared: &Shared,
    kind: AlertType,
    what: &str,
    rows: &[&Arc<Mitigation>],
    message: impl Fn(&Mitigation) -> String,
) {
    let more = rows.len().saturating_sub(MOST_AT_ONCE);
    for (place, row) in rows.iter().take(MOST_AT_ONCE).enumerate() {
        let mut message = message(row);
        if more > 0 && place + 1 == MOST_AT_ONCE {
            message = format!("{message} The same holds for {more} more rules.");
        }
        raise(shared, kind, row, format!("{what}: {}", flow(row)), message);
    }
}
