//! An address: is it mitigated, and if not, why not.

use crate::explain::Reported;
use crate::explain::event::{advice as event_advice, answer as event_answer, steps};
use crate::explain::mitigation::{advice as mitigation_advice, headline, steps as mitigation_steps};
use crate::explain::next::{Next, by_hand};
use crate::explain::words::status;
use crate::human::age;
use crate::output::{Eyes, Prose, Tone};
use prefix_client::{Event, EventAction, History, Mitigation, MitigationStatus};

/// So many of the newest events are told.
const MOST_EVENTS: usize = 5;

/// What there is to say of an address, each with its decision.
#[derive(Debug)]
pub(crate) enum Finding {
    /// A rule lives, waits or is on its way out; or one has ended, and nothing was reported since.
    Ruled(Box<Mitigation>),
    /// No rule, but somebody reported something.
    Reported(Box<Reported>),
    /// Nothing was ever reported.
    Nothing,
}

/// Which of the mitigations and events of an address answers the question.
#[derive(Debug)]
pub(crate) enum Subject<'a> {
    Mitigation(&'a Mitigation),
    Event(&'a Event),
    Nothing,
}

/// What filters comes first, then what is on its way, then what was said last.
pub(crate) fn subject(history: &History) -> Subject<'_> {
    let rank = |mitigation: &&Mitigation| match mitigation.status {
        MitigationStatus::Active | MitigationStatus::Escalated => 0,
        MitigationStatus::Pending => 1,
        MitigationStatus::Queued => 2,
        MitigationStatus::Withdrawing => 3,
        _ => 4,
    };
    let unfinished = history.mitigations.iter().filter(|mitigation| !mitigation.status.is_final());
    // a companion is part of the answer that its main rule gives
    if let Some(mitigation) = unfinished.min_by_key(|found| (found.parent_id.is_some(), rank(found))) {
        return Subject::Mitigation(mitigation);
    }
    let ended =
        history.mitigations.iter().filter(|mitigation| mitigation.status != MitigationStatus::Rejected);
    let ended = ended.max_by_key(|mitigation| {
        (mitigation.parent_id.is_none(), mitigation.withdrawn_at.or(mitigation.updated_at))
    });
    let reported = history.events.iter().find(|event| event.action != Some(EventAction::Unban));
    let reported = reported.or_else(|| history.events.first());
    match (ended, reported) {
        (Some(ended), Some(event)) => {
            // a report that this rule took up, or that is older than its end, says less than how it ended
            let is_settled = event.mitigation_id == Some(ended.mitigation_id)
                || ended.withdrawn_at.or(ended.updated_at) > event.ingested_at;
            if is_settled { Subject::Mitigation(ended) } else { Subject::Event(event) }
        }
        (Some(ended), None) => Subject::Mitigation(ended),
        (None, Some(event)) => Subject::Event(event),
        (None, None) => Subject::Nothing,
    }
}

fn owner(history: &History) -> String {
    match (&history.customer, &history.service) {
        (Some(customer), service) => {
            let mut words = vec![format!("customer {}", customer.customer_id)];
            words.extend(service.as_ref().map(|service| format!("service {}", service.service_id)));
            words.extend(customer.policy_profile.as_ref().map(|profile| format!("profile {profile}")));
            words.join(", ")
        }
        (None, _) => "nobody's: it is in no customer's prefix".to_owned(),
    }
}

/// An address.
pub(crate) fn address(eyes: Eyes, history: &History, finding: &Finding) -> String {
    let ip = history.ip;
    let mut prose = Prose::new(eyes);
    let mut next = Next::default();
    let not_ours = "it is in no customer's prefix, so nothing for it is ever mitigated";
    let (tone, answer) = match finding {
        Finding::Ruled(mitigation) => headline(mitigation, eyes),
        _ if history.customer.is_none() => (Tone::Warn, format!("{ip} is not mitigated: {not_ours}")),
        Finding::Reported(reported) => event_answer(reported, eyes),
        Finding::Nothing => (Tone::Warn, format!("{ip} is not mitigated: no detector reported it")),
    };
    prose.toned(tone, &answer);
    prose.line("");
    prose.fact("whose", &owner(history));
    living(&mut prose, history);
    events(&mut prose, history);
    match finding {
        Finding::Ruled(found) => {
            prose.heading(&format!("Mitigation {}", found.mitigation_id));
            mitigation_steps(&mut prose, found);
            mitigation_advice(&mut next, found);
        }
        Finding::Reported(reported) => {
            prose.line("");
            steps(&mut prose, reported);
            if history.customer.is_some() {
                event_advice(&mut next, reported, eyes);
            }
        }
        Finding::Nothing if history.customer.is_some() => {
            next.add("see whether its detectors are heard at all: `prefixdctl events list --start 1h`");
            next.add(by_hand(ip));
        }
        Finding::Nothing => {}
    }
    if history.customer.is_none() {
        next.add("if the address is ours, add it to inventory.yaml, then `prefixdctl config check` and `prefixdctl reload`");
    }
    next.show(&mut prose);
    prose.finish()
}

/// What lives or waits now, one line each.
fn living(prose: &mut Prose, history: &History) {
    let eyes = prose.eyes;
    let unfinished: Vec<_> =
        history.mitigations.iter().filter(|mitigation| !mitigation.status.is_final()).collect();
    if unfinished.is_empty() {
        prose.fact("now", "no rule lives or waits");
    }
    for mitigation in unfinished {
        let flow = mitigation.flow.as_deref().unwrap_or("no rule");
        let end = mitigation.expires_at.map(|time| format!(", ends {}", age(time, eyes.now)));
        prose.fact(
            "now",
            &format!("{} {}, {flow}{}", mitigation.status, mitigation.mitigation_id, end.unwrap_or_default()),
        );
    }
}

/// The newest events, and what became of each.
fn events(prose: &mut Prose, history: &History) {
    if history.events.is_empty() {
        return;
    }
    let eyes = prose.eyes;
    prose.heading("The newest reports");
    for event in history.events.iter().take(MOST_EVENTS) {
        let when = event.ingested_at.map(|time| age(time, eyes.now)).unwrap_or_default();
        let vector = event.vector.as_deref().unwrap_or("-");
        let over = if event.action == Some(EventAction::Unban) { " is over" } else { "" };
        let became = event.status.as_ref().map(|word| {
            let row = event
                .mitigation_id
                .and_then(|id| history.mitigations.iter().find(|mitigation| mitigation.mitigation_id == id));
            let refused = row.filter(|row| row.status == MitigationStatus::Rejected);
            match refused.and_then(|row| row.guardrail.as_ref()) {
                Some(code) => format!("{word} by guardrail {code}"),
                None => format!("{word}: {}", status(word, None)),
            }
        });
        prose.item(
            Tone::Dim,
            "·",
            &format!("{when:<10} {} {vector}{over}: {}", event.source, became.unwrap_or_default()),
        );
    }
    let more = history.events.len().saturating_sub(MOST_EVENTS);
    if more > 0 {
        prose.item(Tone::Dim, "·", &format!("and {more} older: `prefixdctl history {}`", history.ip));
    }
}
