//! What every implementation of the Announcer port promises, so that the fake can never lie.
//!
//! [`announcer_contract!`](macro@crate::announcer_contract) makes one test of each promise. A promise wants an
//! announcer that is connected to a speaker of its own, with an empty table.
#![allow(missing_docs, reason = "the names of the tests say what is promised")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "these are tests")]

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use prefix_core::Announcer;
use prefix_core::address::Prefix;
use prefix_core::announcer::{AnnounceError, OwnPath, RibPath, Route, SpeakerEvent};
use prefix_core::flowspec::{Action, Dscp, RouteKey, Rule};
use prefix_core::ownership::{MitigationTag, NotAfter, Ownership, Tags};

/// One test for each promise. The expression is awaited in each and gives the announcer, and whatever must outlive it.
///
/// ```ignore
/// mod the_fake {
///     prefix_testkit::announcer_contract!(async { (MemoryAnnouncer::new(), ()) });
/// }
/// ```
#[macro_export]
macro_rules! announcer_contract {
    ($fresh:expr) => {
        $crate::announcer_contract!(@tests $fresh;
            every_kind_of_path_is_listed_as_announced
            announcing_again_replaces_action_and_tags_in_place
            a_route_has_one_identity_however_it_was_written
            a_withdrawal_takes_that_route_and_no_other
            withdrawing_what_is_not_there_is_no_error
            no_changes_are_no_results
            single_routes_are_found_in_the_order_asked
            a_path_that_cannot_be_sent_is_refused_and_the_others_are_announced
            results_come_in_the_order_of_many_paths
            a_watch_begins_with_connected_and_tells_every_change
            two_watches_tell_the_same
            a_speaker_without_neighbors_has_no_peers
        );
    };
    (@tests $fresh:expr; $($promise:ident)*) => { $(
        #[tokio::test]
        async fn $promise() {
            let (announcer, _speaker) = $fresh.await;
            $crate::announcer_contract::$promise(&announcer).await;
        }
    )* };
}

/// A rule with an action and tags.
pub fn own_rule(rule: &str, action: Action, mitigation: u32) -> OwnPath {
    let rule: Rule = rule.parse().unwrap_or_else(|error| panic!("{rule}: {error}"));
    OwnPath { route: Route::FlowSpec(Box::new(rule)), action, tags: tags(mitigation) }
}

/// A black hole with tags.
pub fn own_blackhole(prefix: &str, mitigation: u32) -> OwnPath {
    let prefix: Prefix = prefix.parse().unwrap();
    OwnPath { route: Route::Blackhole(prefix), action: Action::Rtbh, tags: tags(mitigation) }
}

fn tags(mitigation: u32) -> Tags {
    Tags { not_after: NotAfter(1_800_000_000 + mitigation), mitigation: MitigationTag(mitigation) }
}

fn police(megabits: u64) -> Action {
    Action::police(Some((megabits * 1_000_000).try_into().unwrap()), None).unwrap()
}

/// Every action, and the components that prefixd uses, in both families; each path has a destination of its own.
fn every_kind() -> Vec<OwnPath> {
    let packets = Action::police(None, Some(5_000.try_into().unwrap())).unwrap();
    let both = Action::police(Some(8_000.try_into().unwrap()), Some(1.try_into().unwrap())).unwrap();
    let rules = [
        ("dst 203.0.113.1/32", Action::Discard),
        ("dst 203.0.113.2/32 proto udp dport <53|>53&<123|>123", police(10)),
        ("dst 203.0.113.3/32 proto udp sport =53", packets),
        ("dst 203.0.113.4/32 proto tcp flags syn&!ack", both),
        ("dst 203.0.113.5/32 proto icmp icmp-type =8", Action::Mark(Dscp::new(8).unwrap())),
        ("dst 203.0.113.6/32 frag is_fragment", Action::Redirect("65000:100".parse().unwrap())),
        (
            "dst 203.0.113.7/32 proto udp len >=20&<=100 dscp =46",
            Action::Redirect("192.0.2.1:7".parse().unwrap()),
        ),
        ("dst 203.0.113.128/25", Action::Redirect("4200000000:100".parse().unwrap())),
        ("dst 2001:db8::1/128", Action::Discard),
        ("dst 2001:db8::2/128 proto udp dport =80|=443 sport =123", police(1)),
        ("dst 2001:db8::3/128 proto tcp flags !syn&ack", Action::Discard),
        ("dst 2001:db8::4/128 frag is_fragment", police(20)),
    ];
    let rules = rules.into_iter().zip(1..).map(|((rule, action), number)| own_rule(rule, action, number));
    let holes = [own_blackhole("203.0.113.200/32", 101), own_blackhole("2001:db8::200/128", 102)];
    rules.chain(holes).collect()
}

