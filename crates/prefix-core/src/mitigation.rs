//! A mitigation: a stored intent to filter, from its first report until the speaker confirmed that its rule is gone.

mod carpet;
mod part;
mod role;
mod row_clock;
mod shared_path;
mod speaker_view;
mod status;
mod transition;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use carpet::{Carpet, CarpetVictim, MOST_VICTIMS};
pub use part::{MOST_PARTS, Part};
pub use role::Role;
pub use row_clock::RowClock;
pub use shared_path::{Wanting, shared_path};
pub use speaker_view::{Removed, SpeakerPart, SpeakerView};
pub use status::{EndReason, Status, UnknownStatus};
pub use transition::TransitionError;

use crate::address::VictimIp;
use crate::announcer::Route;
use crate::confidence::Confidence;
use crate::decision::Decision;
use crate::event::Report;
use crate::flowspec::{Action, RouteKey, RuleError};
use crate::guardrail::Guardrail;
use crate::id::{EventId, MitigationId};
use crate::lease::Lease;
use crate::matching::{Matching, PacketMatch};
use crate::name::{CustomerId, PlaybookName, Pop, ServiceId, SourceName, VectorName};
use crate::ownership::NotAfter;
use crate::port::PortList;
use crate::protocol::Protocol;
use crate::signal::Correlation;
use crate::ttl::Ttl;

/// What the triggering report said about the traffic: each step intersects its match with this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedMatch {
    /// The protocol, if the detector named one.
    #[serde(default)]
    pub protocol: Option<Protocol>,
    /// The destination ports most hit, in the order of the report.
    #[serde(default)]
    pub dst_ports: PortList,
    /// What else its packets share.
    #[serde(default, skip_serializing_if = "PacketMatch::is_empty")]
    pub matches: PacketMatch,
    /// Whether that is evidence of samples: what does not fit the rule is left out and named. Else it is a statement, and
    /// refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sampled: bool,
    /// What the report said and nobody could read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

impl From<&Report> for ReportedMatch {
    fn from(report: &Report) -> Self {
        Self {
            protocol: report.protocol,
            dst_ports: report.top_dst_ports.clone(),
            matches: report.matches.clone(),
            sampled: report.sampled,
            unread: report.unread.clone(),
        }
    }
}

/// The progress of a mitigation in its playbook.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The running step, 0-based.
    pub step: u16,
    /// When the speaker confirmed the running step; `require_persistence_seconds` counts from here.
    pub step_confirmed_at: Option<DateTime<Utc>>,
    /// Since when it has been at a step above 0 without a break.
    pub escalated_since: Option<DateTime<Utc>>,
    /// Since when every report stayed below the confidence that the running step requires.
    pub below_since: Option<DateTime<Utc>>,
    /// Whether an operator changed the rule: it no longer escalates by itself.
    pub manual: bool,
    /// A step that guardrails refused, not tried again before the next report.
    pub refused_step: Option<u16>,
    /// How many times in a row the same rule was raised again shortly after its end by unban.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub flaps: u32,
    /// The attacks that its rule answers, if others were added while it waited for room; empty if there is only its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Its place in the quotas went to the rule that takes its place, so it does not count any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub yields: bool,
    /// No lease holds it: it flaps, and so its end by unban was put off to `expires_at`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// The step before the running one, until the speaker confirmed the running one.
    pub from_step: Option<u16>,
    /// What was reported when it began; empty for manual ones.
    #[serde(default)]
    pub reported: ReportedMatch,
    /// The rule before a step that changed the match: it stays announced until the new one is confirmed.
    #[serde(default)]
    pub former: Option<FormerRule>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A rule that a later step of the same mitigation replaced by another match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormerRule {
    /// What it matches.
    pub matching: Matching,
    /// What is done with matching packets.
    pub action: Action,
}

impl FormerRule {
    /// The identity of its route; `None` if it has no valid rule.
    pub fn key(&self) -> Option<RouteKey> {
        Mitigation::route_for(&self.matching, &self.action).ok().map(|route| route.key())
    }
}

