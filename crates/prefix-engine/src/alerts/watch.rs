//! Alerts about what no single change shows: rules that stay pending, withdrawals that do not end, rules that no session
//! carries.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::alert::AlertType;
use prefix_core::announcer::AfiSafi;
use prefix_core::guard::{GuardMode, GuardWatch};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Status};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::Alerts;
use super::messages::flow;
use crate::intent_table::Rib;
use crate::speaker::{SpeakerSet, family_of};
use crate::task_context::TaskContext;

/// One sweep raises alerts of so many mitigations; the last of them also counts the others.
const MAX_AT_ONCE: usize = 10;

/// Between two sweeps.
const SWEEP: Duration = Duration::from_secs(1);
/// Sessions flap, and come after the rules when a speaker starts: so long a rule may be carried by no session.
const GRACE: TimeDelta = TimeDelta::seconds(5);
/// Between two reads of the families of sessions.
const REFRESH: Duration = Duration::from_secs(4);
/// A guard that has just been started needs a moment.
const GUARD_GRACE: TimeDelta = TimeDelta::seconds(10);
/// Its absence is logged again after this time.
const GUARD_REMINDER: TimeDelta = TimeDelta::seconds(60);

/// The families that rules belong to.
const FAMILIES: [AfiSafi; 4] =
    [AfiSafi::Ipv4Flowspec, AfiSafi::Ipv6Flowspec, AfiSafi::Ipv4Unicast, AfiSafi::Ipv6Unicast];

/// Rules that the speaker has, while no session carries their family.
#[derive(Default)]
pub(super) struct UnseenRules {
    since: HashMap<MitigationId, DateTime<Utc>>,
    raised: HashSet<MitigationId>,
    count: usize,
}

impl UnseenRules {
    /// How many there are, those of the last seconds left out.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Takes over what is unseen now; returns what an alert is to be raised about.
    fn update(&mut self, unseen: &[MitigationId], now: DateTime<Utc>) -> HashSet<MitigationId> {
        let current: HashSet<MitigationId> = unseen.iter().copied().collect();
        self.since.retain(|id, _| current.contains(id));
        let mut new = HashSet::new();
        self.count = 0;
        for id in unseen {
            if now - *self.since.entry(*id).or_insert(now) >= GRACE {
                self.count += 1;
                if self.raised.insert(*id) {
                    new.insert(*id);
                }
            }
        }
        new
    }
}

/// Whether a guard would end our rules if this daemon died.
#[derive(Default)]
struct MissingGuard {
    since: Option<DateTime<Utc>>,
    logged: Option<DateTime<Utc>>,
}

impl MissingGuard {
    fn update(&mut self, guard: &dyn GuardWatch, now: DateTime<Utc>) {
        let status = guard.status();
        if status.alive || status.mode == GuardMode::Off {
            if self.logged.take().is_some() {
                info!("the guard is alive again");
            }
            self.since = None;
            return;
        }
        let since = *self.since.get_or_insert(now);
        if now - since >= GUARD_GRACE && self.logged.is_none_or(|at| now - at >= GUARD_REMINDER) {
            self.logged = Some(now);
            error!(
                mode = ?status.mode,
                last_seen = status.last_seen.map(|at| at.to_string()),
                "no guard is alive: if this daemon dies, its rules stay in the speaker; run prefixd guard"
            );
        }
    }
}

/// Sweeps over the intents and the speaker's sessions.
pub(crate) struct AlertWatch {
    pub(crate) context: TaskContext,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) speakers: Arc<SpeakerSet>,
    /// `None`: no guard is expected.
    pub(crate) guard: Option<Arc<dyn GuardWatch>>,
}

