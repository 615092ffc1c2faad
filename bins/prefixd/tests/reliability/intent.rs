//! What is written down against what routers hold.

use crate::reliability::posters::Ledger;
use crate::test_network::{Network, drop_by_hand};
use prefix_client::{EventQuery, MitigationId, MitigationStatus, Mode};
use prefix_testkit::lab::{RouterUpdate, wait};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The owner tag of a configuration that names none (`bgp.owner_tag`).
const OWNER_TAG: u32 = 8955;

/// Statuses of a mitigation whose rule is to be in the routers.
pub(crate) const LIVING: [MitigationStatus; 3] =
    [MitigationStatus::Pending, MitigationStatus::Active, MitigationStatus::Escalated];

/// Statuses of a mitigation that something is still to happen to.
pub(crate) const UNFINISHED: [MitigationStatus; 5] = [
    MitigationStatus::Queued,
    MitigationStatus::Pending,
    MitigationStatus::Active,
    MitigationStatus::Escalated,
    MitigationStatus::Withdrawing,
];

/// Whether a path carries the owner community of prefixd, whichever pop's.
pub(crate) fn is_own(update: &RouterUpdate) -> bool {
    update.attributes.large_communities.iter().any(|&[_, tag, _]| tag == OWNER_TAG)
}

/// The not-after that an own path carries, in Unix seconds.
pub(crate) fn not_after(update: &RouterUpdate) -> Option<u32> {
    update.attributes.large_communities.iter().find(|[_, tag, _]| *tag == OWNER_TAG + 1).map(|tags| tags[2])
}

/// The own rules that the router holds, each as its components in hex.
pub(crate) fn own_rules(net: &Network) -> BTreeSet<String> {
    net.router().rib().iter().filter(|update| is_own(update)).map(RouterUpdate::nlri_hex).collect()
}

/// Waits until the router holds exactly the own rules that are written down, and everything written down is confirmed.
/// Returns how many there are.
pub(crate) async fn router_equals_intent(net: &Network, patience: Duration) -> usize {
    let equal = wait::until("the router to hold exactly what is written down", patience, async || {
        let unsettled = net.mitigations(&[MitigationStatus::Pending, MitigationStatus::Withdrawing]).await;
        let living = net.mitigations(&LIVING).await;
        let nlri = living.iter().map(|one| one.nlri.as_deref().expect("a living rule")).collect::<Vec<_>>();
        // The API's text begins with the length octet (rules of tests are short), the router's does not.
        let intended: BTreeSet<String> = nlri.iter().map(|nlri| nlri[2..].to_owned()).collect();
        assert_eq!(intended.len(), living.len(), "two living mitigations have the same rule");
        let held = own_rules(net);
        if unsettled.is_empty() && intended == held {
            return Ok(held.len());
        }
        Err(format!(
            "{} unsettled rows, {} rules only written down, {} only in the router, {} in both",
            unsettled.len(),
            intended.difference(&held).count(),
            held.difference(&intended).count(),
            intended.intersection(&held).count()
        ))
    });
    equal.await.unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()))
}

/// Panics unless each acknowledged event is stored, once, however often it had to be sent, and nothing else is.
pub(crate) async fn assert_nothing_lost(net: &Network, ledger: &Ledger) {
    let stored = stored_events(net).await;
    let acknowledged = ledger.by_event();
    let lost: Vec<_> = acknowledged.values().filter(|one| !stored.contains_key(&one.event_id)).collect();
    assert!(lost.is_empty(), "{} acknowledged events are lost, like {:?}", lost.len(), lost[0]);
    assert_eq!(acknowledged.len(), ledger.acknowledged.len(), "two posts were answered with the same event");
    assert_eq!(stored.len(), acknowledged.len(), "an event is stored twice, or stored and never answered");
    for one in &ledger.acknowledged {
        assert_eq!(stored[&one.event_id].as_deref(), Some(one.episode.as_str()), "{one:?}");
    }
}

