//! The lab's speakers and routers do what the tests of the daemon rely on.

use prefix_testkit::lab::{Bird, Exabgp, Family, Frr, Gobgpd, GobgpdBuilder, RouterSeat, RouterUpdate, wait};
use std::sync::Arc;
use std::time::Duration;

const RULE: &str = "match destination 203.0.113.10/32 protocol udp source-port ==123 then rate-limit 1250000";
const RULE_NLRI: &str = "0120cb00710a03811106817b";

#[tokio::test]
async fn gobgpd_3_gives_a_rule_to_exabgp_and_takes_it_away() {
    exabgp_sees_a_rule_come_and_go(Gobgpd::v3()).await;
}

#[tokio::test]
async fn gobgpd_4_gives_a_rule_to_exabgp_and_takes_it_away() {
    exabgp_sees_a_rule_come_and_go(Gobgpd::v4()).await;
}

async fn exabgp_sees_a_rule_come_and_go(speaker: GobgpdBuilder) {
    let seat = RouterSeat::claim(65120).unwrap();
    let speaker = speaker.neighbor(&seat).start().await.unwrap();
    let router = Exabgp::start(&seat, &speaker).await.unwrap();

    speaker.add(Family::Ipv4FlowSpec, RULE).await.unwrap();
    let update = router.wait_for("the rule", RouterUpdate::is_announcement).await.unwrap();
    assert_eq!(update.nlri_hex(), RULE_NLRI);
    assert_eq!(update.traffic_rate_bytes_per_second(), Some(1_250_000.0));
    assert_eq!(update.destination(), Some("203.0.113.10/32"));
    assert_eq!(router.rib().unwrap().len(), 1);

    speaker.delete(Family::Ipv4FlowSpec, RULE).await.unwrap();
    let update = router.wait_for("the withdrawal", RouterUpdate::is_withdrawal).await.unwrap();
    assert_eq!(update.nlri_hex(), RULE_NLRI);
    assert_eq!(router.rib().unwrap(), []);
    assert_eq!(router.history_for("203.0.113.10/32").unwrap().len(), 2);
    assert_eq!(router.times_up().unwrap(), 1);
}