/// A mitigation.
///
/// Its serialised form leaves `route` out, because matching and action determine it: call
/// [`Self::restore_route`] after reading one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mitigation {
    /// The identifier, a UUID version 7.
    pub mitigation_id: MitigationId,
    /// Grows with each change of the row; the store refuses a change of an older revision.
    pub revision: i64,
    /// The site that announces it.
    pub pop: Pop,
    /// The status.
    pub status: Status,
    /// Why it ended or is ending.
    pub end_reason: Option<EndReason>,
    /// The mitigation that took over its rule.
    pub superseded_by: Option<MitigationId>,
    /// The mitigation it accompanies.
    pub parent_id: Option<MitigationId>,
    /// What its rule is within its rule set; `None` in rows of before there were roles. See [`Self::role`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The customer of the address.
    pub customer_id: Option<CustomerId>,
    /// The service of the customer.
    pub service_id: Option<ServiceId>,
    /// The address under attack.
    pub victim_ip: VictimIp,
    /// The kind of attack.
    pub vector: VectorName,
    /// What it matches; in a `rejected` row this may be no rule at all.
    pub matching: Matching,
    /// The route of its rule; `None` only in a `rejected` row for which no rule could be built.
    #[serde(skip)]
    pub route: Option<Route>,
    /// What is done with matching packets.
    pub action: Action,
    /// The TTL of the running step: a report renews a lease by it.
    pub ttl: Ttl,
    /// The playbook; `None` for manual ones.
    pub playbook: Option<PlaybookName>,
    /// The progress in its playbook.
    pub progress: Progress,
    /// The leases of the sources that keep it live.
    pub leases: Vec<Lease>,
    /// The state of the rule at the speaker.
    pub speaker: SpeakerView,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// The latest lease end, never beyond [`Self::lifetime_ends_at`].
    pub expires_at: DateTime<Utc>,
    /// The absolute end, extensions included.
    pub lifetime_ends_at: DateTime<Utc>,
    /// When its end was decided.
    pub ended_at: Option<DateTime<Utc>>,
    /// When the speaker confirmed the removal.
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// The event that created it.
    pub triggering_event_id: Option<EventId>,
    /// The newest event.
    pub last_event_id: Option<EventId>,
    /// The reason, as given by an operator or the refusing guardrail.
    pub reason: Option<String>,
    /// When an operator acknowledged it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// The operator who acknowledged it.
    pub acknowledged_by: Option<String>,
    /// Whether it was created in dry-run mode, in which nothing is announced.
    pub dry_run: bool,
    /// What the rule may miss or match by accident, as text for operators.
    pub warnings: Vec<String>,
    /// The guardrail that refused it, or that it waits for.
    pub guardrail: Option<Guardrail>,
    /// The signals it is based on; `None` without correlation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlation>,
    /// The last decision about it.
    pub decision: Decision,
    /// By which setting of storage's clock its times are meant.
    #[serde(default, skip_serializing_if = "RowClock::is_first")]
    pub clock: RowClock,
    /// What it knows besides, if it stands for a whole prefix; `victim_ip` is then the first address of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carpet: Option<Box<Carpet>>,
}

impl Mitigation {
    /// The route of a match under an action: a black hole takes the whole host, everything else is a FlowSpec rule.
    pub fn route_for(matching: &Matching, action: &Action) -> Result<Route, RuleError> {
        match action {
            Action::Rtbh | Action::RtbhTo(_) => Ok(Route::Blackhole(matching.dst_prefix)),
            _ => matching.rule().map(|rule| Route::FlowSpec(Box::new(rule))),
        }
    }

    /// Builds the route from matching and action, after the row was read from its serialised form. A row refused as
    /// `semantic` has none: no rule can express the match that was asked for.
    pub fn restore_route(&mut self) {
        let impossible = self.status == Status::Rejected && self.guardrail == Some(Guardrail::Semantic);
        self.route = Self::route_for(&self.matching, &self.action).ok().filter(|_| !impossible);
    }

    /// The identity of its rule.
    pub fn key(&self) -> Option<RouteKey> {
        self.route.as_ref().map(Route::key)
    }

