//! Health: degraded when something fails that somebody must mend, and it says what.

use prefix_core::announcer::{AfiSafi, Peer, SessionState};
use prefix_engine::Health;

use crate::lab::{Lab, alice, ban};

async fn problems(lab: &Lab) -> (bool, Vec<String>) {
    let Health { degraded, problems, .. } = lab.engine.health().await;
    (degraded, problems)
}

#[tokio::test(start_paused = true)]
async fn all_is_well_with_storage_speaker_and_guard() {
    let lab = Lab::usual().await;
    assert_eq!(problems(&lab).await, (false, Vec::new()));
    let health = lab.engine.health().await;
    assert!(health.guard.is_some_and(|guard| guard.alive));
    assert!(health.leader.is_leader && !health.panic_frozen);
}

#[tokio::test(start_paused = true)]
async fn storage_speaker_sessions_and_guard_are_each_named_when_they_fail() {
    let lab = Lab::with("neighbors: [192.0.2.1]").await;
    let (degraded, list) = problems(&lab).await;
    assert!(degraded && list == ["no BGP session is established: no router receives rules"], "{list:?}");
    let address = "192.0.2.1".parse().unwrap();
    let state = SessionState::Established;
    let families = vec![AfiSafi::Ipv4Flowspec];
    lab.speaker.set_peers(vec![Peer { address, asn: 64_501, state, uptime: None, families }]);
    assert_eq!(problems(&lab).await, (false, Vec::new()));

    lab.guard.die();
    let (degraded, list) = problems(&lab).await;
    assert!(degraded && list.len() == 1 && list[0].starts_with("no guard is alive"), "{list:?}");
    lab.store.set_down(true);
    let (_, list) = problems(&lab).await;
    assert!(list.len() == 2 && list[0].starts_with("storage: "), "{list:?}");
    lab.store.set_down(false);
    lab.speaker.disconnect("cable");
    lab.seconds(1).await;
    let (degraded, list) = problems(&lab).await;
    assert!(degraded && list[0] == "speaker: cable", "{list:?}");
}

#[tokio::test(start_paused = true)]
async fn in_dry_run_nobody_needs_a_guard() {
    let lab = Lab::with("dry_run: true").await;
    lab.guard.die();
    assert_eq!(problems(&lab).await, (false, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_panic_shows_in_health() {
    let lab = Lab::usual().await;
    let request = prefix_engine::PanicRequest { reason: "test".into(), pop: None, customer_id: None };
    lab.engine.panic(request, &alice()).await.unwrap();
    assert!(lab.engine.health().await.panic_frozen);
    lab.engine.thaw("over", None, &alice()).await.unwrap();
    assert!(!lab.engine.health().await.panic_frozen);
}

#[tokio::test(start_paused = true)]
async fn rules_stay_at_a_stop_only_if_a_guard_ends_them_in_time() {
    for (guarded, rules) in [(true, 1), (false, 0)] {
        let lab = Lab::with("preserve_announcements: true").await;
        lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
        if !guarded {
            lab.guard.die();
        }
        lab.engine.shutdown().await;
        assert_eq!(lab.rules().len(), rules, "guarded: {guarded}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_router_cannot_do_with_a_rule_is_told_and_not_hidden() {
    let lab = Lab::with("{neighbors: [192.0.2.1], profile: frr}").await;
    let id = lab.mitigate(ban("203.0.113.7", "udp_flood")).await;
    let warnings = lab.engine.mitigation(id).await.unwrap().mitigation.warnings;
    assert!(
        warnings.iter().any(|text| text.starts_with("router-192.0.2.1 (frr): does not apply a rate")),
        "{warnings:?}"
    );
    let unstored = lab.row(id).await.warnings;
    assert!(unstored.iter().all(|text| !text.contains("frr")), "what the configuration says is not stored");
}

#[tokio::test(start_paused = true)]
async fn a_router_whose_memory_is_too_small_is_named() {
    let lab = Lab::with("{neighbors: [192.0.2.1], profile: iosxr, max_entries: 16}").await;
    let address = "192.0.2.1".parse().unwrap();
    let families = vec![AfiSafi::Ipv4Flowspec];
    let peer = Peer { address, asn: 64_501, state: SessionState::Established, uptime: None, families };
    lab.speaker.set_peers(vec![peer]);
    // everything but port 53 is a range on both sides of it: 16 blocks
    lab.mitigate(ban("203.0.113.53", "udp_flood")).await;
    let router = lab.engine.peers().await.remove(0).router;
    assert_eq!((router.entries, router.max_entries, router.problems.len()), (16, Some(16), 0), "{router:?}");
    assert_eq!(problems(&lab).await, (false, Vec::new()));

    lab.mitigate(ban("203.0.113.8", "udp_flood")).await;
    let router = lab.engine.peers().await.remove(0).router;
    assert_eq!(router.entries, 17);
    assert!(router.problems[0].contains("17 entries, max_entries is 16"), "{router:?}");
    let (degraded, list) = problems(&lab).await;
    assert!(
        !degraded && list.len() == 1 && list[0].starts_with("router router-192.0.2.1 (iosxr)"),
        "{list:?}"
    );
}
