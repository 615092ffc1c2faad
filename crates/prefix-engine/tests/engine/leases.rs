//! Each source holds a rule up by its own claim, and lets go of its own only.

use chrono::DateTime;
use prefix_core::event::{EventStatus, Report, Reports};
use prefix_core::mitigation::{EndReason, Status};
use prefix_core::name::SourceName;

use crate::lab::{Lab, Words, ban, unban};

const UDP: &str = "dst 203.0.113.10/32 proto udp";

#[tokio::test(start_paused = true)]
async fn a_rule_stays_until_the_last_source_has_let_go() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").from("a")).await;
    let answer = lab.hear(ban("203.0.113.10", "udp_flood").from("b")).await;
    assert_eq!((answer.status, answer.mitigation_id), (EventStatus::Extended, Some(id)));
    let answer = lab.hear(unban("203.0.113.10").from("a")).await;
    assert_eq!((answer.status, answer.mitigation_status), (EventStatus::Released, Some(Status::Active)));
    assert_eq!(lab.rules().len(), 1);
    assert!(lab.row(id).await.lease(&"a".parse::<SourceName>().unwrap()).is_none());
    let answer = lab.hear(unban("203.0.113.10").from("b")).await;
    assert_eq!((answer.status, answer.mitigation_status), (EventStatus::Withdrawn, Some(Status::Withdrawn)));
    assert_eq!(lab.rules().len(), 0);
}

/// A source that repeats itself faster than storage commits costs one change of the row for all that waited together.
#[tokio::test(start_paused = true)]
async fn repeats_that_wait_together_change_the_row_once_and_each_is_stored_counted_and_answered() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let before = lab.row(id).await;
    lab.seconds(61).await;
    lab.store.pause();
    let asks = (0..100).map(|_| lab.hear(ban("203.0.113.10", "udp_flood")));
    let resume = async {
        lab.settle().await;
        lab.store.resume();
    };
    let (answers, ()) = tokio::join!(futures::future::join_all(asks), resume);
    let events: std::collections::BTreeSet<_> = answers.iter().map(|answer| answer.event_id).collect();
    assert!(answers.iter().all(|answer| answer.status == EventStatus::Extended));
    assert!(events.iter().all(|event| lab.store.holds_event(*event)));
    assert_eq!((events.len(), lab.store.all_events().len()), (100, 101));
    // the first one found an idle store, and those after it came together
    let changes = lab.row(id).await.revision - before.revision;
    assert!(changes <= 2, "{changes} changes of the row");
    lab.seconds(61).await;
    lab.hear(ban("203.0.113.10", "udp_flood")).await;
    let counted =
        lab.audited("extend").iter().map(|entry| entry.details["reports"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(counted, 101, "each is in the audit log");
}

#[tokio::test(start_paused = true)]
async fn a_source_cannot_release_what_another_holds() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").from("a").episode("x")).await;
    assert_eq!(lab.hear(unban("203.0.113.10").from("b").episode("x")).await.status, EventStatus::NotFound);
    assert_eq!(lab.hear(unban("203.0.113.10").from("b")).await.status, EventStatus::NotFound);
    assert_eq!(lab.status(id).await, Status::Active);
}

#[tokio::test(start_paused = true)]
async fn an_unban_of_something_that_ended_is_known_and_one_of_something_unheard_is_not() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood").episode("x")).await;
    lab.seconds(130).await;
    let known = EventStatus::NoActiveMitigation;
    assert_eq!(lab.hear(unban("203.0.113.10").episode("x")).await.status, known);
    assert_eq!(lab.hear(unban("203.0.113.10")).await.status, known);
    assert_eq!(lab.hear(unban("203.0.113.10").episode("y")).await.status, EventStatus::NotFound);
    assert_eq!(lab.hear(unban("203.0.113.11")).await.status, EventStatus::NotFound);
    assert_eq!(lab.store.all_events().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_source_with_two_episodes_holds_until_the_last_has_ended() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("one")).await;
    assert_eq!(lab.mitigate(ban("203.0.113.10", "udp_flood").episode("two")).await, id);
    let answer = lab.hear(unban("203.0.113.10").episode("one")).await;
    assert_eq!((answer.status, answer.mitigation_id), (EventStatus::Released, Some(id)));
    assert_eq!(lab.status(id).await, Status::Active);
    assert_eq!(lab.hear(unban("203.0.113.10").episode("two")).await.status, EventStatus::Withdrawn);
}

