//! A router that receives rules and remembers every UPDATE: what was really sent.

use super::Rule;
use prefix_testkit::lab::{Exabgp, LabError, RouterUpdate, wait};
use std::sync::Arc;
use std::time::Duration;

/// The receiving router of a test.
#[derive(Debug)]
pub(crate) struct Router(pub(super) Arc<Exabgp>);

impl Router {
    /// The program behind it.
    pub(crate) fn exabgp(&self) -> &Arc<Exabgp> {
        &self.0
    }

    /// Waits until the router holds the rule, and returns the announcement that it holds.
    pub(crate) async fn sees(&self, rule: &Rule) -> RouterUpdate {
        self.sees_within(rule, wait::PATIENCE).await
    }

    /// The same, in a given time.
    pub(crate) async fn sees_within(&self, rule: &Rule, patience: Duration) -> RouterUpdate {
        let seen = wait::until(format!("the router to hold {rule:?}"), patience, async || {
            let rib = self.rib();
            let found = rib.iter().find(|update| rule.is_announced_by(update)).cloned();
            found.ok_or_else(|| told(&rib))
        });
        seen.await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until the router holds nothing with the components of the rule.
    pub(crate) async fn loses(&self, rule: &Rule) {
        let gone = wait::until(format!("the router to lose {rule:?}"), wait::PATIENCE, async || {
            let rib = self.rib();
            if rib.iter().any(|update| rule.is_of(update)) { Err(told(&rib)) } else { Ok(()) }
        });
        gone.await.unwrap_or_else(|error: LabError| panic!("{error}"));
    }

    /// Waits until the router holds as many rules as said.
    pub(crate) async fn holds(&self, count: usize) {
        self.holds_within(count, wait::PATIENCE).await;
    }

    /// The same, in a given time.
    pub(crate) async fn holds_within(&self, count: usize, patience: Duration) {
        self.0.wait_for_rib_size(count, patience).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Whether the router holds the rule now.
    pub(crate) fn has(&self, rule: &Rule) -> bool {
        self.rib().iter().any(|update| rule.is_announced_by(update))
    }

    /// Everything that happened to the components of the rule, in order.
    pub(crate) fn history_of(&self, rule: &Rule) -> Vec<RouterUpdate> {
        self.updates().into_iter().filter(|update| rule.is_of(update)).collect()
    }

    /// What it holds now.
    pub(crate) fn rib(&self) -> Vec<RouterUpdate> {
        self.0.rib().unwrap()
    }

    /// Everything received.
    pub(crate) fn updates(&self) -> Vec<RouterUpdate> {
        self.0.updates().unwrap()
    }

    /// Panics if the session was ever lost.
    pub(crate) fn kept_its_session(&self) {
        assert_eq!(self.0.times_up().unwrap(), 1, "ExaBGP's session was lost\n{}", self.0.log());
    }

    /// Waits until the session is up again, after the speaker was away.
    pub(crate) async fn comes_back(&self) {
        self.0.wait_until_up().await.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// What a router holds, in few words for an error.
fn told(rib: &[RouterUpdate]) -> String {
    let told: Vec<String> = rib
        .iter()
        .take(10)
        .map(|update| format!("{} {:?}", update.nlri_hex(), update.extended_communities_hex()))
        .collect();
    format!("{} rules: {}", rib.len(), told.join("; "))
}
