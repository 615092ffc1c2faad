//! Many at once: what must be decided inside the transaction is.

use crate::test_network::{Attack, Network, NetworkBuilder, discard, udp_flood};
use prefix_client::{EventAnswer, EventStatus, Guardrail, MitigationStatus, Mode};
use prefix_testkit::lab::Change;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_two_hundred_equal_events_at_once_make_one_mitigation() {
    one_mitigation(Network::with_gobgp_4()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_two_hundred_equal_events_at_once_make_one_mitigation() {
    one_mitigation(Network::with_gobgp_4().postgres()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_of_two_hundred_rules_at_once_a_quota_of_fifty_lets_exactly_fifty_in() {
    exactly_the_quota(Network::with_gobgp_4()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_of_two_hundred_rules_at_once_a_quota_of_fifty_lets_exactly_fifty_in() {
    exactly_the_quota(Network::with_gobgp_4().postgres()).await;
}

async fn one_mitigation(network: NetworkBuilder) {
    let net = network.exabgp().start().await;
    let attack = udp_flood("203.0.113.10");
    let answers = all_at_once(&net, vec![attack; 200]).await;

    assert_eq!(count(&answers, &EventStatus::Accepted), 1);
    assert_eq!(count(&answers, &EventStatus::Extended), 199);
    let mitigations = net.mitigations(&[]).await;
    assert_eq!(mitigations.len(), 1, "{mitigations:?}");
    assert!(answers.iter().all(|answer| answer.mitigation_id == Some(mitigations[0].mitigation_id)));
    let stored: std::collections::HashSet<_> = answers.iter().map(|answer| answer.event_id).collect();
    assert_eq!(stored.len(), 200, "each event is stored on its own");

    let rule = discard("0120 cb00710a 038111");
    net.router().sees(&rule).await;
    assert_eq!(net.router().history_of(&rule).len(), 1, "and announced once");
}

async fn exactly_the_quota(network: NetworkBuilder) {
    let net = network.exabgp().setting("quotas.max_active_per_pop", 50).start().await;
    let attacks = (1..=200).map(|host| udp_flood(&format!("203.0.113.{host}"))).collect();
    let answers = all_at_once(&net, attacks).await;

    assert_eq!(count(&answers, &EventStatus::Accepted), 50);
    assert_eq!(count(&answers, &EventStatus::Queued), 150);
    let guardrails = answers.iter().filter_map(|answer| answer.guardrail.as_ref());
    assert!(guardrails.into_iter().all(|code| *code == Guardrail::QuotaPop));
    net.router().holds(50).await;
    let queued = net.mitigations(&[MitigationStatus::Queued]).await;
    assert_eq!(queued.len(), 150);

    let active = net.mitigations(&[MitigationStatus::Active]).await;
    assert_eq!(active.len(), 50);
    let ended = active[7].mitigation_id;
    net.client.withdraw_mitigation(ended, "room for one more", None, Mode::Apply).await.unwrap();

    // The one that waits longest starts, and nobody else.
    let oldest = queued.iter().min_by_key(|one| (one.created_at, one.mitigation_id)).unwrap();
    net.mitigation_becomes(oldest.mitigation_id, &MitigationStatus::Active).await;
    net.router().holds(50).await;
    assert_eq!(net.mitigations(&[MitigationStatus::Queued]).await.len(), 149);
    let updates = net.router().updates();
    let announced = updates.iter().filter(|update| update.change == Change::Announce).count();
    assert_eq!((announced, updates.len()), (51, 52), "fifty came, one went, one came");
}

/// Posts all of them, each on a connection of its own.
async fn all_at_once(net: &Network, attacks: Vec<Attack>) -> Vec<EventAnswer> {
    let mut posts = JoinSet::new();
    for attack in attacks {
        let detector = net.detector.clone();
        posts.spawn(async move { detector.posts(&attack).await });
    }
    posts.join_all().await
}

fn count(answers: &[EventAnswer], status: &EventStatus) -> usize {
    answers.iter().filter(|answer| answer.status == *status).count()
}
