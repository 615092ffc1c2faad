//! Accepted means durable, refused means not stored: when the daemon is killed, and when its database is.

use crate::test_network::{Network, NetworkBuilder, RawHttp, udp_flood};
use prefix_client::{EventId, EventQuery, MitigationStatus};
use prefix_testkit::lab::wait;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const POSTERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_an_accepted_event_survives_kill_9_a_microsecond_later() {
    survives_kill_9(Network::with_gobgp_4(), 0x5eed_0001).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_an_accepted_event_survives_kill_9_a_microsecond_later() {
    survives_kill_9(Network::with_gobgp_4().postgres(), 0x5eed_0002).await;
}

async fn survives_kill_9(network: NetworkBuilder, seed: u32) {
    const ROUNDS: usize = 15;
    let steps = ["{action: discard, ttl_seconds: 600}"];
    let mut net = network.exabgp().steps(&steps).start().await;
    let victims = Arc::new(AtomicU32::new(0));
    let mut random = Random(seed);
    let mut accepted = Vec::new();
    for round in 0..ROUNDS {
        let (results, mut told) = mpsc::unbounded_channel();
        let posters = post_until_it_breaks(net.raw, &victims, &results);
        drop(results);
        // Killed the moment that the answer to one of the first twenty events is in.
        let last = random.below(20);
        let mut of_this_round = Vec::new();
        while let Some(told) = told.recv().await {
            if let PostResult::Accepted(event) = told {
                of_this_round.push(event);
                if of_this_round.len() > last {
                    break;
                }
            }
        }
        net.daemon.kill9();
        posters.join_all().await;
        while let Some(told) = told.recv().await {
            if let PostResult::Accepted(event) = told {
                of_this_round.push(event);
            }
        }
        assert!(!of_this_round.is_empty(), "round {round}, seed {seed:#x}");
        accepted.extend(of_this_round);
        net.daemon.start_again().await.unwrap();
    }

    for id in &accepted {
        let event = net.client.event(*id).await;
        let event =
            event.unwrap_or_else(|error| panic!("an accepted event is lost (seed {seed:#x}): {error}"));
        let mitigation = net.mitigation(event.value.mitigation_id.expect("its mitigation")).await;
        assert!(!mitigation.status.is_final(), "{mitigation:?}");
    }
    // And everything written down is announced, nothing else.
    let living = [MitigationStatus::Pending, MitigationStatus::Active];
    let count = net.mitigations(&living).await.len();
    assert!(count >= accepted.len());
    net.router().holds(count).await;
    net.router().kept_its_session();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_refused_because_the_database_is_gone_is_not_stored() {
    let mut net = Network::with_gobgp_4().exabgp().own_postgres().start().await;
    let victims = Arc::new(AtomicU32::new(0));
    for _ in 0..3 {
        let (results, mut told) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicUsize::new(0));
        let posters = post_until_told(net.raw, &victims, &results, &stop);
        drop(results);
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        let mut stopped = false;
        while let Some(told) = told.recv().await {
            match told {
                PostResult::Accepted(event) => accepted.push(event),
                PostResult::Refused(victim) => refused.push(victim),
            }
            if accepted.len() >= 20 && !stopped {
                net.postgres.as_ref().unwrap().stop_immediate().await.unwrap();
                stopped = true;
            }
            if refused.len() >= 20 {
                stop.store(1, Ordering::Relaxed);
            }
        }
        posters.join_all().await;
        net.postgres.as_mut().unwrap().start_again().await.unwrap();
        net.daemon.wait_until_ready().await.unwrap();

        for id in &accepted {
            net.client.event(*id).await.unwrap_or_else(|error| panic!("an accepted event is lost: {error}"));
        }
        let stored = stored_episodes(&net).await;
        let lied: Vec<_> = refused.iter().filter(|episode| stored.contains(*episode)).collect();
        assert!(lied.is_empty(), "refused with 503, and stored: {lied:?}\n{}", net.daemon.log());
    }

    // Detectors send again what was refused, and the daemon serves on as if nothing had been.
    let answer = net.detector.posts(&udp_flood("203.0.113.10")).await;
    net.mitigation_becomes(answer.mitigation_id.unwrap(), &MitigationStatus::Active).await;
    let living = [MitigationStatus::Pending, MitigationStatus::Active];
    let count = net.mitigations(&living).await.len();
    net.router().holds(count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_leave_on_time_while_the_database_is_gone() {
    let steps = ["{action: discard, ttl_seconds: 4}"];
    let mut net = Network::with_gobgp_4().exabgp().own_postgres().steps(&steps).start().await;
    let id = net.detector.posts(&udp_flood("203.0.113.10")).await.mitigation_id.unwrap();
    net.router().holds(1).await;
    net.postgres.as_ref().unwrap().stop_immediate().await.unwrap();
    net.router().holds(0).await;
    net.postgres.as_mut().unwrap().start_again().await.unwrap();
    net.daemon.wait_until_ready().await.unwrap();
    net.mitigation_becomes(id, &MitigationStatus::Expired).await;
}

/// What a poster heard.
enum PostResult {
    /// 202 for the event with this id.
    Accepted(EventId),
    /// 5xx for the event with this id of the detector.
    Refused(String),
}

/// Posters that go on until the daemon does not answer any more.
fn post_until_it_breaks(
    raw: RawHttp,
    victims: &Arc<AtomicU32>,
    results: &mpsc::UnboundedSender<PostResult>,
) -> JoinSet<()> {
    let mut posters = JoinSet::new();
    for _ in 0..POSTERS {
        let (victims, results) = (victims.clone(), results.clone());
        posters.spawn(async move { while post_one(raw, &victims, &results).await.is_ok() {} });
    }
    posters
}

/// Posters that go on, through refusals and lost connections, until they are told to stop.
fn post_until_told(
    raw: RawHttp,
    victims: &Arc<AtomicU32>,
    results: &mpsc::UnboundedSender<PostResult>,
    stop: &Arc<AtomicUsize>,
) -> JoinSet<()> {
    let mut posters = JoinSet::new();
    for _ in 0..POSTERS {
        let (victims, results, stop) = (victims.clone(), results.clone(), stop.clone());
        posters.spawn(async move {
            while stop.load(Ordering::Relaxed) == 0 {
                let _ = post_one(raw, &victims, &results).await;
            }
        });
    }
    posters
}

async fn post_one(
    raw: RawHttp,
    victims: &AtomicU32,
    results: &mpsc::UnboundedSender<PostResult>,
) -> std::io::Result<()> {
    let number = victims.fetch_add(1, Ordering::Relaxed);
    let [_, b, c, d] = number.to_be_bytes();
    let episode = format!("episode-{number}");
    let attack = udp_flood(&format!("10.{}.{c}.{d}", 200 + b)).episode(episode.clone());
    let answer = raw.post("/v1/events", attack.document("netflow").to_string().as_bytes()).await?;
    let told = match answer.status {
        202 => PostResult::Accepted(answer.json()["event_id"].as_str().unwrap().parse().unwrap()),
        503 => PostResult::Refused(episode),
        status => panic!("{status} {}", answer.json()),
    };
    // Nobody listens any more when the round is over.
    let _ = results.send(told);
    Ok(())
}

/// The detector's ids of all stored events.
async fn stored_episodes(net: &Network) -> HashSet<String> {
    let mut query = EventQuery::default();
    query.page.limit = Some(1000);
    let stored = wait::until("the list of events", wait::PATIENCE, async || {
        let mut pages = net.client.all_events(&query);
        let mut stored = HashSet::new();
        while let Some(page) = pages.next_page().await? {
            stored.extend(page.value.items.into_iter().filter_map(|event| event.external_event_id));
        }
        Ok::<_, prefix_client::ApiError>(stored)
    });
    stored.await.unwrap()
}

/// A small generator of numbers that are the same in every run (xorshift32).
struct Random(u32);

impl Random {
    fn below(&mut self, bound: u32) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 % bound) as usize
    }
}