#[tokio::test(start_paused = true)]
async fn an_unban_without_episode_releases_every_lease_of_the_source_there() {
    let lab = Lab::usual().await;
    let udp = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("one")).await;
    let syn = lab.mitigate(ban("203.0.113.10", "syn_flood").episode("two")).await;
    let answer = lab.hear(unban("203.0.113.10")).await;
    assert_eq!((answer.status, answer.mitigation_id), (EventStatus::Withdrawn, Some(syn)));
    let touched: Vec<_> =
        answer.mitigations.iter().map(|one| (one.mitigation_id, one.mitigation_status)).collect();
    assert_eq!(touched, [(udp, Status::Withdrawn), (syn, Status::Withdrawn)]);
}

#[tokio::test(start_paused = true)]
async fn an_unban_with_a_vector_releases_only_that() {
    let lab = Lab::usual().await;
    let udp = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let syn = lab.mitigate(ban("203.0.113.10", "syn_flood")).await;
    lab.hear(unban("203.0.113.10").of("syn_flood")).await;
    assert_eq!((lab.status(udp).await, lab.status(syn).await), (Status::Active, Status::Withdrawn));
}

/// Port 0 alone made a rule of fragments of it; its end names what was reported, and no id.
#[tokio::test(start_paused = true)]
async fn an_unban_finds_what_counted_as_fragments_by_the_vector_that_was_reported() {
    let lab = Lab::usual().await;
    let note = prefix_core::event::note_of_fragments(&"udp_flood".parse().unwrap());
    let counted = Report { unread: vec![note], ..ban("203.0.113.10", "fragment_flood") };
    let id = lab.mitigate(counted).await;
    let syn = lab.hear(unban("203.0.113.10").of("syn_flood")).await;
    assert_eq!((syn.status, lab.status(id).await), (EventStatus::NoActiveMitigation, Status::Active));
    let over = lab.hear(unban("203.0.113.10").of("udp_flood")).await;
    assert_eq!((over.status, over.mitigation_id), (EventStatus::Withdrawn, Some(id)));
    let plain = lab.mitigate(ban("203.0.113.11", "fragment_flood")).await;
    lab.hear(unban("203.0.113.11").of("udp_flood")).await;
    assert_eq!(lab.status(plain).await, Status::Active, "reported as fragments");
}

#[tokio::test(start_paused = true)]
async fn an_episode_that_comes_back_after_its_end_is_a_new_one() {
    let lab = Lab::usual().await;
    let first = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("x")).await;
    lab.hear(unban("203.0.113.10").episode("x")).await;
    let answer = lab.hear(ban("203.0.113.10", "udp_flood").episode("x")).await;
    assert_eq!(answer.status, EventStatus::Accepted);
    assert_ne!(answer.mitigation_id, Some(first));
}

#[tokio::test(start_paused = true)]
async fn one_episode_can_hold_several_rules_and_its_end_ends_them_all() {
    let lab = Lab::usual().await;
    let ntp = lab.mitigate(ban("203.0.113.10", "ntp_amplification").episode("alert-77")).await;
    let syn = lab.mitigate(ban("203.0.113.10", "syn_flood").episode("alert-77")).await;
    assert_ne!(ntp, syn);
    assert_eq!(lab.rules().len(), 2);
    let other = lab.mitigate(ban("203.0.113.10", "icmp_flood").episode("alert-78")).await;
    let answer = lab.hear(unban("203.0.113.10").episode("alert-77")).await;
    let touched: Vec<_> =
        answer.mitigations.iter().map(|one| (one.mitigation_id, one.mitigation_status)).collect();
    assert_eq!(touched, [(ntp, Status::Withdrawn), (syn, Status::Withdrawn)]);
    assert_eq!(lab.status(other).await, Status::Active);
}

