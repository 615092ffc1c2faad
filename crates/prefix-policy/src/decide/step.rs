//! Steps of a playbook (configuration.md §4.4): up while the attack lasts and its confidence is enough, down when it is
//! not any more or after the longest time.

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::confidence::Confidence;
use prefix_core::guardrail::Refusal;
use prefix_core::lease::Lease;
use prefix_core::mitigation::Mitigation;

use super::rule_draft::{RuleDraft, describe};
use crate::compose::Attack;
use crate::facts::CheckContext;
use crate::playbook::{Playbook, Step};
use crate::policy::Policy;
use crate::profile::Profile;
use crate::settings::duration;
use crate::verdict::{StepPlan, StepVerdict};

/// Where a mitigation goes, and why.
enum Move {
    Up(String),
    Down(String),
}

impl Policy {
    /// Whether a mitigation changes its step now; asked on every report and every second.
    pub fn next_step(&self, mitigation: &Mitigation, check_context: CheckContext<'_>) -> StepVerdict {
        let now = check_context.now;
        let Some(playbook) = self.running_playbook(mitigation) else { return StepVerdict::Stay };
        let Some(next) = self.next_move(playbook, mitigation, now) else { return StepVerdict::Stay };
        let number = mitigation.progress.step;
        let (target, reason) = match &next {
            Move::Up(reason) => (number.checked_add(1), reason),
            Move::Down(reason) => (number.checked_sub(1), reason),
        };
        let Some(target) = target.filter(|target| mitigation.progress.refused_step != Some(*target)) else {
            return StepVerdict::Stay;
        };
        match self.step_plan(playbook, mitigation, target, reason, check_context) {
            None => StepVerdict::Stay,
            Some(Err(refusal)) => StepVerdict::Refused { step: target, refusal },
            Some(Ok(plan)) => match next {
                Move::Up(_) => StepVerdict::Escalate(Box::new(plan)),
                Move::Down(_) => StepVerdict::StepDown(Box::new(plan)),
            },
        }
    }

    /// Since when every report stayed below what the running step requires, after one more report with this confidence:
    /// the new value of `progress.below_since`.
    pub fn below_since(
        &self,
        mitigation: &Mitigation,
        reported: Confidence,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let number = mitigation.progress.step;
        let step = self.running_playbook(mitigation).and_then(|playbook| playbook.step(number));
        let step = step.filter(|_| number > 0)?;
        let required = self.required_confidence(self.profile_of(mitigation.victim_ip), step);
        (reported < required).then(|| mitigation.progress.below_since.unwrap_or(now))
    }

    /// True if this mitigation can ever change its step by itself.
    pub(crate) fn may_step(&self, mitigation: &Mitigation) -> bool {
        mitigation.lives()
            && self.running_playbook(mitigation).is_some_and(|playbook| playbook.steps.len() > 1)
    }

    /// The times at which time alone can make a step due, past ones among them. The speaker confirms a step a little
    /// later than it was taken, and with it the next one.
    pub(crate) fn step_times(&self, mitigation: &Mitigation) -> impl Iterator<Item = DateTime<Utc>> {
        let progress = &mitigation.progress;
        let confirmed = progress.step_confirmed_at.map(|at| at + TimeDelta::milliseconds(1));
        let up = confirmed.zip(self.wait_before(mitigation, progress.step.checked_add(1)));
        let down = progress.below_since.zip(self.wait_before(mitigation, Some(progress.step)));
        let longest = duration(self.parts().escalation.max_escalated_duration_seconds);
        let back = progress.escalated_since.map(|since| (since, longest));
        let dues = [up, down, back].into_iter().flatten().map(|(since, wait)| since + wait);
        // whoever no longer reports is no longer weighed, which can raise the confidence of the others
        dues.chain(mitigation.leases.iter().map(Lease::expires_at))
    }

    /// True if by then the next step has had the time that it needs, and waits for reports whose confidence is enough.
    pub(crate) fn awaits_reports(&self, mitigation: &Mitigation, by: DateTime<Utc>) -> bool {
        let wait = self.wait_before(mitigation, mitigation.progress.step.checked_add(1));
        mitigation.progress.step_confirmed_at.zip(wait).is_some_and(|(since, wait)| since + wait <= by)
    }

    /// The persistence of this step of the running playbook.
    fn wait_before(&self, mitigation: &Mitigation, number: Option<u16>) -> Option<TimeDelta> {
        let step = self.running_playbook(mitigation)?.step(number?)?;
        Some(TimeDelta::seconds(self.persistence(self.profile_of(mitigation.victim_ip), step).into()))
    }

