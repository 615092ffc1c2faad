//! The daemon is killed for good, and the guard takes its rules out of the routers when their time is over: not earlier,
//! and not much later.

use crate::reliability::intent::{overtimes, own_rules};
use crate::test_network::{Attack, Network, NetworkBuilder, Prefixdctl, program, udp_flood};
use prefix_client::MitigationStatus;
use prefix_testkit::lab::{Family, Guard, wait};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const RULES: u8 = 30;

const TTL: Duration = Duration::from_secs(4);

const GRACE: u8 = 2;

/// From not-after and grace until the router has no rule any more.
const MARGIN: f64 = 1.5;

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_for_good_the_spawned_guard_cleans_the_router_at_not_after_plus_grace() {
    let mut net = guarded(Network::with_gobgp_4(), "spawn").bird().frr().start().await;
    let guard = Guard::of_daemon(&state(&net)).await.unwrap();
    foreign_rule(&net).await;
    net.detector.posts_all(&attacks()).await;
    every_router_holds(&net, usize::from(RULES) + 1).await;
    net.daemon.kill9();
    assert!(guard.is_running(), "it did not outlive the kill of its daemon");

    clean(&net).await;
    let said = in_time(&net);
    every_router_holds(&net, 1).await;
    logs(&guard, usize::from(RULES)).await;
    println!("measured: daemon killed for good, spawned guard: {said}");

    // The next daemon takes over from it, and records what it did.
    net.daemon.start_again().await.unwrap();
    wait::until("rows of rules that the guard took away to end", wait::PATIENCE, async || {
        let expired = net.mitigations(&[MitigationStatus::Expired]).await.len();
        if expired == usize::from(RULES) { Ok(()) } else { Err(expired) }
    })
    .await
    .unwrap();
    let query = prefix_client::AuditQuery {
        action: Some("guard_withdraw".to_owned()),
        ..prefix_client::AuditQuery::default()
    };
    wait::until("audit entries of what the guard did", wait::PATIENCE, async || {
        let entries = net.client.audit(&query).await.map_err(|error| error.to_string())?.value.items.len();
        if entries == usize::from(RULES) { Ok(()) } else { Err(format!("{entries} entries")) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
    let metrics = net.daemon.metrics().await.unwrap();
    let counted = format!("prefixd_guard_withdrawals_total {RULES}");
    assert!(metrics.lines().any(|line| line == counted), "no {counted}");
    let _of_the_next = Guard::of_daemon(&state(&net)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_for_good_a_guard_of_its_own_unit_cleans_the_router_at_not_after_plus_grace() {
    let mut net = guarded(Network::with_gobgp_3(), "external").start().await;
    let guard = Guard::start(&prefixd(), net.folder(), &state(&net)).await.unwrap();
    wait::until("the daemon to see its guard", wait::PATIENCE, async || {
        let seen = net.client.health_detail().await.unwrap().value.guard;
        if seen.as_ref().is_some_and(|guard| guard.alive) { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await
    .unwrap();
    foreign_rule(&net).await;
    net.detector.posts_all(&attacks()).await;
    net.router().holds(usize::from(RULES) + 1).await;
    net.daemon.kill9();

    clean(&net).await;
    logs(&guard, usize::from(RULES)).await;
    println!("measured: daemon killed for good, guard of its own unit: {}", in_time(&net));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_beside_a_living_daemon_withdraws_nothing() {
    let net = guarded(Network::with_gobgp_4(), "spawn").start().await;
    let guard = Guard::of_daemon(&state(&net)).await.unwrap();
    let attacks = attacks();
    let began = Instant::now();
    net.detector.posts_all(&attacks).await;
    net.router().holds(usize::from(RULES)).await;
    // Each rule is wanted for three times as long as it may stand on the wire.
    while began.elapsed() < TTL * 3 {
        net.detector.posts_batch(&attacks).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let updates = net.router().updates();
    assert!(updates.iter().all(prefix_testkit::lab::RouterUpdate::is_announcement), "a rule left");
    // Announced once, and renewed by the timer at half its time on the wire.
    let most = usize::from(RULES) * (1 + 2 * 3 + 1);
    assert!(updates.len() <= most, "{} updates, at most {most} were needed", updates.len());
    assert!(updates.len() > usize::from(RULES) * 3, "the wire was not renewed: {} updates", updates.len());

    net.router().holds(0).await;
    let late = overtimes(&net.router().updates()).into_iter().fold(f64::NEG_INFINITY, f64::max);
    assert!(late < f64::from(GRACE), "the daemon was not ahead of the guard: {late:.1} s");
    assert_eq!(guard.withdrawals(), Vec::<serde_json::Value>::new());
    println!(
        "measured: {RULES} rules held for {:.0?} on a TTL of {TTL:?} by {} updates, gone at most {late:.1} s after \
         not-after, the guard did nothing",
        TTL * 3,
        updates.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_finds_its_speaker_again_after_a_restart_and_after_a_stop() {
    let mut net = guarded(Network::with_gobgp_4(), "spawn").start().await;
    let guard = Guard::of_daemon(&state(&net)).await.unwrap();
    net.speaker.restart().await.unwrap();
    net.router().comes_back().await;
    net.detector.posts_all(&attacks()).await;
    net.router().holds(usize::from(RULES)).await;
    net.daemon.kill9();
    clean(&net).await;
    let said = in_time(&net);
    logs(&guard, usize::from(RULES)).await;

    net.daemon.start_again().await.unwrap();
    let guard = Guard::of_daemon(&state(&net)).await.unwrap();
    net.detector.posts_all(&attacks()).await;
    net.router().holds(usize::from(RULES)).await;
    net.daemon.kill9();
    net.speaker.stop();
    tokio::time::sleep(TTL + Duration::from_secs(u64::from(GRACE) + 3)).await;
    net.speaker.cont();
    let woken = Instant::now();
    clean(&net).await;
    println!(
        "measured: gobgpd restarted under a guard: {said}; stopped over the time of the rules: router clean {:.1?} after \
         SIGCONT",
        woken.elapsed()
    );
    logs(&guard, usize::from(RULES) * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_daemon_and_guard_are_both_killed_a_guard_from_cron_cleans_up() {
    let mut net = guarded(Network::with_gobgp_4(), "spawn").start().await;
    let guard = Guard::of_daemon(&state(&net)).await.unwrap();
    foreign_rule(&net).await;
    net.detector.posts_all(&attacks()).await;
    net.router().holds(usize::from(RULES) + 1).await;
    assert_eq!(guard_status(&net), 0, "all is well");
    net.daemon.kill9();
    guard.kill9();
    // Too early there is nothing to do.
    Guard::once(&prefixd(), net.folder()).await.unwrap();
    assert_eq!(own_rules(&net).len(), usize::from(RULES));
    tokio::time::sleep(TTL + Duration::from_secs(u64::from(GRACE) + 1)).await;
    assert_eq!(own_rules(&net).len(), usize::from(RULES), "nobody is there to take them away");
    assert_eq!(guard_status(&net), 1, "rules are overdue");

    let began = Instant::now();
    Guard::once(&prefixd(), net.folder()).await.unwrap();
    clean(&net).await;
    println!("measured: both killed, `guard --once` cleaned the router in {:.1?}", began.elapsed());
}

/// Waits until the guard has written down so many withdrawals: it does so when it has read back that they are gone.
async fn logs(guard: &Guard, withdrawals: usize) {
    wait::until("the guard to log what it did", wait::PATIENCE, async || {
        let logged = guard.withdrawals().len();
        if logged == withdrawals { Ok(()) } else { Err(logged) }
    })
    .await
    .unwrap();
}

/// What `prefixdctl guard status` says to a script.
fn guard_status(net: &Network) -> i32 {
    let folder = net.folder().to_str().expect("a path in UTF-8");
    Prefixdctl::at(&net.daemon.url()).runs(&["--config", folder, "guard", "status"]).code
}

/// Waits until ExaBGP, BIRD and FRR all hold so many rules.
async fn every_router_holds(net: &Network, count: usize) {
    net.router().holds(count).await;
    let family = Family::Ipv4FlowSpec;
    net.bird().wait_for_routes("the same", family, |routes| routes.len() == count).await.unwrap();
    net.frr().wait_for_count(family, count, wait::PATIENCE).await.unwrap();
}

/// A network whose rules have little time.
fn guarded(network: NetworkBuilder, mode: &str) -> NetworkBuilder {
    let ttl = TTL.as_secs();
    network
        .exabgp()
        .steps(&[&format!("{{action: discard, ttl_seconds: {ttl}}}")])
        .setting("bgp.guard.mode", mode)
        .setting("bgp.guard.grace_seconds", GRACE)
}

fn prefixd() -> PathBuf {
    program("prefixd")
}

/// `state_dir` of a configuration that names none.
fn state(net: &Network) -> PathBuf {
    net.folder().join("data")
}

fn attacks() -> Vec<Attack> {
    (1..=RULES).map(|host| udp_flood(&format!("203.0.113.{host}"))).collect()
}

async fn foreign_rule(net: &Network) {
    let words = "match destination 203.0.113.50/32 protocol udp destination-port ==53 then discard";
    net.speaker.add(Family::Ipv4FlowSpec, words).await.unwrap();
    net.router().holds(1).await;
}

/// Waits until the router holds no rule of ours, and looks whether those of others are still there.
async fn clean(net: &Network) {
    let foreign = net.router().rib().len() - own_rules(net).len();
    wait::until("the router to be clean", wait::PATIENCE, async || {
        let own = own_rules(net).len();
        if own == 0 { Ok(()) } else { Err(format!("{own} own rules")) }
    })
    .await
    .unwrap();
    assert_eq!(net.router().rib().len(), foreign, "a rule of somebody else was touched");
}

/// Every rule left between its not-after and grace, and a moment later. Says so in numbers.
fn in_time(net: &Network) -> String {
    let overtimes = overtimes(&net.router().updates());
    let (first, last) = overtimes
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(first, last), &one| (one.min(first), one.max(last)));
    let grace = f64::from(GRACE);
    assert!(first >= grace, "a rule left {first:.2} s after its not-after, the grace is {grace} s");
    assert!(last <= grace + MARGIN, "a rule stayed {last:.2} s longer than its not-after");
    format!(
        "{} rules left the router {first:.2} to {last:.2} s after not-after (grace {grace} s)",
        overtimes.len()
    )
}
