//! What two speakers confirm of one rule: who makes it active, who ends it, and what a step waits for.

use prefix_core::flowspec::RouteKey;
use prefix_core::id::{MitigationId, PanicId};
use prefix_core::mitigation::{EndReason, Status};
use prefix_core::speakers::{SpeakerId, Speakers};
use prefix_policy::use_cases::{Confirmed, InstanceFacts, confirm, confirm_withdrawn, is_news};

use crate::use_cases::{confirmed, lab, run_at};

/// An instance with these speakers, none of which was sent anything.
struct With(Speakers);

impl With {
    fn speakers(names: &[&str]) -> Self {
        Self(Speakers::named(names.iter().map(|name| name.parse().unwrap()).collect()))
    }
}

impl InstanceFacts for With {
    fn was_sent(&self, _speaker: SpeakerId, _key: &RouteKey) -> bool {
        false
    }

    fn speakers(&self) -> &Speakers {
        &self.0
    }

    fn is_panic_pending(&self, _id: MitigationId) -> bool {
        false
    }

    fn is_thawed(&self, _id: PanicId) -> bool {
        false
    }
}

#[test]
fn the_first_of_two_speakers_makes_a_rule_active_and_the_last_ends_it() {
    let (mut lab, id) = lab();
    let pair = With::speakers(&["rs1", "rs2"]);
    let (first, second) = (SpeakerId(0), SpeakerId(1));
    lab.edit(id).status = Status::Pending;
    lab.edit(id).progress.step_confirmed_at = None;
    let path = confirmed(lab.find(id));
    let done = run_at(&lab, &pair, |uow| confirm(uow, &path));
    assert_eq!(done.row(id).status, Status::Active);
    assert!(!is_news(done.row(id), &pair.0, first) && is_news(done.row(id), &pair.0, second));
    *lab.edit(id) = done.row(id).clone();
    let done = run_at(&lab, &pair, |uow| confirm(uow, &Confirmed { speaker: second, ..path.clone() }));
    let parts = &done.row(id).speaker.parts;
    assert_eq!(parts.iter().map(|part| part.announced).collect::<Vec<_>>(), [true, true]);
    assert!(!is_news(done.row(id), &pair.0, second));
    assert!(done.audited().is_empty(), "one confirmation is audited for each step");
    *lab.edit(id) = done.row(id).clone();

    let now = lab.now;
    lab.edit(id).begin_end(EndReason::Operator, now).unwrap();
    let key = lab.find(id).key().unwrap();
    let done = run_at(&lab, &pair, |uow| confirm_withdrawn(uow, second, &key));
    let row = done.row(id).clone();
    assert_eq!((row.status, row.speaker.announced), (Status::Withdrawing, true), "rs1 may have it");
    assert!(!row.counts(), "rs1 is not waited for by the quotas");
    *lab.edit(id) = row;
    let again = run_at(&lab, &pair, |uow| confirm_withdrawn(uow, second, &key));
    assert!(again.changes.mitigations.is_empty(), "it is known already");
    let done = run_at(&lab, &pair, |uow| confirm_withdrawn(uow, first, &key));
    assert_eq!((done.row(id).status, done.row(id).speaker.announced), (Status::Withdrawn, false));

    // whoever leaves the configuration is waited for no longer, whatever the one that is left is called
    for left in [With::speakers(&["rs2", "rs3"]), With::speakers(&["rs2"])] {
        let done = run_at(&lab, &left, |uow| confirm_withdrawn(uow, first, &key));
        let is_final = done.changes.mitigations.iter().any(|change| change.after.status == Status::Withdrawn);
        assert_eq!(is_final, !left.0.are_several(), "rs3 has not said anything");
    }
}

#[test]
fn a_later_step_counts_once_every_speaker_has_it() {
    let (mut lab, id) = lab();
    let pair = With::speakers(&["rs1", "rs2"]);
    let path = confirmed(lab.find(id));
    for speaker in [SpeakerId(0), SpeakerId(1)] {
        let done = run_at(&lab, &pair, |uow| confirm(uow, &Confirmed { speaker, ..path.clone() }));
        *lab.edit(id) = done.row(id).clone();
    }
    assert!(!lab.find(id).is_stale(&pair.0));
    let row = lab.edit(id);
    (row.progress.step, row.progress.step_confirmed_at) = (1, None);
    let path = confirmed(lab.find(id));
    let done = run_at(&lab, &pair, |uow| confirm(uow, &path));
    let row = done.row(id).clone();
    assert_eq!(row.status, Status::Active);
    assert!(row.progress.step_confirmed_at.is_some(), "its time begins where it is in force");
    assert!(row.is_stale(&pair.0), "the routers of rs2 do what the step before said");
    assert!(!is_news(&row, &pair.0, SpeakerId(0)), "what one has said once is written once");
    *lab.edit(id) = row;
    // rs2 is replaced by one that has the rule as it is now
    let done = run_at(&lab, &pair, |uow| confirm(uow, &Confirmed { speaker: SpeakerId(1), ..path.clone() }));
    assert_eq!(done.row(id).status, Status::Escalated);
    assert!(done.row(id).progress.step_confirmed_at.is_some() && !done.row(id).is_stale(&pair.0));
    // or it leaves the configuration
    let one = With::speakers(&["rs1"]);
    let done = run_at(&lab, &one, |uow| confirm(uow, &path));
    assert_eq!((done.row(id).status, done.row(id).speaker.parts.len()), (Status::Escalated, 0));
}