    /// The vectors of the attacks that its rule is about.
    pub fn vectors(&self) -> impl Iterator<Item = &VectorName> {
        let parts = &self.progress.parts;
        let own = parts.is_empty().then_some(&self.vector);
        own.into_iter().chain(parts.iter().filter(|part| !part.reporters.is_empty()).map(|part| &part.vector))
    }

    /// Whether its rule is about an attack of this vector, besides others perhaps.
    pub fn is_about(&self, vector: &VectorName) -> bool {
        self.vectors().any(|known| known == vector)
    }

    /// Whether its rule is about an attack of another vector than this one.
    pub fn is_about_others(&self, vector: &VectorName) -> bool {
        self.vectors().any(|known| known != vector)
    }

    /// Whether its rule answers attacks of its own vector and playbook that nothing but their ports tells apart: what was
    /// reported of them counts as one report then. Else such a rule stays at its step: what one of the attacks would make
    /// of the next one is no rule for the others.
    pub fn answers_one_attack(&self) -> bool {
        let Some(first) = self.progress.parts.first() else { return true };
        let is_alike = |part: &Part| {
            let ports = first.reported.dst_ports.clone();
            let named = !ports.is_empty() && !part.reported.dst_ports.is_empty();
            (&part.vector, &part.playbook) == (&self.vector, &self.playbook)
                && (named || self.progress.parts.len() == 1)
                && ReportedMatch { dst_ports: ports, ..part.reported.clone() } == first.reported
        };
        self.progress.parts.iter().all(is_alike)
    }

    /// Pending, active or escalated.
    pub fn lives(&self) -> bool {
        self.status.lives()
    }

    /// Whether it counts toward the quotas (which ones says [`Self::is_counted_alone`]): pending, active and escalated, and
    /// withdrawing while its rule may still be at the speaker, unless its place went to another one. Dry-run rules count as if they were announced. Of several
    /// speakers the first that has confirmed the removal is enough: one that cannot be reached takes no new rule either, and
    /// must not use up the quota of the others.
    pub fn counts(&self) -> bool {
        if self.progress.yields {
            return false;
        }
        // a rule whose place another rule takes is still there until it has left, one that is taken over is not
        let is_taken_over = || self.superseded_by.is_some() && self.end_reason != Some(EndReason::Superseded);
        match self.status {
            Status::Pending | Status::Active | Status::Escalated => true,
            Status::Withdrawing => {
                self.speaker.attempted && !is_taken_over() && !self.speaker.is_gone_anywhere()
            }
            _ => false,
        }
    }

    /// The lease of a source.
    pub fn lease(&self, source: &SourceName) -> Option<&Lease> {
        self.leases.iter().find(|lease| &lease.source == source)
    }

    /// The lease of a source, to be changed.
    pub fn lease_mut(&mut self, source: &SourceName) -> Option<&mut Lease> {
        self.leases.iter_mut().find(|lease| &lease.source == source)
    }

    /// Whether a source still reports: a repeating one has reported after `since`, an edge one has a live lease.
    pub fn is_reported_since(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.leases.iter().any(|lease| lease.lives(now) && (lease.edge || lease.last_event_at > since))
    }

    /// The highest confidence among the newest reports of the live leases; 0 without one.
    pub fn confidence(&self, now: DateTime<Utc>) -> Confidence {
        let living = self.leases.iter().filter(|lease| lease.lives(now));
        living.map(|lease| lease.confidence).max().unwrap_or_default()
    }

    /// Sets `expires_at` to the latest lease end, within the absolute lifetime. Without a lease it stays.
    pub fn follow_leases(&mut self) {
        if let Some(end) = self.leases.iter().map(Lease::expires_at).max() {
            self.expires_at = end.min(self.lifetime_ends_at);
        }
    }

    /// The not-after time of an announcement at `now`: `expires_at` or one TTL of the running step from now, whichever
    /// is sooner, so that a rule does not outlive a dead daemon by more than its TTL.
    pub fn not_after(&self, now: DateTime<Utc>) -> NotAfter {
        NotAfter::at_or_after(self.expires_at.min(self.ttl.after(now)))
    }
}
