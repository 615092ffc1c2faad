//! A speaker that is away, restarts, hangs, is upgraded, or is reached in another way than plain TCP.

use std::time::{Duration, Instant};

use crate::proxy::Proxy;
use crate::support::{adapter, all_ok, assert_is, many, next, next_that, own, settings, table};
use futures::{FutureExt, StreamExt};
use prefix_core::Announcer;
use prefix_core::announcer::{AnnounceError, SpeakerEvent};
use prefix_core::flowspec::Action;
use prefix_gobgp::{Api, Endpoint, Gobgp, TlsIdentity, TlsSettings};
use prefix_testkit::lab::wait::{PATIENCE, until};
use prefix_testkit::lab::{Family, GobgpVersion, Gobgpd, Loopback};

crate::versions::with_both_versions! {
    a_speaker_that_is_down_is_unreachable_and_nothing_was_sent
    a_restart_is_told_and_leaves_an_empty_table
    rules_are_back_within_a_second_of_the_speakers_return
    a_stopped_speaker_leaves_the_effect_unknown
    a_call_that_timed_out_may_have_its_effect
    a_connection_that_breaks_under_a_change_leaves_the_effect_unknown
    a_silent_connection_is_noticed_without_any_call
    a_watch_that_nobody_reads_holds_up_no_call
    a_unix_socket_serves_as_well
    tls_checks_the_speakers_certificate
    the_other_version_alone_is_refused_with_advice
}

fn discard() -> prefix_core::announcer::OwnPath {
    own("dst 203.0.113.10/32 proto udp", Action::Discard, 1)
}

fn is_connected(event: &SpeakerEvent) -> bool {
    matches!(event, SpeakerEvent::Connected)
}

fn is_disconnected(event: &SpeakerEvent) -> bool {
    matches!(event, SpeakerEvent::Disconnected { .. })
}

async fn a_speaker_that_is_down_is_unreachable_and_nothing_was_sent(version: GobgpVersion) {
    let mut speaker = Gobgpd::version_of(version).start().await.unwrap();
    let gobgp = adapter(&speaker);
    speaker.kill9();
    let path = discard();
    let key = path.route.key();
    let unreachable =
        |result: Result<(), AnnounceError>| matches!(result, Err(AnnounceError::Unreachable(_)));
    assert!(gobgp.announce(&[path.clone(), path.clone()]).await.into_iter().all(unreachable));
    assert!(gobgp.withdraw(std::slice::from_ref(&key)).await.into_iter().all(unreachable));
    assert!(matches!(gobgp.find(&[key]).await, Err(AnnounceError::Unreachable(_))));
    assert!(matches!(gobgp.table().await.map(drop), Err(AnnounceError::Unreachable(_))));
    assert!(matches!(gobgp.peers().await, Err(AnnounceError::Unreachable(_))));
    let mut events = gobgp.watch();
    let SpeakerEvent::Disconnected { reason } = next(&mut events).await else { panic!("connected") };
    assert!(reason.contains(speaker.grpc_endpoint()) && reason.contains("refused"), "{reason}");

    speaker.start_again().await.unwrap();
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
    assert_eq!(table(&gobgp).await, []);
    all_ok(&gobgp.announce(&[path]).await);
}

async fn a_restart_is_told_and_leaves_an_empty_table(version: GobgpVersion) {
    let mut speaker = Gobgpd::version_of(version).start().await.unwrap();
    let gobgp = adapter(&speaker);
    let mut events = gobgp.watch();
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
    all_ok(&gobgp.announce(&many(10)).await);
    speaker.restart().await.unwrap();
    next_that(&mut events, is_disconnected).await;
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
    assert_eq!(table(&gobgp).await, []);
    all_ok(&gobgp.announce(&[discard()]).await);
}

async fn rules_are_back_within_a_second_of_the_speakers_return(version: GobgpVersion) {
    let mut speaker = Gobgpd::version_of(version).start().await.unwrap();
    let gobgp = adapter(&speaker);
    let mut events = gobgp.watch();
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
    speaker.kill9();
    next_that(&mut events, is_disconnected).await;
    // Long enough for the longest pause between attempts.
    let waiting = async { while !is_connected(&events.next().await.unwrap()) {} };
    assert!(tokio::time::timeout(Duration::from_secs(1), waiting).await.is_err());
    let (returned, back) = tokio::join!(
        async {
            speaker.start_again().await.unwrap();
            Instant::now()
        },
        async {
            next_that(&mut events, is_connected).await;
            all_ok(&gobgp.announce(&many(600)).await);
            Instant::now()
        }
    );
    let late = back.saturating_duration_since(returned);
    assert!(late < Duration::from_secs(1), "{late:?}");
    assert_eq!(table(&gobgp).await.len(), 600);
}

/// The signal reaches threads on other processors a moment later.
async fn wait_until_stopped(pid: u32) {
    let state = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
    };
    let tasks = format!("/proc/{pid}/task");
    until("all threads to stop", PATIENCE, async || {
        let states: Vec<_> = std::fs::read_dir(&tasks).unwrap().map(|task| state(task.unwrap())).collect();
        if states.iter().all(|state| *state == Some('T')) { Ok(()) } else { Err(format!("{states:?}")) }
    })
    .await
    .unwrap();
}