/// Every stored event: our id, and the detector's.
async fn stored_events(net: &Network) -> BTreeMap<String, Option<String>> {
    let mut query = EventQuery::default();
    query.page.limit = Some(1000);
    let mut pages = net.client.all_events(&query);
    let mut stored = BTreeMap::new();
    while let Some(page) = pages.next_page().await.unwrap_or_else(|error| panic!("{error}")) {
        for event in page.value.items {
            let twice = stored.insert(event.event_id.to_string(), event.external_event_id);
            assert!(twice.is_none(), "an event is listed twice: {}", event.event_id);
        }
    }
    stored
}

/// The most own rules that the router held at once, over the whole test.
pub(crate) fn peak_of_own_rules(updates: &[RouterUpdate]) -> usize {
    let (mut held, mut peak) = (BTreeSet::new(), 0);
    for update in updates {
        let key = (update.family, &update.nlri);
        if update.is_announcement() && is_own(update) {
            held.insert(key);
        } else {
            held.remove(&key);
        }
        peak = peak.max(held.len());
    }
    peak
}

/// How long after its not-after each own rule left the router, in seconds; negative when it left before its time. A rule
/// that was renewed counts from the renewal.
pub(crate) fn overtimes(updates: &[RouterUpdate]) -> Vec<f64> {
    let (mut held, mut found) = (BTreeMap::new(), Vec::new());
    for update in updates {
        let key = (update.family, &update.nlri);
        if update.is_announcement() {
            if is_own(update) {
                held.insert(key, not_after(update).expect("an own rule says its not-after"));
            }
        } else if let Some(until) = held.remove(&key) {
            found.push(update.at - f64::from(until));
        }
    }
    assert!(held.is_empty(), "{} rules have not left", held.len());
    found
}

/// How long after its not-after the router still held a rule, in seconds: the worst over the whole test, negative when
/// every rule that left or was renewed was so before its time.
pub(crate) fn worst_overtime(updates: &[RouterUpdate]) -> f64 {
    let (mut held, mut worst) = (BTreeMap::new(), f64::NEG_INFINITY);
    for update in updates {
        let key = (update.family, &update.nlri);
        let before = if update.is_announcement() && is_own(update) {
            held.insert(key, not_after(update).expect("an own rule says its not-after"))
        } else {
            held.remove(&key)
        };
        if let Some(until) = before {
            worst = f64::max(worst, update.at - f64::from(until));
        }
    }
    worst
}

/// Waits until every audit entry is sealed, and panics unless the chain is whole. Returns its length.
pub(crate) async fn chain_is_whole(net: &Network) -> u64 {
    let sealed = wait::until("all audit entries to be sealed", wait::PATIENCE, async || {
        let page = net.raw.get("/v1/audit?limit=1000").await.map_err(|error| error.to_string())?.json();
        let entries = page["entries"].as_array().ok_or_else(|| page.to_string())?;
        let open = entries.iter().filter(|entry| entry["hash"].is_null()).count();
        if open == 0 { Ok(()) } else { Err(format!("{open} entries are open")) }
    });
    sealed.await.unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
    let verdict = net.raw.get("/v1/audit/verify").await.unwrap().json();
    assert_eq!(verdict["valid"], true, "{verdict}");
    let (checked, last) = (verdict["checked"].as_u64(), verdict["last_seq"].as_u64());
    assert!(checked.is_some_and(|checked| checked > 0) && checked == last, "{verdict}");
    checked.unwrap_or_default()
}

/// An operator's rule that drops UDP to `victim` for so long.
pub(crate) async fn by_hand(net: &Network, victim: &str, ttl: Duration) -> MitigationId {
    let mut rule = drop_by_hand(victim, "udp", "a test");
    rule.ttl_seconds = Some(ttl.as_secs());
    let made = net.client.create_mitigation(&rule, Mode::Apply).await;
    let made = made.unwrap_or_else(|error| panic!("{error}")).value;
    made.result().expect("not a rehearsal").mitigation_id
}
