//! What the tests of this crate share: rules to announce, and an adapter for a speaker of the lab.
#![allow(dead_code, reason = "an example uses a part of it")]

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use prefix_core::Announcer;
use prefix_core::address::Prefix;
use prefix_core::announcer::{OwnPath, RibPath, Route, SpeakerEvent};
use prefix_core::flowspec::{Action, Dscp, Rule};
use prefix_core::ownership::{MitigationTag, NotAfter, Owner, Ownership, Tags};
use prefix_gobgp::{Gobgp, Settings};
use prefix_testkit::lab::Gobgpd;

pub(crate) const NOT_AFTER: NotAfter = NotAfter(1_800_000_000);

pub(crate) fn owner(pop: &str) -> Owner {
    Owner::new(65_010, 8955, &pop.parse().unwrap())
}

pub(crate) fn settings(speaker: &Gobgpd) -> Settings {
    let mut settings = Settings::new(speaker.grpc_endpoint().parse().unwrap(), owner("fra1"));
    settings.connect_timeout = Duration::from_secs(5);
    settings.request_timeout = Duration::from_secs(10);
    settings
}

pub(crate) fn adapter(speaker: &Gobgpd) -> Gobgp {
    Gobgp::new(settings(speaker))
}

pub(crate) fn rule(text: &str) -> Rule {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn tags(mitigation: u32) -> Tags {
    Tags { not_after: NOT_AFTER, mitigation: MitigationTag(mitigation) }
}

pub(crate) fn own(text: &str, action: Action, mitigation: u32) -> OwnPath {
    OwnPath { route: Route::FlowSpec(Box::new(rule(text))), action, tags: tags(mitigation) }
}

pub(crate) fn blackhole(prefix: &str, mitigation: u32) -> OwnPath {
    let prefix: Prefix = prefix.parse().unwrap();
    OwnPath { route: Route::Blackhole(prefix), action: Action::Rtbh, tags: tags(mitigation) }
}

/// 10 Mbit/s.
pub(crate) fn police() -> Action {
    Action::police(Some(10_000_000.try_into().unwrap()), None).unwrap()
}

/// Every component and every action, IPv4 and IPv6, each path with a destination of its own.
pub(crate) fn one_of_everything() -> Vec<OwnPath> {
    let matches_v4 = [
        "",
        "src 198.51.100.0/24",
        "proto udp",
        "port =53",
        "proto udp dport <53|>53&<123|>123",
        "proto udp sport =123",
        "proto icmp icmp-type =8|=0",
        "proto icmp icmp-type =3 icmp-code =4",
        "proto tcp flags syn&!ack",
        "proto tcp flags !syn&ack",
        "len >=20&<=100",
        "dscp =46",
        "frag is_fragment",
        "src 198.51.100.7/32 proto =17|=6 dport =80|=443|>=8000&<=8999 sport >1023 len >1000 dscp =0|=46 frag !is_fragment",
    ];
    let matches_v6 = [
        "",
        "src 2001:db8:ffff::/48",
        "proto udp dport =53",
        "proto icmpv6 icmp-type =128",
        "proto tcp flags syn&!ack",
        "len >=1000&<=1500",
        "dscp =46",
        "frag is_fragment",
        "label =74565",
        "src 2001:db8:ffff::7/128 proto udp dport <53|>53 sport =123 len >500 frag first_fragment",
    ];
    let actions = [
        Action::Discard,
        police(),
        Action::police(None, Some(5_000.try_into().unwrap())).unwrap(),
        Action::police(Some(8_000.try_into().unwrap()), Some(1.try_into().unwrap())).unwrap(),
        Action::Redirect("65000:100".parse().unwrap()),
        Action::Redirect("192.0.2.1:100".parse().unwrap()),
        Action::Redirect("4200000000:100".parse().unwrap()),
        Action::Mark(Dscp::new(46).unwrap()),
    ];
    let v4 = matches_v4.iter().enumerate().map(|(at, text)| format!("dst 203.0.113.{at}/32 {text}"));
    let v6 = matches_v6.iter().enumerate().map(|(at, text)| format!("dst 2001:db8::{at:x}/128 {text}"));
    let rules = (0..).zip(v4.chain(v6).zip(actions.iter().cycle()));
    let mut paths: Vec<_> = rules.map(|(at, (text, action))| own(&text, *action, at)).collect();
    paths.extend([blackhole("203.0.113.200/32", 9_001), blackhole("2001:db8::200/128", 9_002)]);
    paths
}

/// Many small rules.
pub(crate) fn many(count: u32) -> Vec<OwnPath> {
    let destination = |at: u32| std::net::Ipv4Addr::from(0x0a00_0000 + at);
    (0..count).map(|at| own(&format!("dst {}/32 proto udp", destination(at)), Action::Discard, at)).collect()
}

/// The whole table, by route.
pub(crate) async fn table(announcer: &impl Announcer) -> Vec<RibPath> {
    let mut paths: Vec<RibPath> = announcer.table().await.unwrap().try_collect().await.unwrap();
    paths.sort_by(|a, b| a.key.cmp(&b.key));
    paths
}

/// The path as it has to be listed, but for its attributes in words.
#[track_caller]
pub(crate) fn assert_is(listed: &RibPath, path: &OwnPath) {
    let own = Ownership::Own { not_after: Some(path.tags.not_after), mitigation: Some(path.tags.mitigation) };
    assert_eq!(listed.key, path.route.key());
    let wire = |action: &Action| action.extended_communities();
    assert_eq!(listed.action.as_ref().map(wire), Some(wire(&path.action)), "{listed:?}");
    assert_eq!((listed.ownership, listed.local), (own, true), "{listed:?}");
}

pub(crate) fn all_ok<T, E: std::fmt::Debug>(results: &[Result<T, E>]) {
    let failed: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).take(3).collect();
    assert!(failed.is_empty(), "{} results, among them {failed:?}", results.len());
}

/// The next event of a watch.
pub(crate) async fn next(events: &mut BoxStream<'static, SpeakerEvent>) -> SpeakerEvent {
    let event = tokio::time::timeout(Duration::from_secs(30), events.next()).await;
    event.expect("an event in time").expect("a watch never ends")
}

/// The first event that fits; others are passed over.
pub(crate) async fn next_that(
    events: &mut BoxStream<'static, SpeakerEvent>,
    fits: impl Fn(&SpeakerEvent) -> bool,
) -> SpeakerEvent {
    loop {
        let event = next(events).await;
        if fits(&event) {
            return event;
        }
    }
}
