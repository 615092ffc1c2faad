//! Unknown credentials: one look at storage for all that wait, and at most twenty looks a second.

use std::sync::Arc;
use std::time::Duration;

use prefix_core::access::CredentialDigest;
use prefix_core::ports::StoreError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::AccessControl;

/// So many may wait.
pub(super) const WAITING: usize = 4096;
/// So many are looked at together.
const AT_ONCE: usize = 1000;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A request that waits for a look at a credential.
pub(super) struct Lookup {
    digest: CredentialDigest,
    done: oneshot::Sender<Result<(), StoreError>>,
}

impl Lookup {
    /// And the end of it.
    pub(super) fn new(digest: CredentialDigest) -> (Self, oneshot::Receiver<Result<(), StoreError>>) {
        let (done, answer) = oneshot::channel();
        (Self { digest, done }, answer)
    }
}

/// Looks at what is asked for.
pub(super) async fn run(access: Arc<AccessControl>, mut asked: mpsc::Receiver<Lookup>) {
    let mut waiting = Vec::new();
    while asked.recv_many(&mut waiting, AT_ONCE).await > 0 {
        // who has hung up needs no answer
        waiting.retain(|lookup: &Lookup| !lookup.done.is_closed());
        let mut digests: Vec<CredentialDigest> = waiting.iter().map(|lookup| lookup.digest).collect();
        digests.sort_unstable();
        digests.dedup();
        if digests.is_empty() {
            continue;
        }
        let found = access.look(&digests).await;
        for lookup in waiting.drain(..) {
            let _ = lookup.done.send(found.clone());
        }
        sleep(PAUSE).await;
    }
}