async fn table(announcer: &impl Announcer) -> Vec<RibPath> {
    let mut paths: Vec<RibPath> = announcer.table().await.unwrap().try_collect().await.unwrap();
    paths.sort_by(|a, b| a.key.cmp(&b.key));
    paths
}

async fn all_done(results: impl Future<Output = Vec<Result<(), AnnounceError>>>, changes: usize) {
    let results = results.await;
    assert_eq!(results.len(), changes, "one result per change");
    let failed: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).take(3).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

async fn announce(announcer: &impl Announcer, paths: &[OwnPath]) {
    all_done(announcer.announce(paths), paths.len()).await;
}

async fn withdraw(announcer: &impl Announcer, keys: &[RouteKey]) {
    all_done(announcer.withdraw(keys), keys.len()).await;
}

/// Rates travel as floating point numbers, so actions are compared as they are on the wire.
#[track_caller]
fn assert_listed(listed: &RibPath, path: &OwnPath) {
    let wire = |action: &Action| (action.action_type(), action.extended_communities());
    assert_eq!(listed.key, path.route.key());
    assert_eq!(listed.action.as_ref().map(wire), Some(wire(&path.action)), "{}", path.route);
    let (not_after, mitigation) = (Some(path.tags.not_after), Some(path.tags.mitigation));
    assert_eq!(listed.ownership, Ownership::Own { not_after, mitigation }, "{}", path.route);
    assert!(listed.local, "{}", path.route);
}

async fn next(events: &mut BoxStream<'static, SpeakerEvent>) -> SpeakerEvent {
    let event = tokio::time::timeout(Duration::from_secs(30), events.next()).await;
    event.expect("an event in time").expect("a watch never ends")
}

pub async fn every_kind_of_path_is_listed_as_announced(announcer: &impl Announcer) {
    assert_eq!(table(announcer).await, []);
    let mut paths = every_kind();
    announce(announcer, &paths).await;
    paths.sort_by_key(|path| path.route.key());
    let listed = table(announcer).await;
    assert_eq!(listed.len(), paths.len());
    listed.iter().zip(&paths).for_each(|(listed, path)| assert_listed(listed, path));
}

pub async fn announcing_again_replaces_action_and_tags_in_place(announcer: &impl Announcer) {
    let rule = "dst 203.0.113.10/32 proto udp sport =53";
    for path in [
        own_rule(rule, police(10), 1),
        own_rule(rule, Action::Discard, 1),
        own_rule(rule, Action::Discard, 2),
    ] {
        announce(announcer, std::slice::from_ref(&path)).await;
        let listed = table(announcer).await;
        assert_eq!(listed.len(), 1);
        assert_listed(&listed[0], &path);
    }
}

pub async fn a_route_has_one_identity_however_it_was_written(announcer: &impl Announcer) {
    announce(announcer, &[own_rule("dst 203.0.113.10/32 dport =80|=53|=53", Action::Discard, 1)]).await;
    let again = own_rule("dport =53|=80 dst 203.0.113.10/32", police(10), 2);
    announce(announcer, std::slice::from_ref(&again)).await;
    let listed = table(announcer).await;
    assert_eq!(listed.len(), 1);
    assert_listed(&listed[0], &again);
}

pub async fn a_withdrawal_takes_that_route_and_no_other(announcer: &impl Announcer) {
    let paths = every_kind();
    announce(announcer, &paths).await;
    for (at, path) in paths.iter().enumerate() {
        withdraw(announcer, &[path.route.key()]).await;
        let left: Vec<_> = table(announcer).await.into_iter().map(|path| path.key).collect();
        let mut expected: Vec<_> = paths[at + 1..].iter().map(|path| path.route.key()).collect();
        expected.sort();
        assert_eq!(left, expected, "after {}", path.route);
    }
}

pub async fn withdrawing_what_is_not_there_is_no_error(announcer: &impl Announcer) {
    announce(announcer, &[own_rule("dst 203.0.113.10/32", Action::Discard, 1)]).await;
    let absent: Vec<_> = every_kind().iter().map(|path| path.route.key()).collect();
    withdraw(announcer, &absent).await;
    assert_eq!(table(announcer).await.len(), 1);
}

