//! Detectors under load that never give up: each post has a key of its own and is sent again until it is answered.

use crate::reliability::random::Random;
use crate::test_network::{Attack, RawAnswer, RawHttp, udp_flood};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// The detector that all posters play.
pub(crate) const SOURCE: &str = "netflow";

/// How long a poster waits before it sends again what was not answered, and between two posts.
const PAUSE: Duration = Duration::from_millis(10);

/// What one poster knows: what it posted, and what it was told.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Our id of each acknowledged event, in order.
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Answers 503, each of which said when to come again.
    pub(crate) refused: u64,
    /// Requests that broke off or met a closed door.
    pub(crate) unanswered: u64,
}

/// An event that was answered with 2xx.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledged {
    /// The id that the answer gave it.
    pub(crate) event_id: String,
    /// The detector's own id.
    pub(crate) episode: String,
    /// The mitigation that the answer named.
    pub(crate) mitigation_id: Option<String>,
    /// Whether the answer came only after an attempt that was not answered.
    pub(crate) repeated: bool,
}

/// Posters at work.
#[derive(Debug)]
pub(crate) struct Posters {
    tasks: JoinSet<Ledger>,
    ending: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

impl Posters {
    /// Starts `count` posters on connections of their own. A poster posts bans of victims of its own, repeats them, and
    /// takes them back, as `random` says.
    pub(crate) fn start(raw: RawHttp, count: u8, random: &mut Random) -> Self {
        let (mut tasks, ending) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        let acknowledged = Arc::new(AtomicU64::new(0));
        for number in 0..count {
            let poster = Poster {
                raw,
                number,
                random: random.fork(),
                ending: ending.clone(),
                total: acknowledged.clone(),
                posted: 0,
                victims: 0,
                ledger: Ledger::default(),
            };
            tasks.spawn(poster.work());
        }
        Self { tasks, ending, acknowledged }
    }

    /// How many events were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Lets each poster bring its last post to an answer, and returns what they know.
    pub(crate) async fn end(self) -> Ledger {
        self.ending.store(true, Ordering::Relaxed);
        let mut whole = Ledger::default();
        for ledger in self.tasks.join_all().await {
            whole.acknowledged.extend(ledger.acknowledged);
            whole.refused += ledger.refused;
            whole.unanswered += ledger.unanswered;
        }
        whole
    }
}

impl Ledger {
    /// The acknowledged events by our id.
    pub(crate) fn by_event(&self) -> BTreeMap<&str, &Acknowledged> {
        self.acknowledged.iter().map(|one| (one.event_id.as_str(), one)).collect()
    }
}

struct Poster {
    raw: RawHttp,
    number: u8,
    random: Random,
    ending: Arc<AtomicBool>,
    total: Arc<AtomicU64>,
    posted: u64,
    victims: u64,
    ledger: Ledger,
}

impl Poster {
    async fn work(mut self) -> Ledger {
        while !self.ending.load(Ordering::Relaxed) {
            let (victim, is_ban) = match self.random.below(100) {
                0..50 => (self.new_victim(), true),
                50..80 => (self.an_old_victim(), true),
                _ => (self.an_old_victim(), false),
            };
            let attack = self.attack(victim);
            let event = if is_ban { attack.ban(SOURCE) } else { attack.unban(SOURCE) };
            let body = serde_json::to_vec(&event).unwrap();
            self.send_until_answered(&body, event.event_id.unwrap()).await;
            tokio::time::sleep(PAUSE).await;
        }
        self.ledger
    }

    fn new_victim(&mut self) -> u64 {
        self.victims += 1;
        self.victims
    }

    fn an_old_victim(&mut self) -> u64 {
        // Of the last few, because those live.
        let back = self.random.below(20);
        self.victims.saturating_sub(back).max(1)
    }

    /// Victims of one poster are no other's.
    fn attack(&self, victim: u64) -> Attack {
        let [_, _, _, _, _, _, high, low] = victim.to_be_bytes();
        let episode = format!("{}-{victim}", self.number);
        udp_flood(&format!("10.{}.{high}.{low}", 200 + self.number)).episode(episode)
    }

    async fn send_until_answered(&mut self, body: &[u8], episode: String) {
        self.posted += 1;
        let headers = format!(
            "Content-Type: application/json\r\nIdempotency-Key: poster-{}-{}\r\n",
            self.number, self.posted
        );
        let mut repeated = false;
        loop {
            match self.raw.request("POST", "/v1/events", &headers, body).await {
                Ok(answer) if answer.status == 202 => {
                    let acknowledged = acknowledged(&answer, episode, repeated);
                    self.ledger.acknowledged.push(acknowledged);
                    self.total.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Ok(answer) => {
                    assert_eq!(answer.status, 503, "{}", answer.json());
                    assert!(
                        answer.head.contains("\nretry-after:"),
                        "503 without Retry-After: {}",
                        answer.head
                    );
                    self.ledger.refused += 1;
                }
                Err(_) => self.ledger.unanswered += 1,
            }
            repeated = true;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn acknowledged(answer: &RawAnswer, episode: String, repeated: bool) -> Acknowledged {
    let document = answer.json();
    let text = |name: &str| document[name].as_str().map(str::to_owned);
    let event_id = text("event_id").unwrap_or_else(|| panic!("an answer without event_id: {document}"));
    Acknowledged { event_id, episode, mitigation_id: text("mitigation_id"), repeated }
}