    /// The playbook that moves this mitigation; none for companions, operators' rules, rules of several attacks, those that
    /// nobody reports any more, and when it is gone.
    fn running_playbook(&self, mitigation: &Mitigation) -> Option<&Playbook> {
        let name = mitigation.playbook.as_ref()?;
        let progress = &mitigation.progress;
        let stays = progress.manual || progress.held || !mitigation.answers_one_attack();
        let moves = mitigation.parent_id.is_none() && !stays;
        self.parts().playbooks.get(name).filter(|_| moves)
    }

    /// Persistence of a step in seconds, for a customer with this profile.
    fn persistence(&self, profile: Profile, step: &Step) -> u32 {
        profile.persistence(
            step.keys.require_persistence_seconds.unwrap_or(self.parts().escalation.min_persistence_seconds),
        )
    }

    /// Confidence that a step requires, for a customer with this profile.
    fn required_confidence(&self, profile: Profile, step: &Step) -> Confidence {
        profile.confidence(
            step.keys.require_confidence_at_least.unwrap_or(self.parts().escalation.min_confidence()),
        )
    }

    fn next_move(&self, playbook: &Playbook, mitigation: &Mitigation, now: DateTime<Utc>) -> Option<Move> {
        let (escalation, progress) = (&self.parts().escalation, &mitigation.progress);
        let confirmed_at =
            progress.step_confirmed_at.filter(|_| mitigation.lives() && progress.from_step.is_none())?;
        let reported = mitigation.leases.iter().any(|lease| lease.lives(now));
        let longest = escalation.max_escalated_duration_seconds;
        let too_long = progress.escalated_since.is_some_and(|since| now - since >= duration(longest));
        if progress.step > 0 && too_long && reported {
            let text =
                format!("escalated for {longest} s, the longest (escalation.max_escalated_duration_seconds)");
            return Some(Move::Down(text));
        }
        let profile = self.profile_of(mitigation.victim_ip);
        if let Some(up) = self.reason_to_escalate(playbook, mitigation, profile, confirmed_at, now) {
            return Some(Move::Up(up));
        }
        let step = playbook.step(progress.step).filter(|_| progress.step > 0 && escalation.step_down)?;
        let seconds = self.persistence(profile, step);
        let below = now - progress.below_since?;
        (below >= TimeDelta::seconds(seconds.into())).then(|| {
            let required = self.required_confidence(profile, step);
            Move::Down(format!("every report stayed below confidence {required} for {seconds} s"))
        })
    }

    fn reason_to_escalate(
        &self,
        playbook: &Playbook,
        mitigation: &Mitigation,
        profile: Profile,
        confirmed_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<String> {
        if !self.parts().escalation.enabled {
            return None;
        }
        let step = playbook.step(mitigation.progress.step.checked_add(1)?)?;
        let seconds = self.persistence(profile, step);
        let (confidence, required) =
            (self.confidence_of(mitigation, now), self.required_confidence(profile, step));
        let due = now - confirmed_at >= TimeDelta::seconds(seconds.into())
            && mitigation.is_reported_since(confirmed_at, now)
            && confidence >= required;
        due.then(|| {
            format!(
                "the attack goes on for {} s since the step was confirmed, {seconds} s are required, and confidence is \
                 {confidence}, {required} is required",
                (now - confirmed_at).num_seconds()
            )
        })
    }

    /// The rule that a step makes for the attack that a mitigation is about; `None` if it makes none.
    fn draft_of<'a>(
        &'a self,
        playbook: &'a Playbook,
        mitigation: &'a Mitigation,
        number: u16,
    ) -> Option<RuleDraft<'a>> {
        let attack = Attack {
            victim: mitigation.victim_ip,
            vector: &mitigation.vector,
            template: self.vector(&mitigation.vector)?,
            reported: &mitigation.progress.reported,
        };
        let owner = self.lookup(mitigation.victim_ip)?;
        let draft = self.draft(attack, owner, &playbook.name, (number, playbook.step(number)?));
        draft.composed.skip.is_none().then_some(draft)
    }

    /// What the mitigation becomes; `None` if the step makes no rule.
    fn step_plan(
        &self,
        playbook: &Playbook,
        mitigation: &Mitigation,
        number: u16,
        reason: &str,
        check_context: CheckContext<'_>,
    ) -> Option<Result<StepPlan, Refusal>> {
        let draft = self.draft_of(playbook, mitigation, number)?;
        let route = match self.check_rule(&draft.candidate(&mitigation.pop), check_context) {
            Ok(route) => route,
            Err(refusal) => return Some(Err(refusal)),
        };
        let mut companions = self.companion_plans(&draft);
        companions
            .retain(|plan| self.check_rule(&draft.companion(plan, &mitigation.pop), check_context).is_ok());
        let reason = format!("{reason}: step {number}, {}", describe(&draft.composed.action));
        Some(Ok(StepPlan {
            step: number,
            matching: draft.composed.matching,
            route,
            action: draft.composed.action,
            ttl: draft.ttl,
            warnings: draft.composed.warnings,
            companions,
            reason,
        }))
    }
}
