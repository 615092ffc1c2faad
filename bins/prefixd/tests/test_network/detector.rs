//! A detector: says over HTTP that an attack began, goes on, or is over.

use super::Attack;
use prefix_client::{ApiError, BatchAnswer, Client, EventAnswer, EventStatus};

/// A source of events.
#[derive(Debug, Clone)]
pub(crate) struct Detector {
    source: String,
    client: Client,
}

impl Detector {
    pub(super) fn new(source: &str, client: Client) -> Self {
        Self { source: source.to_owned(), client }
    }

    /// Another detector of the same network.
    pub(crate) fn named(&self, source: &str) -> Self {
        Self { source: source.to_owned(), client: self.client.clone() }
    }

    /// Says that the attack began, or goes on.
    pub(crate) async fn posts(&self, attack: &Attack) -> EventAnswer {
        self.tries(attack).await.unwrap_or_else(|error| panic!("{attack:?} was refused: {error}"))
    }

    /// The same, where the test is about the refusal.
    pub(crate) async fn tries(&self, attack: &Attack) -> Result<EventAnswer, ApiError> {
        self.client.send_event(&attack.ban(&self.source), false).await.map(|reply| reply.value)
    }

    /// Says that the attack is over.
    pub(crate) async fn releases(&self, attack: &Attack) -> EventAnswer {
        let event = attack.unban(&self.source);
        let answer = self.client.send_event(&event, false).await;
        answer.unwrap_or_else(|error| panic!("the end of {attack:?} was refused: {error}")).value
    }

    /// Posts all the attacks, a hundred in one request; every one makes a mitigation.
    pub(crate) async fn posts_all(&self, attacks: &[Attack]) {
        for attacks in attacks.chunks(100) {
            let answer = self.posts_batch(attacks).await;
            for (result, attack) in answer.results.iter().zip(attacks) {
                assert_eq!(result.status, EventStatus::Accepted, "{attack:?}: {result:?}");
            }
        }
    }

    /// Posts at most a hundred attacks in one request.
    pub(crate) async fn posts_batch(&self, attacks: &[Attack]) -> BatchAnswer {
        let events: Vec<_> = attacks.iter().map(|attack| attack.ban(&self.source)).collect();
        let answer = self.client.send_events(&events).await;
        answer.unwrap_or_else(|error| panic!("a batch was refused: {error}")).value
    }
}
