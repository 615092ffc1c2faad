//! What every implementation of the port promises. The announcer's table is empty at the start of each.

use std::time::Duration;

use futures::StreamExt;
use prefix_core::Announcer;
use prefix_core::announcer::{AnnounceError, Route, SpeakerEvent};
use prefix_core::flowspec::{Action, RouteKey};

use crate::support::{all_ok, assert_is, blackhole, many, one_of_everything, own, police, table};

pub(crate) async fn every_component_and_action_is_listed_as_announced(announcer: &impl Announcer) {
    assert_eq!(table(announcer).await, []);
    let mut paths = one_of_everything();
    all_ok(&announcer.announce(&paths).await);
    let listed = table(announcer).await;
    paths.sort_by_key(|path| path.route.key());
    assert_eq!(listed.len(), paths.len());
    for (listed, path) in listed.iter().zip(&paths) {
        assert_is(listed, path);
    }
}

pub(crate) async fn announcing_again_replaces_the_action_in_place(announcer: &impl Announcer) {
    let text = "dst 203.0.113.10/32 proto udp dport =53";
    for path in [own(text, police(), 1), own(text, Action::Discard, 1), own(text, Action::Discard, 2)] {
        all_ok(&announcer.announce(std::slice::from_ref(&path)).await);
        let listed = table(announcer).await;
        assert_eq!(listed.len(), 1);
        assert_is(&listed[0], &path);
    }
}

pub(crate) async fn a_route_has_one_identity_however_it_was_written(announcer: &impl Announcer) {
    let first = own("dst 203.0.113.10/32 dport =80|=53|=53", Action::Discard, 1);
    let second = own("dport =53|=80 dst 203.0.113.10/32", police(), 1);
    all_ok(&announcer.announce(&[first]).await);
    all_ok(&announcer.announce(std::slice::from_ref(&second)).await);
    let listed = table(announcer).await;
    assert_eq!(listed.len(), 1);
    assert_is(&listed[0], &second);
}

pub(crate) async fn a_withdrawal_takes_that_route_and_no_other(announcer: &impl Announcer) {
    let paths = one_of_everything();
    all_ok(&announcer.announce(&paths).await);
    for (at, path) in paths.iter().enumerate() {
        all_ok(&announcer.withdraw(&[path.route.key()]).await);
        let left: Vec<_> = table(announcer).await.into_iter().map(|path| path.key).collect();
        let mut expected: Vec<_> = paths[at + 1..].iter().map(|path| path.route.key()).collect();
        expected.sort();
        assert_eq!(left, expected, "after {}", path.route);
    }
}

pub(crate) async fn withdrawing_what_is_not_there_is_no_error(announcer: &impl Announcer) {
    let stays = own("dst 203.0.113.10/32", Action::Discard, 1);
    all_ok(&announcer.announce(std::slice::from_ref(&stays)).await);
    let absent: Vec<_> = one_of_everything().iter().map(|path| path.route.key()).collect();
    all_ok(&announcer.withdraw(&absent).await);
    assert_eq!(table(announcer).await.len(), 1);
}

pub(crate) async fn no_changes_are_no_results(announcer: &impl Announcer) {
    assert_eq!(announcer.announce(&[]).await, []);
    assert_eq!(announcer.withdraw(&[]).await, []);
    assert_eq!(announcer.find(&[]).await, Ok(vec![]));
}

pub(crate) async fn single_routes_are_found_in_the_order_asked(announcer: &impl Announcer) {
    let paths = one_of_everything();
    all_ok(&announcer.announce(&paths).await);
    let absent = own("dst 192.0.2.77/32", Action::Discard, 1).route.key();
    let absent_hole = RouteKey::blackhole("192.0.2.77/32".parse().unwrap());
    let mut keys: Vec<_> = paths.iter().rev().map(|path| path.route.key()).collect();
    keys.insert(3, absent);
    keys.push(absent_hole);
    let mut found = announcer.find(&keys).await.unwrap();
    assert_eq!(found.len(), keys.len());
    assert_eq!((found.remove(3), found.pop()), (None, Some(None)));
    for (found, path) in found.iter().zip(paths.iter().rev()) {
        assert_is(found.as_ref().unwrap(), path);
    }
}