/// By the clock of the source: another Alertmanager tells again of an attack that is over.
#[tokio::test(start_paused = true)]
async fn a_late_copy_of_an_ended_episode_holds_for_one_ttl() {
    let lab = Lab::with("sources: {am: {reports: edge, edge_hold_seconds: 3600}}").await;
    let began = |second: i64| Report {
        timestamp: DateTime::from_timestamp(second, 0).unwrap(),
        reports: Some(Reports::Edge),
        ..ban("203.0.113.10", "udp_flood").from("am").episode("f")
    };
    let over = |second: i64| Report {
        ended_at: DateTime::from_timestamp(second, 0),
        ..unban("203.0.113.10").from("am").episode("f")
    };
    let id = lab.mitigate(began(100)).await;
    // a moment passes until the rule is confirmed
    let holds = async |id| ((lab.row(id).await.expires_at - lab.now()).num_seconds() + 5) / 10 * 10;
    assert_eq!(holds(id).await, 3_600);
    assert_eq!(lab.hear(over(150)).await.status, EventStatus::Withdrawn);
    lab.hear(over(140)).await;
    for second in [100, 150] {
        let late = lab.hear(began(second)).await;
        let id = late.mitigation_id.unwrap();
        assert_eq!((holds(id).await, lab.row(id).await.leases[0].edge), (120, false));
        lab.seconds(60).await;
        assert_eq!(lab.hear(began(second)).await.status, EventStatus::Extended);
        assert_eq!(holds(id).await, 120, "it comes again");
        lab.seconds(125).await;
        assert_eq!(lab.status(id).await, Status::Expired);
    }
    let late = lab.hear(began(150)).await.mitigation_id.unwrap();
    assert_eq!(lab.hear(began(151)).await.mitigation_id, Some(late));
    assert_eq!(holds(late).await, 3_600, "it began after the end: a new attack");
    lab.hear(began(100)).await;
    assert_eq!((holds(late).await, lab.row(late).await.leases[0].edge), (3_600, true), "never shortened");
}

#[tokio::test(start_paused = true)]
async fn an_episode_id_reused_for_another_victim_is_a_separate_episode() {
    let lab = Lab::usual().await;
    let first = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("x")).await;
    let second = lab.mitigate(ban("203.0.113.11", "udp_flood").episode("x")).await;
    assert_ne!(first, second);
    lab.hear(unban("203.0.113.11").episode("x")).await;
    assert_eq!((lab.status(first).await, lab.status(second).await), (Status::Active, Status::Withdrawn));
}

/// Alertmanager's fingerprint, FastNetMon's uuid: the end names another victim than the beginning, or none.
#[tokio::test(start_paused = true)]
async fn an_end_whose_id_is_never_used_twice_ends_every_claim_wherever_it_is() {
    let lab = Lab::usual().await;
    let edge = |report: Report| Report { reports: Some(Reports::Edge), ..report }.from("am").episode("f");
    let first = lab.mitigate(edge(ban("203.0.113.10", "udp_flood"))).await;
    let second = lab.mitigate(edge(ban("203.0.113.11", "syn_flood"))).await;
    let of_others = lab.mitigate(edge(ban("203.0.113.12", "udp_flood")).from("am-2")).await;
    let another = lab.mitigate(edge(ban("203.0.113.13", "udp_flood")).episode("g")).await;
    lab.hear(ban("203.0.113.10", "udp_flood").from("flow")).await;
    let answer = lab.hear(edge(unban("0.0.0.0"))).await;
    assert_eq!((answer.status, answer.mitigation_id), (EventStatus::Withdrawn, Some(second)));
    let touched: Vec<_> = answer.mitigations.iter().map(|one| (one.mitigation_id, one.status)).collect();
    assert_eq!(touched, [(first, EventStatus::Released), (second, EventStatus::Withdrawn)]);
    let said: Vec<_> = answer.decision.trace.iter().map(|entry| entry.detail.clone()).collect();
    assert!(
        said.iter().any(|text| text.contains("reported for 203.0.113.11, and ends there too")),
        "{said:?}"
    );
    assert_eq!((lab.status(first).await, lab.status(second).await), (Status::Active, Status::Withdrawn));
    assert_eq!((lab.status(of_others).await, lab.status(another).await), (Status::Active, Status::Active));
    assert_eq!(lab.hear(edge(unban("203.0.113.14"))).await.status, EventStatus::NoActiveMitigation);
    assert_eq!(lab.hear(edge(unban("0.0.0.0")).episode("h")).await.status, EventStatus::NotFound);
}

