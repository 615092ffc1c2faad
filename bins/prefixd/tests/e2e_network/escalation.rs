//! An attack that goes on meets a stronger rule, in place.

use crate::test_network::{Network, discard, police, udp_flood};
use prefix_client::{EventStatus, MitigationStatus};
use prefix_testkit::lab::{Change, wait};

const UDP_TO_VICTIM: &str = "0120 cb00710a 038111";

const STEPS: [&str; 2] = [
    "{action: police, rate_bps: 8000000, ttl_seconds: 60}",
    "{action: discard, ttl_seconds: 60, require_persistence_seconds: 1, require_confidence_at_least: 0.5}",
];

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_3_a_policing_rule_is_replaced_by_a_discarding_one_without_a_gap() {
    escalates_in_place(Network::with_gobgp_3().exabgp().bird().steps(&STEPS).start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_4_a_policing_rule_is_replaced_by_a_discarding_one_without_a_gap() {
    escalates_in_place(Network::with_gobgp_4().exabgp().bird().steps(&STEPS).start().await).await;
}

async fn escalates_in_place(net: Network) {
    let attack = udp_flood("203.0.113.10");
    let policed = police(8_000_000, UDP_TO_VICTIM);
    let discarded = discard(UDP_TO_VICTIM);

    let answer = net.detector.posts(&attack).await;
    assert_eq!(answer.status, EventStatus::Accepted);
    net.router().sees(&policed).await;

    // It goes on: each report renews the lease, and after a second of persistence the next step is due.
    let id = answer.mitigation_id.unwrap();
    wait::until("the rule to be escalated", wait::PATIENCE, async || {
        let repeated = net.detector.posts(&attack).await;
        assert_eq!((repeated.status, repeated.mitigation_id), (EventStatus::Extended, Some(id)));
        let mitigation = net.mitigation(id).await;
        if mitigation.status == MitigationStatus::Escalated { Ok(()) } else { Err(mitigation.status) }
    })
    .await
    .unwrap();
    net.router().sees(&discarded).await;
    assert_eq!(net.mitigation(id).await.step, 1);

    let history = net.router().history_of(&discarded);
    assert!(history.iter().all(|update| update.change == Change::Announce), "there was a gap: {history:?}");
    assert!(policed.is_announced_by(&history[0]), "it began policed");
    let discards = history.iter().skip_while(|update| policed.is_announced_by(update));
    assert!(discards.into_iter().all(|update| discarded.is_announced_by(update)), "and stayed discarded");

    net.detector.releases(&attack).await;
    net.router().loses(&discarded).await;
    net.router().kept_its_session();
}
