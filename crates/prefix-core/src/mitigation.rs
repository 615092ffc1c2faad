//! A mitigation: one written intent to filter, from its first report until the speaker confirmed that its rule is gone.

mod status;
mod transition;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use status::{EndReason, Status, UnknownStatus};
pub use transition::TransitionError;

use crate::address::VictimIp;
use crate::announcer::Route;
use crate::confidence::Confidence;
use crate::decision::Decision;
use crate::flowspec::{Action, RouteKey, RuleError};
use crate::guardrail::Guardrail;
use crate::id::{EventId, MitigationId};
use crate::lease::Lease;
use crate::matching::Matching;
use crate::name::{CustomerId, PlaybookName, Pop, ServiceId, SourceName, VectorName};
use crate::ownership::NotAfter;
use crate::protocol::Protocol;
use crate::signal::Correlation;
use crate::ttl::Ttl;

/// What is known of the rule at the speaker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpeakerView {
    /// True once an announcement may have been sent: only a confirmed removal makes the rule surely gone.
    pub attempted: bool,
    /// True while the rule is known to be in the speaker's table.
    pub announced: bool,
    /// When the speaker last confirmed it.
    pub last_confirmed_at: Option<DateTime<Utc>>,
    /// The not-after time that stands on the wire.
    pub not_after: Option<NotAfter>,
    /// What went wrong last.
    pub error: Option<String>,
}

/// What the triggering report said about the traffic: every later step narrows from here again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedMatch {
    /// The protocol, if the detector named one.
    #[serde(default)]
    pub protocol: Option<Protocol>,
    /// The destination ports most hit.
    #[serde(default)]
    pub dst_ports: BTreeSet<u16>,
}

/// Where a mitigation stands in its playbook, and what its next step needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The running step, 0-based.
    pub step: u16,
    /// When the speaker confirmed the running step; persistence is counted from here.
    pub step_confirmed_at: Option<DateTime<Utc>>,
    /// Since when it has been at a step above 0 without a break.
    pub escalated_since: Option<DateTime<Utc>>,
    /// Since when every report stayed below the confidence that the running step requires.
    pub below_since: Option<DateTime<Utc>>,
    /// True after an operator changed the rule: it no longer escalates by itself.
    pub manual: bool,
    /// A step that guardrails refused, not tried again before the next report.
    pub refused_step: Option<u16>,
    /// The step the change on the wire came from, until the speaker confirmed it.
    pub from_step: Option<u16>,
    /// What was reported when it began; empty for manual ones.
    #[serde(default)]
    pub reported: ReportedMatch,
    /// The rule before a step that changed the match: it stays on the wire until the new one is confirmed.
    #[serde(default)]
    pub former: Option<FormerRule>,
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
    /// Its identity.
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
    /// Its identifier.
    pub mitigation_id: MitigationId,
    /// Counts the changes of the row; a change based on an older revision is refused by the store.
    pub revision: i64,
    /// The site that announces it.
    pub pop: Pop,
    /// Where it stands.
    pub status: Status,
    /// Why it ended or is ending.
    pub end_reason: Option<EndReason>,
    /// The mitigation that took its rule over.
    pub superseded_by: Option<MitigationId>,
    /// The mitigation it accompanies (fragments).
    pub parent_id: Option<MitigationId>,
    /// Whose address it is.
    pub customer_id: Option<CustomerId>,
    /// Which service of the customer.
    pub service_id: Option<ServiceId>,
    /// The address under attack.
    pub victim_ip: VictimIp,
    /// The kind of attack.
    pub vector: VectorName,
    /// What it matches; in a `rejected` row this may be no rule at all.
    pub matching: Matching,
    /// The rule on the wire; `None` only in a `rejected` row for which no rule could be built.
    #[serde(skip)]
    pub route: Option<Route>,
    /// What is done with matching packets.
    pub action: Action,
    /// TTL of the running step: what a report renews a lease by.
    pub ttl: Ttl,
    /// The playbook; `None` for manual ones.
    pub playbook: Option<PlaybookName>,
    /// Where it stands in its playbook.
    pub progress: Progress,
    /// Who holds it up.
    pub leases: Vec<Lease>,
    /// What is known of the rule at the speaker.
    pub speaker: SpeakerView,
    /// When it was written down first.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// The latest lease end, never beyond [`Self::lifetime_ends_at`].
    pub expires_at: DateTime<Utc>,
    /// The absolute end, extensions included.
    pub lifetime_ends_at: DateTime<Utc>,
    /// When its end was decided.
    pub ended_at: Option<DateTime<Utc>>,
    /// When the speaker confirmed the removal.
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// The event that made it.
    pub triggering_event_id: Option<EventId>,
    /// The newest event.
    pub last_event_id: Option<EventId>,
    /// Why, in the words of an operator or of the refusing guardrail.
    pub reason: Option<String>,
    /// When an operator saw it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Which one.
    pub acknowledged_by: Option<String>,
    /// Made while nothing was announced.
    pub dry_run: bool,
    /// What the rule may miss or hit.
    pub warnings: Vec<String>,
    /// The guardrail that refused it, or that it waits for.
    pub guardrail: Option<Guardrail>,
    /// The signals it stands on; `None` without correlation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlation>,
    /// Why it is as it is.
    pub decision: Decision,
}

impl Mitigation {
    /// The route of a match under an action: a black hole takes the whole host, everything else is a FlowSpec rule.
    pub fn route_for(matching: &Matching, action: &Action) -> Result<Route, RuleError> {
        match action {
            Action::Rtbh => Ok(Route::Blackhole(matching.dst_prefix)),
            _ => matching.rule().map(|rule| Route::FlowSpec(Box::new(rule))),
        }
    }

    /// Builds the route anew from matching and action, after the row was read from its serialised form. A row refused
    /// as `semantic` has none: its match is not the one that was asked for, which cannot exist.
    pub fn restore_route(&mut self) {
        let impossible = self.status == Status::Rejected && self.guardrail == Some(Guardrail::Semantic);
        self.route = Self::route_for(&self.matching, &self.action).ok().filter(|_| !impossible);
    }

    /// The identity of its rule.
    pub fn key(&self) -> Option<RouteKey> {
        self.route.as_ref().map(Route::key)
    }

    /// Pending, active or escalated.
    pub fn lives(&self) -> bool {
        self.status.lives()
    }

    /// True while it takes up room in the quotas: pending, active and escalated, and withdrawing as long as its rule
    /// can still be in the speaker. Dry-run rules count as if they were announced.
    pub fn counts(&self) -> bool {
        match self.status {
            Status::Pending | Status::Active | Status::Escalated => true,
            Status::Withdrawing => self.speaker.attempted && self.superseded_by.is_none(),
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

    /// True while some source reports: repeating ones by a report after `since`, edge ones by a living lease.
    pub fn is_reported_since(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.leases.iter().any(|lease| lease.lives(now) && (lease.edge || lease.last_event_at > since))
    }

    /// The highest newest confidence among the holders of living leases.
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

    /// The not-after time for an announcement now: the sooner of its deadline and one TTL of the running step, so that
    /// a dead daemon's rule never outlives what the last living one promised.
    pub fn not_after(&self, now: DateTime<Utc>) -> NotAfter {
        NotAfter::at_or_after(self.expires_at.min(self.ttl.after(now)))
    }
}