pub async fn no_changes_are_no_results(announcer: &impl Announcer) {
    assert_eq!(announcer.announce(&[]).await, []);
    assert_eq!(announcer.withdraw(&[]).await, []);
    assert_eq!(announcer.find(&[]).await, Ok(vec![]));
}

pub async fn single_routes_are_found_in_the_order_asked(announcer: &impl Announcer) {
    let paths = every_kind();
    announce(announcer, &paths).await;
    let absent = own_rule("dst 192.0.2.77/32", Action::Discard, 1).route.key();
    let mut keys: Vec<_> = paths.iter().rev().map(|path| path.route.key()).collect();
    keys.insert(3, absent);
    keys.push(RouteKey::blackhole("192.0.2.77/32".parse().unwrap()));
    let mut found = announcer.find(&keys).await.unwrap();
    assert_eq!(found.len(), keys.len());
    assert_eq!((found.remove(3), found.pop()), (None, Some(None)));
    for (found, path) in found.iter().zip(paths.iter().rev()) {
        assert_listed(found.as_ref().unwrap(), path);
    }
}

pub async fn a_path_that_cannot_be_sent_is_refused_and_the_others_are_announced(announcer: &impl Announcer) {
    let mut hole = own_blackhole("203.0.113.13/32", 4);
    hole.action = Action::Discard;
    let paths = [
        own_rule("dst 203.0.113.10/32", Action::Discard, 1),
        own_rule("dst 203.0.113.11/32", Action::Rtbh, 2),
        own_blackhole("203.0.113.12/32", 3),
        hole,
    ];
    let results = announcer.announce(&paths).await;
    let expected = matches!(
        results[..],
        [Ok(()), Err(AnnounceError::Refused(_)), Ok(()), Err(AnnounceError::Refused(_))]
    );
    assert!(expected, "{results:?}");
    assert_eq!(table(announcer).await.len(), 2);
}

pub async fn results_come_in_the_order_of_many_paths(announcer: &impl Announcer) {
    let host = |number: u32| std::net::Ipv4Addr::from(0x0a00_0000 + number);
    let mut paths: Vec<OwnPath> = (1..=1_200)
        .map(|number| own_rule(&format!("dst {}/32 proto udp", host(number)), Action::Discard, number))
        .collect();
    paths[700].action = Action::Rtbh;
    let results = announcer.announce(&paths).await;
    let refused: Vec<usize> = (0..results.len()).filter(|at| results[*at].is_err()).collect();
    assert_eq!((results.len(), refused), (1_200, vec![700]));
    assert_eq!(table(announcer).await.len(), 1_199);
    let keys: Vec<_> = paths[1..].iter().map(|path| path.route.key()).collect();
    withdraw(announcer, &keys).await;
    assert_eq!(table(announcer).await.len(), 1);
}

pub async fn a_watch_begins_with_connected_and_tells_every_change(announcer: &impl Announcer) {
    let mut events = announcer.watch();
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
    for path in every_kind() {
        announce(announcer, std::slice::from_ref(&path)).await;
        match next(&mut events).await {
            SpeakerEvent::PathChanged { key, path: Some(listed) } => {
                assert_eq!(key, path.route.key());
                assert_listed(&listed, &path);
            }
            other => panic!("{}: {other:?}", path.route),
        }
        let key = path.route.key();
        withdraw(announcer, std::slice::from_ref(&key)).await;
        assert_eq!(next(&mut events).await, SpeakerEvent::PathChanged { key, path: None });
    }
}

pub async fn two_watches_tell_the_same(announcer: &impl Announcer) {
    let (mut first, mut second) = (announcer.watch(), announcer.watch());
    assert_eq!(next(&mut first).await, SpeakerEvent::Connected);
    assert_eq!(next(&mut second).await, SpeakerEvent::Connected);
    announce(announcer, &[own_rule("dst 203.0.113.10/32", Action::Discard, 1)]).await;
    let (first, second) = (next(&mut first).await, next(&mut second).await);
    assert!(matches!(&first, SpeakerEvent::PathChanged { path: Some(_), .. }), "{first:?}");
    assert_eq!(first, second);
}

pub async fn a_speaker_without_neighbors_has_no_peers(announcer: &impl Announcer) {
    assert_eq!(announcer.peers().await, Ok(vec![]));
}