pub(crate) async fn a_path_that_cannot_be_sent_is_refused_and_the_others_are_announced(
    announcer: &impl Announcer,
) {
    let mut paths = vec![own("dst 203.0.113.10/32", Action::Discard, 1); 3];
    paths[1] = own("dst 203.0.113.11/32", Action::Rtbh, 2);
    paths[2] = blackhole("203.0.113.12/32", 3);
    let results = announcer.announce(&paths).await;
    assert!(matches!(results[..], [Ok(()), Err(AnnounceError::Refused(_)), Ok(())]), "{results:?}");
    assert_eq!(table(announcer).await.len(), 2);
}

pub(crate) async fn thousands_come_and_go(announcer: &impl Announcer) {
    let paths = many(3_000);
    let results = announcer.announce(&paths).await;
    assert_eq!(results.len(), paths.len());
    all_ok(&results);
    let listed = table(announcer).await;
    assert_eq!(listed.len(), paths.len());
    for (listed, path) in listed.iter().zip(&paths) {
        assert_is(listed, path);
    }
    let keys: Vec<_> = paths.iter().map(|path| path.route.key()).collect();
    let results = announcer.withdraw(&keys[1..]).await;
    assert_eq!(results.len(), keys.len() - 1);
    all_ok(&results);
    assert_eq!(table(announcer).await.len(), 1);
}

pub(crate) async fn a_watch_tells_its_state_first_and_then_every_change(announcer: &impl Announcer) {
    let mut events = announcer.watch();
    let next = async |events: &mut futures::stream::BoxStream<'static, SpeakerEvent>| {
        let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
        event.expect("an event in time").expect("a watch never ends")
    };
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
    for path in [
        own("dst 203.0.113.10/32 proto udp sport =53", police(), 1),
        own("dst 203.0.113.10/32 proto udp sport =53", Action::Discard, 1),
        own("dst 2001:db8::10/128 proto tcp flags syn&!ack", Action::Discard, 2),
        own(
            "dst 2001:db8::10/128 frag is_fragment",
            Action::police(None, Some(7.try_into().unwrap())).unwrap(),
            3,
        ),
        own("dst 203.0.113.10/32", Action::Redirect("192.0.2.1:100".parse().unwrap()), 4),
        blackhole("203.0.113.12/32", 5),
        blackhole("2001:db8::12/128", 6),
    ] {
        all_ok(&announcer.announce(std::slice::from_ref(&path)).await);
        match next(&mut events).await {
            SpeakerEvent::PathChanged { key, path: Some(listed) } => {
                assert_eq!(key, path.route.key());
                assert_is(&listed, &path);
            }
            other => panic!("{}: {other:?}", path.route),
        }
        if matches!(path.action, Action::Police(_)) {
            continue;
        }
        let key = path.route.key();
        all_ok(&announcer.withdraw(std::slice::from_ref(&key)).await);
        assert_eq!(next(&mut events).await, SpeakerEvent::PathChanged { key, path: None });
    }
}

pub(crate) async fn two_watches_see_the_same(announcer: &impl Announcer) {
    let (mut first, mut second) = (announcer.watch(), announcer.watch());
    assert_eq!(first.next().await, Some(SpeakerEvent::Connected));
    assert_eq!(second.next().await, Some(SpeakerEvent::Connected));
    let path = own("dst 203.0.113.10/32", Action::Discard, 1);
    all_ok(&announcer.announce(std::slice::from_ref(&path)).await);
    let (first, second) = (first.next().await, second.next().await);
    assert!(matches!(&first, Some(SpeakerEvent::PathChanged { path: Some(_), .. })), "{first:?}");
    assert_eq!(first, second);
    assert!(matches!(path.route, Route::FlowSpec(_)));
}
