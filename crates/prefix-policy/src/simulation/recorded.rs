//! Stored events as a simulation takes them: each with what became of the mitigation that it made, at once or later.

use std::collections::BTreeMap;

use prefix_core::event::{Event, EventStatus};
use prefix_core::id::{EventId, GroupId, MitigationId};
use prefix_core::mitigation::Mitigation;

use super::diff::Actual;
use super::outcome::{Ending, Input};

/// The group of an event that was held: the mitigation that this group may have made later is to be looked up.
pub fn held_in(event: &Event) -> Option<GroupId> {
    event.signal_group_id.filter(|_| event.status == EventStatus::Held)
}

/// What became of a recorded mitigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MitigationEnd {
    /// The event that made it.
    triggered_by: Option<EventId>,
    /// `None` while it has not ended.
    ending: Option<Ending>,
}

impl MitigationEnd {
    /// Of a stored row.
    pub fn of(row: &Mitigation) -> Self {
        Self { triggered_by: row.triggering_event_id, ending: Ending::of(row) }
    }
}

/// Events with what became of them. `groups` says which mitigation a group has made, for each event that was
/// [held](held_in); `ends` knows those mitigations, and the ones that events [have made](Actual::has_made).
pub fn recorded(
    events: Vec<Event>,
    groups: &BTreeMap<GroupId, MitigationId>,
    ends: &BTreeMap<MitigationId, MitigationEnd>,
) -> Vec<Input> {
    let input = |event: Event| {
        let made = Actual::has_made(&event).and_then(|id| ends.get(&id));
        // a group names one mitigation, and that one the newest report that it stands on
        let led_to =
            held_in(&event).and_then(|group| groups.get(&group)).and_then(|id| Some((*id, *ends.get(id)?)));
        let led_to = led_to.filter(|(_, end)| end.triggered_by == Some(event.event_id));
        let mut input = Input::recorded(event, made.and_then(|end| end.ending));
        if let (Some(actual), Some((mitigation, end))) = (&mut input.actual, led_to) {
            actual.led_to = Some(mitigation);
            actual.ended = end.ending;
        }
        input
    };
    events.into_iter().map(input).collect()
}