#[tokio::test]
async fn exabgp_receives_ipv6_rules_and_blackhole_routes() {
    let seat = RouterSeat::claim(65010).unwrap();
    let speaker = Gobgpd::v4().neighbor(&seat).start().await.unwrap();
    let router = Exabgp::start(&seat, &speaker).await.unwrap();

    let rule = "match destination 2001:db8::1/128 protocol udp then discard";
    speaker.add(Family::Ipv6FlowSpec, rule).await.unwrap();
    let update = router.wait_for("the rule", |u| u.family == Family::Ipv6FlowSpec).await.unwrap();
    assert_eq!(update.nlri_hex(), "01800020010db8000000000000000000000001038111");
    assert_eq!(update.traffic_rate_bytes_per_second(), Some(0.0));
    assert_eq!(router.history_for("2001:db8::1/128").unwrap().len(), 1);

    let route = "203.0.113.99/32 nexthop 192.0.2.1 community 65535:666 large-community 65010:8955:7";
    speaker.add(Family::Ipv4Unicast, route).await.unwrap();
    let update = router.wait_for("the route", |u| u.family == Family::Ipv4Unicast).await.unwrap();
    assert_eq!(update.nlri_hex(), "20cb007163");
    assert_eq!(update.attributes.next_hop, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(update.attributes.communities, [0xffff_029a]);
    assert_eq!(update.attributes.large_communities, [[65010, 8955, 7]]);
}

#[tokio::test]
async fn bird_sees_a_rule_come_and_go() {
    let seat = RouterSeat::claim(65121).unwrap();
    let speaker = Gobgpd::v4().neighbor(&seat).start().await.unwrap();
    let bird = Bird::start(&seat, &speaker).await.unwrap();

    speaker.add(Family::Ipv4FlowSpec, RULE).await.unwrap();
    let one = |routes: &[String]| routes.len() == 1;
    let routes = bird.wait_for_routes("the rule", Family::Ipv4FlowSpec, one).await.unwrap();
    assert!(routes[0].starts_with("flow4 { dst 203.0.113.10/32; proto 17; sport 123; }"), "{routes:?}");
    assert!(routes[0].contains("(generic, 0x80060000, 0x49989680)"), "{routes:?}");

    speaker.delete(Family::Ipv4FlowSpec, RULE).await.unwrap();
    bird.wait_for_routes("no rule", Family::Ipv4FlowSpec, <[String]>::is_empty).await.unwrap();
}

#[tokio::test]
async fn frr_sees_a_rule_come_and_go_and_keeps_its_session() {
    let seat = RouterSeat::claim(65084).unwrap();
    let speaker = Gobgpd::v4().neighbor(&seat).start().await.unwrap();
    let router = Frr::start(&seat, &speaker).await.unwrap();

    speaker.add(Family::Ipv4FlowSpec, RULE).await.unwrap();
    let one = |rules: &[String]| rules.len() == 1;
    let rules = router.wait_for_rules("the rule", Family::Ipv4FlowSpec, one).await.unwrap();
    assert!(rules[0].contains("Destination Address 203.0.113.10/32"), "{rules:?}");
    assert!(rules[0].contains("FS:rate 1250000.000000"), "{rules:?}");
    assert_eq!(router.count(Family::Ipv4FlowSpec).await.unwrap(), 1);

    speaker.delete(Family::Ipv4FlowSpec, RULE).await.unwrap();
    router.wait_for_count(Family::Ipv4FlowSpec, 0, wait::PATIENCE).await.unwrap();
    let session = router.session().await.unwrap();
    assert_eq!((session.established, session.dropped), (1, 0), "{session:?}");
}

#[tokio::test]
async fn a_restarted_gobgpd_has_lost_its_rules_and_its_routers_come_back() {
    let seat = RouterSeat::claim(65120).unwrap();
    let mut speaker = Gobgpd::v4().neighbor(&seat).start().await.unwrap();
    let router = Exabgp::start(&seat, &speaker).await.unwrap();
    speaker.add(Family::Ipv4FlowSpec, RULE).await.unwrap();
    router.wait_for_rib_size(1, wait::PATIENCE).await.unwrap();

    speaker.restart().await.unwrap();
    router.wait_until_up().await.unwrap();
    assert_eq!(speaker.rules(Family::Ipv4FlowSpec).await.unwrap(), [""; 0]);
    router.wait_for_rib_size(0, wait::PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_stopped_gobgpd_answers_when_it_goes_on() {
    let speaker = Arc::new(Gobgpd::v4().start().await.unwrap());
    speaker.stop();
    let client = Arc::clone(&speaker);
    let mut asked = tokio::spawn(async move { client.cli(&["global"]).await });
    // Nothing arrives within this time, which is the promise; a machine that is slow cannot break it.
    let silence = tokio::time::timeout(Duration::from_millis(300), &mut asked).await;
    assert!(silence.is_err(), "a stopped gobgpd answered");
    speaker.cont();
    assert!(asked.await.unwrap().unwrap().contains("65010"));
}

#[tokio::test]
async fn the_api_can_be_reached_over_a_unix_socket_and_tls() {
    for builder in [
        Gobgpd::v3().unix_socket(),
        Gobgpd::v4().unix_socket(),
        Gobgpd::v3().tls(),
        Gobgpd::v4().tls(),
        Gobgpd::v4().mutual_tls(),
    ] {
        let shown = format!("{builder:?}");
        let speaker = builder.start().await.unwrap_or_else(|error| panic!("{shown}: {error}"));
        speaker.add(Family::Ipv4FlowSpec, RULE).await.unwrap();
        assert_eq!(speaker.rules(Family::Ipv4FlowSpec).await.unwrap().len(), 1, "{shown}");
    }
}
