//! People and detectors take rules away again, and forbid them.

use crate::test_network::{Network, discard, drop_by_hand, udp_flood};
use prefix_client::{EndReason, EventStatus, Guardrail, MitigationStatus, Mode, NewSafelistEntry, Outcome};

const UDP_TO_VICTIM: &str = "0120 cb00710a 038111";

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_stays_until_the_last_detector_calls_the_attack_over() {
    let net = Network::with_gobgp_4().exabgp().start().await;
    let (attack, rule) = (udp_flood("203.0.113.10"), discard(UDP_TO_VICTIM));
    let other = net.detector.named("sflow");
    let first = net.detector.posts(&attack.clone().episode("a-1")).await;
    let second = other.posts(&attack).await;
    assert_eq!((second.status, second.mitigation_id), (EventStatus::Extended, first.mitigation_id));
    net.router().sees(&rule).await;

    assert_eq!(net.detector.releases(&attack.clone().episode("a-1")).await.status, EventStatus::Released);
    assert!(net.router().has(&rule), "the other detector still reports");
    // A source can only release its own leases.
    assert_eq!(net.detector.named("stranger").releases(&attack).await.status, EventStatus::NotFound);
    assert_eq!(other.releases(&attack).await.status, EventStatus::Withdrawn);
    net.router().loses(&rule).await;
    let ended = net.mitigation_becomes(first.mitigation_id.unwrap(), &MitigationStatus::Withdrawn).await;
    assert_eq!(ended.end_reason, Some(EndReason::DetectorUnban));
    assert_eq!(other.releases(&attack).await.status, EventStatus::NoActiveMitigation);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_attack_after_its_end_is_a_new_episode() {
    let net = Network::with_gobgp_4().exabgp().start().await;
    let (attack, rule) = (udp_flood("203.0.113.10").episode("a-1"), discard(UDP_TO_VICTIM));
    let first = net.detector.posts(&attack).await;
    assert_eq!(net.detector.posts(&attack).await.status, EventStatus::Extended);
    net.detector.releases(&attack).await;
    net.router().loses(&rule).await;
    let second = net.detector.posts(&attack).await;
    assert_eq!(second.status, EventStatus::Accepted);
    assert_ne!(second.mitigation_id, first.mitigation_id);
    net.router().sees(&rule).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_withdraw_wins_over_detectors_that_go_on() {
    let net = Network::with_gobgp_4().exabgp().start().await;
    let (attack, rule) = (udp_flood("203.0.113.10"), discard(UDP_TO_VICTIM));
    let id = net.detector.posts(&attack).await.mitigation_id.unwrap();
    net.router().sees(&rule).await;

    net.client.withdraw_mitigation(id, "customer called", None, Mode::Apply).await.unwrap();
    net.router().loses(&rule).await;
    let ended = net.mitigation_becomes(id, &MitigationStatus::Withdrawn).await;
    assert_eq!(ended.end_reason, Some(EndReason::Operator));
    assert!(ended.reason.unwrap().contains("customer called"));

    let again = net.detector.posts(&attack).await;
    assert_eq!(
        (again.status, again.guardrail.as_ref().map(Guardrail::as_str)),
        (EventStatus::Queued, Some("quiet_period"))
    );
    assert_eq!(net.router().history_of(&rule).len(), 2, "it came and went, and did not come again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_safelisted_address_loses_its_rules_and_gets_no_new_ones() {
    let net = Network::with_gobgp_4().exabgp().start().await;
    let (attack, rule) = (udp_flood("203.0.113.10"), discard(UDP_TO_VICTIM));
    let outside = udp_flood("203.0.113.200");
    let id = net.detector.posts(&attack).await.mitigation_id.unwrap();
    net.detector.posts(&outside).await;
    net.router().holds(2).await;

    let entry = NewSafelistEntry {
        prefix: "203.0.113.0/28".parse().unwrap(),
        reason: Some("probes".to_owned()),
        expires_at: None,
    };
    let added = net.client.add_to_safelist(&entry, Mode::Apply).await.unwrap().value;
    let Outcome::Done(added) = added else { panic!("{added:?}") };
    assert_eq!(added.withdrawn_mitigations, [id]);
    net.router().loses(&rule).await;
    net.router().holds(1).await;
    let ended = net.mitigation_becomes(id, &MitigationStatus::Withdrawn).await;
    assert_eq!(ended.end_reason, Some(EndReason::Safelist));

    let refused = net.detector.tries(&attack).await.unwrap_err();
    let problem = refused.problem().unwrap();
    assert_eq!(
        (problem.status, problem.guardrail.as_ref().map(Guardrail::as_str)),
        (422, Some("safelisted"))
    );
    assert!(problem.detail.contains("203.0.113.0/28"), "{}", problem.detail);

    net.client.remove_from_safelist(entry.prefix, Mode::Apply).await.unwrap();
    assert_eq!(net.detector.posts(&attack).await.status, EventStatus::Accepted);
    net.router().sees(&rule).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_made_by_hand_is_taken_literally_and_still_guarded() {
    let net = Network::with_gobgp_4().exabgp().start().await;
    let mut by_hand = drop_by_hand("203.0.113.10", "tcp", "bots on the web shop");
    by_hand.dst_ports = vec![443.into(), 80.into()];
    by_hand.tcp_flags = vec!["syn".to_owned(), "!ack".to_owned()];
    let made = net.client.create_mitigation(&by_hand, Mode::Apply).await.unwrap();
    assert_eq!(made.status, 201);
    // =80 or =443; SYN and not ACK.
    net.router().sees(&discard("0120 cb00710a 038106 05 0150 9101bb 09 0102 c210")).await;

    by_hand.victim_ip = "192.0.2.1".parse().unwrap();
    let refused = net.client.create_mitigation(&by_hand, Mode::Apply).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().guardrail.as_ref().map(Guardrail::as_str), Some("not_owned"));
    by_hand.victim_ip = "203.0.113.10".parse().unwrap();
    by_hand.dst_ports = vec![179.into()];
    let refused = net.client.create_mitigation(&by_hand, Mode::Apply).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().guardrail.as_ref().map(Guardrail::as_str), Some("control_plane"));
    net.router().holds(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_changes_nothing() {
    let net = Network::with_gobgp_4().exabgp().start().await;
    let rule = discard(UDP_TO_VICTIM);
    let id = net.detector.posts(&udp_flood("203.0.113.10")).await.mitigation_id.unwrap();
    net.router().sees(&rule).await;

    let rehearsed = net.client.withdraw_mitigation(id, "only a question", None, Mode::DryRun).await.unwrap();
    assert!(rehearsed.value.is_rehearsal());
    let by_hand = drop_by_hand("203.0.113.99", "udp", "only a question");
    assert!(net.client.create_mitigation(&by_hand, Mode::DryRun).await.unwrap().value.is_rehearsal());

    // A rule that does come shows that the others would have.
    net.detector.posts(&udp_flood("203.0.113.11")).await;
    net.router().holds(2).await;
    assert_eq!(net.mitigation(id).await.status, MitigationStatus::Active);
    assert_eq!(net.mitigations(&[]).await.len(), 2);
    assert_eq!(net.router().updates().len(), 2);
}