async fn a_stopped_speaker_leaves_the_effect_unknown(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    let mut settings = settings(&speaker);
    settings.request_timeout = Duration::from_millis(500);
    settings.connect_timeout = Duration::from_millis(500);
    let gobgp = Gobgp::new(settings);
    let (stays, goes) = (discard(), own("dst 203.0.113.11/32", Action::Discard, 2));
    all_ok(&gobgp.announce(std::slice::from_ref(&goes)).await);

    speaker.stop();
    wait_until_stopped(speaker.pid()).await;
    let results = gobgp.announce(std::slice::from_ref(&stays)).await;
    assert!(matches!(results[..], [Err(AnnounceError::Unknown(_))]), "{results:?}");
    // Nothing is known of that connection any more, and a new one does not come about: nothing is sent.
    let results = gobgp.withdraw(&[goes.route.key()]).await;
    assert!(matches!(results[..], [Err(AnnounceError::Unreachable(_))]), "{results:?}");

    // Whether the announcement has its effect is a race within the speaker; reading back tells.
    speaker.cont();
    let key = stays.route.key();
    let found = until("an answer", PATIENCE, async || gobgp.find(std::slice::from_ref(&key)).await);
    if let Some(path) = &found.await.unwrap()[0] {
        assert_is(path, &stays);
    }
    assert!(gobgp.find(&[goes.route.key()]).await.unwrap()[0].is_some());
    all_ok(&gobgp.announce(std::slice::from_ref(&stays)).await);
    assert_eq!(table(&gobgp).await.len(), 2);
}

async fn a_connection_that_breaks_under_a_change_leaves_the_effect_unknown(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    let proxy = Proxy::start(speaker.grpc_endpoint()).await;
    let mut settings = settings(&speaker);
    settings.endpoint = proxy.endpoint();
    let gobgp = Gobgp::new(settings);
    assert_eq!(table(&gobgp).await, []);
    proxy.swallow_answers();
    let path = discard();
    let path = std::slice::from_ref(&path);
    let (results, ()) = tokio::join!(gobgp.announce(path), async {
        until("the effect", PATIENCE, async || {
            match speaker.rules(Family::Ipv4FlowSpec).await.unwrap().len() {
                1 => Ok(()),
                other => Err(other),
            }
        })
        .await
        .unwrap();
        proxy.cut();
    });
    assert!(matches!(results[..], [Err(AnnounceError::Unknown(_))]), "{results:?}");
    // The next call connects anew and tells the truth.
    proxy.mend();
    assert_is(gobgp.find(&[path[0].route.key()]).await.unwrap()[0].as_ref().unwrap(), &path[0]);
}

async fn a_call_that_timed_out_may_have_its_effect(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    let proxy = Proxy::start(speaker.grpc_endpoint()).await;
    let mut settings = settings(&speaker);
    settings.endpoint = proxy.endpoint();
    settings.request_timeout = Duration::from_millis(500);
    let gobgp = Gobgp::new(settings);
    let path = discard();
    let key = path.route.key();
    assert_eq!(gobgp.find(std::slice::from_ref(&key)).await.unwrap(), [None]);
    proxy.swallow_answers();
    let results = gobgp.announce(std::slice::from_ref(&path)).await;
    assert!(matches!(results[..], [Err(AnnounceError::Unknown(_))]), "{results:?}");
    proxy.mend();
    assert_is(gobgp.find(&[key]).await.unwrap()[0].as_ref().unwrap(), &path);
}

async fn a_silent_connection_is_noticed_without_any_call(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    let proxy = Proxy::start(speaker.grpc_endpoint()).await;
    let mut settings = settings(&speaker);
    settings.endpoint = proxy.endpoint();
    settings.request_timeout = Duration::from_secs(1);
    settings.connect_timeout = Duration::from_secs(1);
    let gobgp = Gobgp::new(settings);
    let mut events = gobgp.watch();
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
    proxy.swallow_answers();
    let SpeakerEvent::Disconnected { reason } = next(&mut events).await else { panic!("not noticed") };
    assert!(reason.contains("not answered"), "{reason}");
    proxy.mend();
    next_that(&mut events, is_connected).await;
}

async fn a_watch_that_nobody_reads_holds_up_no_call(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    let gobgp = adapter(&speaker);
    let mut events = gobgp.watch();
    // It begins to connect, and is left there.
    assert!(events.next().now_or_never().is_none());
    let read = tokio::time::timeout(PATIENCE, gobgp.table()).await;
    assert!(read.expect("the call waits for the watch").is_ok());
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
}

async fn a_unix_socket_serves_as_well(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).unix_socket().start().await.unwrap();
    assert!(matches!(settings(&speaker).endpoint, Endpoint::Unix(_)));
    let gobgp = adapter(&speaker);
    let path = discard();
    all_ok(&gobgp.announce(std::slice::from_ref(&path)).await);
    assert_is(&table(&gobgp).await[0], &path);
    assert_eq!(next(&mut gobgp.watch()).await, SpeakerEvent::Connected);
}

