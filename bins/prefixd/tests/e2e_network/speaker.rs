//! The speaker comes and goes, and others use it too: its table is made equal to what is written down, and not more.

use crate::test_network::{Network, NetworkBuilder, discard, police, udp_flood};
use prefix_client::MitigationStatus;
use prefix_core::ownership::{MitigationTag, NotAfter, Owner, Tags};
use prefix_testkit::lab::{BgpNeighbor, Family, Gobgpd, RouterSeat, wait};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_3_rules_are_back_within_a_second_of_the_speakers_return() {
    rules_come_back(Network::with_gobgp_3()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_4_rules_are_back_within_a_second_of_the_speakers_return() {
    rules_come_back(Network::with_gobgp_4()).await;
}

async fn rules_come_back(network: NetworkBuilder) {
    let mut net = network.exabgp().start().await;
    let attacks: Vec<_> = (1..=100).map(|host| udp_flood(&format!("203.0.113.{host}"))).collect();
    net.detector.posts_all(&attacks).await;
    net.router().holds(100).await;

    net.speaker.restart().await.unwrap();
    let returned = Instant::now();
    let back = wait::until("100 rules in the speaker", wait::PATIENCE, async || {
        let rules = net.speaker.rules(Family::Ipv4FlowSpec).await.map_err(|error| error.to_string())?;
        if rules.len() == 100 { Ok(()) } else { Err(format!("{} rules", rules.len())) }
    });
    back.await.unwrap();
    let took = returned.elapsed();
    assert!(took < Duration::from_secs(1), "the rules were back after {took:?}");

    net.router().comes_back().await;
    net.router().holds(100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_speaker_was_away_is_made_good() {
    let mut net = Network::with_gobgp_4().exabgp().setting("bgp.announce_timeout_ms", 0).start().await;
    let (stays, goes) = (udp_flood("203.0.113.1"), udp_flood("203.0.113.2"));
    net.detector.posts(&stays).await;
    net.detector.posts(&goes).await;
    net.router().holds(2).await;

    net.speaker.kill9();
    // A speaker that is down is no error for a detector.
    let comes = net.detector.posts(&udp_flood("203.0.113.3")).await;
    assert_eq!(comes.mitigation_status, Some(MitigationStatus::Pending));
    net.detector.releases(&goes).await;
    net.speaker.start_again().await.unwrap();

    net.mitigation_becomes(comes.mitigation_id.unwrap(), &MitigationStatus::Active).await;
    net.router().comes_back().await;
    net.router().holds(2).await;
    assert!(net.router().has(&discard("0120 cb007101 038111")));
    assert!(net.router().has(&discard("0120 cb007103 038111")));
}

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_3_rules_of_others_are_never_touched() {
    foreign_rules_stay(Network::with_gobgp_3()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_4_rules_of_others_are_never_touched() {
    foreign_rules_stay(Network::with_gobgp_4()).await;
}

async fn foreign_rules_stay(network: NetworkBuilder) {
    let mut net = network.exabgp().setting("timers.reconciliation_interval_seconds", 1).start().await;
    let foreign = discard("0120 cb007132 038111 05 8135");
    let words = "match destination 203.0.113.50/32 protocol udp destination-port ==53 then discard";
    net.speaker.add(Family::Ipv4FlowSpec, words).await.unwrap();
    net.router().sees(&foreign).await;

    // An own rule toward the same victim comes and goes,
    net.detector.posts(&udp_flood("203.0.113.50")).await;
    net.router().holds(2).await;
    wait::until("the foreign rule to be counted", wait::PATIENCE, async || {
        let counted =
            net.client.health_detail().await.map_err(|error| error.to_string())?.value.foreign_rules;
        if counted == 1 { Ok(()) } else { Err(counted.to_string()) }
    })
    .await
    .unwrap();
    net.detector.releases(&udp_flood("203.0.113.50")).await;
    net.router().holds(1).await;
    // the daemon is killed, comes back and reconciles,
    net.daemon.kill9();
    net.daemon.start_again().await.unwrap();
    reconciled(&net).await;
    // and ends in order, taking its own rules along.
    net.detector.posts(&udp_flood("203.0.113.51")).await;
    net.router().holds(2).await;
    assert!(net.daemon.sigterm().await.unwrap().success());
    net.router().holds(1).await;

    assert_eq!(net.router().history_of(&foreign).len(), 1, "announced once, and never again touched");
    assert!(net.router().has(&foreign));
}

#[tokio::test(flavor = "multi_thread")]
async fn own_rules_that_nobody_wrote_down_are_withdrawn() {
    let mut net = Network::with_gobgp_4().exabgp().start().await;
    net.detector.posts(&udp_flood("203.0.113.1")).await;
    let orphan = discard("0120 cb007101 038111");
    net.router().sees(&orphan).await;

    net.daemon.kill9();
    std::fs::remove_dir_all(net.folder().join("data")).unwrap();
    net.daemon.start_again().await.unwrap();
    net.router().loses(&orphan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_somebody_deleted_or_replaced_is_announced_again() {
    let step = "{action: police, rate_bps: 8000000, ttl_seconds: 60}";
    let net = Network::with_gobgp_4().exabgp().steps(&[step]).start().await;
    let rule = police(8_000_000, "0120 cb007101 038111");
    net.detector.posts(&udp_flood("203.0.113.1")).await;
    net.router().sees(&rule).await;
    let words = "match destination 203.0.113.1/32 protocol udp";

    net.speaker.delete(Family::Ipv4FlowSpec, words).await.unwrap();
    net.router().loses(&rule).await;
    net.router().sees(&rule).await;

    net.speaker.add(Family::Ipv4FlowSpec, &format!("{words} then discard")).await.unwrap();
    net.router().sees(&discard("0120 cb007101 038111")).await;
    net.router().sees(&rule).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_announces_nothing() {
    let net = Network::with_gobgp_4().exabgp().setting("mode", "dry-run").start().await;
    let answer = net.detector.posts(&udp_flood("203.0.113.1")).await;
    let mitigation = net.mitigation(answer.mitigation_id.unwrap()).await;
    assert_eq!(mitigation.status, MitigationStatus::Active);
    assert!(mitigation.dry_run && !mitigation.bgp.intended && !mitigation.bgp.announced);

    net.detector.posts(&udp_flood("203.0.113.2")).await;
    net.detector.releases(&udp_flood("203.0.113.2")).await;
    // A process that has ended has done everything it would ever do.
    assert!(net.daemon.sigterm().await.unwrap().success());
    assert_eq!(net.speaker.rules(Family::Ipv4FlowSpec).await.unwrap(), Vec::<String>::new());
    assert!(net.router().updates().is_empty());
}

/// Waits until the speaker's table was compared with storage twice from now on, so once as a whole.
async fn reconciled(net: &Network) {
    let runs = async || -> Result<f64, String> {
        let metrics = net.daemon.metrics().await.map_err(|error| error.to_string())?;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("prefixd_reconciliation_runs_total{") && line.contains("success"));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.ok_or_else(|| "no prefixd_reconciliation_runs_total with status success".to_owned())
    };
    let before = runs().await.unwrap();
    wait::until("two reconciliations", wait::PATIENCE, async || {
        let now = runs().await?;
        if now >= before + 2.0 { Ok(()) } else { Err(format!("{now} runs")) }
    })
    .await
    .unwrap();
}

/// Two sites whose speakers share a session: the other one has the same rule already, with the communities of its pop.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_learned_from_another_sites_speaker_occupies_no_route_of_ours() {
    let net = Network::with_gobgp_4().postgres().start().await;
    let seat = RouterSeat::claim(65_131).unwrap();
    let speaker = Gobgpd::v4().neighbor(&seat).start().await.unwrap();
    let here = net.instance_of_pop("ams1", &speaker).await;
    let mut neighbor = BgpNeighbor::start(&seat, &speaker).await.unwrap();
    let attack = udp_flood("203.0.113.77");
    let nlri = [9, 0x01, 0x20, 203, 0, 113, 77, 0x03, 0x81, 17];
    let tags = Tags { not_after: NotAfter(u32::MAX), mitigation: MitigationTag(7) };
    let of_the_other = Owner::new(speaker.asn(), 8955, &"fra1".parse().unwrap()).communities(tags);
    neighbor.discards(&seat, &nlri, &of_the_other).await.unwrap();
    let paths = async || {
        let rib = speaker.rib(Family::Ipv4FlowSpec).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(rib.values().map(|paths| paths.as_array().map_or(0, Vec::len)).collect::<Vec<_>>())
    };
    let learned = wait::until("the learned rule", wait::PATIENCE, async || match paths().await? {
        paths if paths == [1] => Ok(()),
        paths => Err(format!("{paths:?}")),
    });
    learned.await.unwrap();

    let answer = here.detector.posts(&attack).await;
    assert_eq!(answer.mitigation_status, Some(MitigationStatus::Active), "{}", here.daemon.log_tail());
    assert_eq!(paths().await.unwrap(), [2], "both stand there");
    here.detector.releases(&attack).await;
    let alone = wait::until("only the learned rule", wait::PATIENCE, async || match paths().await? {
        paths if paths == [1] => Ok(()),
        paths => Err(format!("{paths:?}")),
    });
    alone.await.unwrap();
}