impl AlertWatch {
    /// Sweeps each second and when a session changes, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let TaskContext { settings, leadership, intents, .. } = &self.context;
        let mut missing_guard = MissingGuard::default();
        let mut refreshed = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.speakers.session_changed.notified() => {}
                () = sleep(SWEEP) => {}
            }
            let changes = self.speakers.take_changes();
            if let Some(guard) = self.guard.as_ref().filter(|_| settings.enforced()) {
                missing_guard.update(&**guard, self.context.now());
            }
            // the other instances have the same speakers
            if leadership.in_charge().is_none() {
                continue;
            }
            changes.iter().for_each(|change| self.alerts.session_changed(change, &intents.rows()));
            // news of a session does not always name its families: they are read before an alert is raised
            let is_doubtful =
                !self.alerts.raised.lock().unseen.since.is_empty() && self.speakers.have_peers();
            if is_doubtful && refreshed.elapsed() >= REFRESH {
                refreshed = Instant::now();
                self.speakers.refresh(SWEEP).await;
            }
            self.sweep();
        }
    }

    fn sweep(&self) {
        let (rows, now) = (self.context.intents.rows(), self.context.now());
        self.pending(&rows, now);
        self.stuck(&rows, now);
        self.unseen(&rows, now);
    }

    fn pending(&self, rows: &[Arc<Mitigation>], now: DateTime<Utc>) {
        let longest = span(self.context.settings.announce_timeout);
        let is_late =
            |row: &&Arc<Mitigation>| row.status == Status::Pending && now - row.updated_at > longest;
        let late: Vec<_> = {
            let created = &mut self.alerts.raised.lock().created;
            // some end while another instance leads
            created.retain(|id| self.context.intents.get(*id).is_some());
            rows.iter().filter(is_late).filter(|row| created.insert(row.mitigation_id)).collect()
        };
        for row in late {
            let message = "the speaker has not confirmed the rule yet; it is announced as soon as it can be";
            self.alerts.created(row, message);
        }
    }

    fn stuck(&self, rows: &[Arc<Mitigation>], now: DateTime<Utc>) {
        let longest = span(self.context.settings.withdraw_alarm);
        let is_stuck = |row: &&Arc<Mitigation>| {
            row.status == Status::Withdrawing && row.ended_at.is_some_and(|at| now - at >= longest)
        };
        let mut found: Vec<&Arc<Mitigation>> = rows.iter().filter(is_stuck).collect();
        {
            let raised = &mut self.alerts.raised.lock().stuck;
            let stuck: HashSet<MitigationId> = found.iter().map(|row| row.mitigation_id).collect();
            raised.retain(|id| stuck.contains(id));
            found.retain(|row| raised.insert(row.mitigation_id));
        }
        let message = |row: &Mitigation| {
            let intents = &self.context.intents;
            let error =
                row.key().map(|key| intents.errors(&key).join("; ")).filter(|error| !error.is_empty());
            let error = error.map(|error| format!(" The speaker: {error}.")).unwrap_or_default();
            format!(
                "the rule is to be withdrawn for more than {} s and the speaker has not confirmed that it is gone; \
                 it is repeated until it does.{error}",
                longest.num_seconds()
            )
        };
        self.raise_all(AlertType::WithdrawStuck, "withdraw is stuck", &found, message);
    }

    fn unseen(&self, rows: &[Arc<Mitigation>], now: DateTime<Utc>) {
        let TaskContext { settings, intents, .. } = &self.context;
        let mut uncarried: Vec<AfiSafi> = Vec::new();
        if settings.has_sessions && self.speakers.any_connected() {
            uncarried.extend(FAMILIES.iter().filter(|family| self.speakers.established(**family) == 0));
        }
        let is_confirmed = |row: &Mitigation| {
            let key = row.key();
            let has = |rib: Rib<'_>| key.as_ref().and_then(|key| rib.entry(key)?.confirmed).is_some();
            intents.ribs().any(|(_, rib)| has(rib))
        };
        let is_unseen = |row: &&Arc<Mitigation>| {
            row.lives()
                && !row.dry_run
                && row.route.as_ref().is_some_and(|route| uncarried.contains(&family_of(route)))
                && is_confirmed(row)
        };
        let mut found: Vec<&Arc<Mitigation>> = rows.iter().filter(is_unseen).collect();
        found.sort_by_key(|row| row.mitigation_id);
        let ids: Vec<MitigationId> = found.iter().map(|row| row.mitigation_id).collect();
        let new = {
            let unseen = &mut self.alerts.raised.lock().unseen;
            unseen.raised.retain(|id| intents.get(*id).is_some());
            unseen.update(&ids, now)
        };
        found.retain(|row| new.contains(&row.mitigation_id));
        let message = |row: &Mitigation| {
            let family =
                row.route.as_ref().map(family_of).map(|family| family.to_string()).unwrap_or_default();
            format!(
                "the speaker has the rule, but no established BGP session carries {family}: no router filters by it. \
                 Negotiate the family with the neighbors, or bring their sessions up."
            )
        };
        self.raise_all(AlertType::RuleUnseen, "no router has the rule", &found, message);
    }

    /// Raises one alert each; of very many the last one says how many there are.
    fn raise_all(
        &self,
        kind: AlertType,
        what: &str,
        rows: &[&Arc<Mitigation>],
        message: impl Fn(&Mitigation) -> String,
    ) {
        let more = rows.len().saturating_sub(MAX_AT_ONCE);
        for (index, row) in rows.iter().take(MAX_AT_ONCE).enumerate() {
            let mut message = message(row);
            if more > 0 && index + 1 == MAX_AT_ONCE {
                message = format!("{message} The same holds for {more} more rules.");
            }
            self.alerts.raise_for(kind, row, format!("{what}: {}", flow(row)), message);
        }
    }
}

fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