async fn tls_checks_the_speakers_certificate(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).tls().start().await.unwrap();
    let certificates = speaker.certificates().unwrap();
    let mut settings = settings(&speaker);
    settings.tls = Some(TlsSettings { ca: certificates.authority.clone(), identity: None });
    let gobgp = Gobgp::new(settings.clone());
    all_ok(&gobgp.announce(&[discard()]).await);

    let other = Gobgpd::version_of(version).tls().start().await.unwrap();
    settings.tls = Some(TlsSettings { ca: other.certificates().unwrap().authority.clone(), identity: None });
    let error = Gobgp::new(settings.clone()).peers().await.unwrap_err().to_string();
    assert!(error.contains("not reachable") && error.contains("certificate"), "{error}");

    settings.tls = Some(TlsSettings { ca: "/nonexistent/ca.pem".into(), identity: None });
    let error = Gobgp::new(settings.clone()).peers().await.unwrap_err().to_string();
    assert!(error.contains("cannot read /nonexistent/ca.pem"), "{error}");

    settings.tls = None;
    assert!(matches!(Gobgp::new(settings).peers().await, Err(AnnounceError::Unreachable(_))));
}

#[tokio::test]
async fn a_client_certificate_opens_a_speaker_that_wants_one() {
    let speaker = Gobgpd::v4().mutual_tls().start().await.unwrap();
    let certificates = speaker.certificates().unwrap();
    let mut settings = settings(&speaker);
    let identity =
        TlsIdentity { cert: certificates.client_certificate.clone(), key: certificates.client_key.clone() };
    settings.tls = Some(TlsSettings { ca: certificates.authority.clone(), identity: Some(identity) });
    all_ok(&Gobgp::new(settings.clone()).announce(&[discard()]).await);

    settings.tls = Some(TlsSettings { ca: certificates.authority.clone(), identity: None });
    let refused = Gobgp::new(settings).announce(&[discard()]).await;
    assert!(matches!(refused[..], [Err(AnnounceError::Unreachable(_))]), "{refused:?}");
}

async fn the_other_version_alone_is_refused_with_advice(version: GobgpVersion) {
    let speaker = Gobgpd::version_of(version).start().await.unwrap();
    let mut settings = settings(&speaker);
    let (right, wrong) = match version {
        GobgpVersion::V3 => (Api::V3, Api::V4),
        GobgpVersion::V4 => (Api::V4, Api::V3),
    };
    settings.api = right;
    assert_eq!(Gobgp::new(settings.clone()).peers().await, Ok(vec![]));
    settings.api = wrong;
    let error = Gobgp::new(settings).peers().await.unwrap_err().to_string();
    assert!(error.contains("bgp.gobgp_api"), "{error}");
}

#[tokio::test]
async fn a_speaker_may_be_upgraded_under_a_running_adapter() {
    let mut old = Gobgpd::v3().start().await.unwrap();
    let new = Gobgpd::v4().start().await.unwrap();
    let proxy = Proxy::start(old.grpc_endpoint()).await;
    let mut settings = settings(&old);
    settings.endpoint = proxy.endpoint();
    let (gobgp, idle) = (Gobgp::new(settings.clone()), Gobgp::new(settings));
    let mut events = gobgp.watch();
    assert_eq!(next(&mut events).await, SpeakerEvent::Connected);
    all_ok(&gobgp.announce(&[discard()]).await);
    all_ok(&idle.announce(&[discard()]).await);
    for (speaker, next_speaker) in
        [(old.grpc_endpoint(), new.grpc_endpoint()), (new.grpc_endpoint(), old.grpc_endpoint())]
    {
        assert_ne!(speaker, next_speaker);
        proxy.lead_to(next_speaker);
        proxy.cut();
        // The first call may find out that the connection is gone; none finds the wrong version.
        for adapter in [&idle, &gobgp] {
            until("an announcement", PATIENCE, async || {
                match adapter.announce(&[discard()]).await.remove(0) {
                    Err(AnnounceError::Refused(text)) => panic!("{text}"),
                    result => result,
                }
            })
            .await
            .unwrap();
        }
        next_that(&mut events, is_connected).await;
    }
    assert_eq!(new.rules(Family::Ipv4FlowSpec).await.unwrap().len(), 1);
    old.kill9();
}

#[tokio::test]
async fn what_listens_but_never_answers_is_unreachable_in_time() {
    let address = Loopback::claim().unwrap().port(50_051);
    let _silent = std::net::TcpListener::bind(address).unwrap();
    let owner = crate::support::owner("fra1");
    let mut settings = prefix_gobgp::Settings::new(address.to_string().parse().unwrap(), owner);
    settings.connect_timeout = Duration::from_millis(200);
    let gobgp = Gobgp::new(settings);
    let started = Instant::now();
    // Callers that wait for the same attempt share its failure instead of trying one after the other.
    let paths = [discard()];
    let attempts = futures::future::join_all((0..20).map(|_| gobgp.announce(&paths))).await;
    assert!(attempts.concat().iter().all(|result| matches!(result, Err(AnnounceError::Unreachable(_)))));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}