/// Beginning and end wait together for storage: what is not committed yet is found all the same.
#[tokio::test(start_paused = true)]
async fn an_end_finds_the_claim_of_a_report_that_it_waited_with() {
    let lab = Lab::usual().await;
    let edge = |report: Report| Report { reports: Some(Reports::Edge), ..report }.from("am").episode("f");
    lab.store.pause();
    // one that is under way, so that the next two wait
    let before = lab.hear(ban("203.0.113.20", "udp_flood"));
    let began = lab.hear(edge(ban("203.0.113.10", "udp_flood")));
    let over = lab.hear(edge(unban("0.0.0.0")));
    let resume = async {
        lab.settle().await;
        lab.store.resume();
    };
    let (_, began, over, ()) = tokio::join!(before, began, over, resume);
    assert_eq!((over.status, over.mitigation_id), (EventStatus::Withdrawn, began.mitigation_id));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_reports_only_edges_holds_until_its_unban() {
    let lab = Lab::with("sources: {probe: {reports: edge, edge_hold_seconds: 1800}}").await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").from("probe")).await;
    assert_eq!(lab.row(id).await.expires_at - lab.now(), chrono::TimeDelta::seconds(1_800));
    for _ in 0..17 {
        lab.seconds(100).await;
        let ahead = lab.not_after(UDP) - lab.now();
        let bounds = chrono::TimeDelta::seconds(59)..=chrono::TimeDelta::seconds(121);
        assert!(bounds.contains(&ahead), "the wire promises no more than one TTL: {ahead}");
    }
    assert_eq!(lab.hear(unban("203.0.113.10").from("probe")).await.status, EventStatus::Withdrawn);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_forgets_its_unban_holds_no_longer_than_configured() {
    let lab = Lab::with("sources: {probe: {reports: edge, edge_hold_seconds: 600}}").await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").from("probe")).await;
    lab.seconds(599).await;
    assert_eq!(lab.status(id).await, Status::Active);
    lab.seconds(2).await;
    let row = lab.row(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Expired, Some(EndReason::Ttl)));
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_source_that_fell_silent_lapses_and_the_others_hold_on() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").from("a")).await;
    for _ in 0..5 {
        lab.seconds(60).await;
        lab.hear(ban("203.0.113.10", "udp_flood").from("b")).await;
    }
    let holders: Vec<String> =
        lab.row(id).await.leases.iter().map(|lease| lease.source.to_string()).collect();
    assert_eq!(holders, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn repeats_with_other_ports_do_not_change_a_running_rule() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").ports(&[80]).episode("x")).await;
    let answer = lab.hear(ban("203.0.113.10", "udp_flood").ports(&[443]).episode("x")).await;
    assert_eq!((answer.status, answer.mitigation_id), (EventStatus::Extended, Some(id)));
    assert_eq!(lab.rules(), [format!("{UDP} dport =80: police 50000000 bit/s")]);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_covers_the_wanted_one_does_its_work() {
    let lab = Lab::usual().await;
    let wide = lab.mitigate(ban("203.0.113.10", "udp_flood").from("a")).await;
    let answer = lab.hear(ban("203.0.113.10", "udp_flood").from("b").ports(&[443])).await;
    assert_eq!((answer.status, answer.mitigation_id), (EventStatus::Extended, Some(wide)));
    assert_eq!(lab.rules().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wider_report_than_the_running_rule_makes_a_rule_of_its_own() {
    let lab = Lab::usual().await;
    let narrow = lab.mitigate(ban("203.0.113.10", "udp_flood").ports(&[443])).await;
    let wide = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    assert_ne!(narrow, wide);
    assert_eq!(lab.rules().len(), 2);
    // routers apply the more specific rule first, which takes some packets of the wider one away
    assert_eq!(lab.engine.mitigation(wide).await.unwrap().shadowed_by, Some(narrow));
    assert_eq!(lab.engine.mitigation(narrow).await.unwrap().shadowed_by, None);
}
