//! The audit chain of the pop grows: the leader seals what every instance has written, soon after the commit and at
//! least each second (metrics-and-feeds.md §4).

use std::sync::Arc;
use std::time::Duration;

use prefix_core::Store;
use prefix_core::audit_chain::{ChainHash, ChainHead, Verdict, Verifier};
use prefix_core::name::Pop;
use prefix_core::ports::StoreError;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::leadership::Leadership;
use crate::task_context::TaskContext;

/// Entries sealed in one transaction.
const AT_ONCE: u32 = 500;
/// Entries read at once by a check.
const PAGE: u32 = 500;
/// Commits of so long are sealed together.
const GATHER: Duration = Duration::from_millis(100);
/// The longest wait: other instances write too, and notify nobody here.
const PERIOD: Duration = Duration::from_millis(900);

/// Seals while this instance leads, until `stop`; `to_seal` is notified when entries wait.
pub(crate) async fn run(context: TaskContext, to_seal: Arc<Notify>, stop: CancellationToken) {
    let TaskContext { settings, store, leadership, .. } = &context;
    let mut failed = false;
    loop {
        let wait = async {
            let _ = timeout(PERIOD, to_seal.notified()).await;
            sleep(GATHER).await;
        };
        if stop.run_until_cancelled(wait).await.is_none() {
            return;
        }
        let result = seal_all(&**store, leadership, &settings.pop).await;
        if let Err(error) = &result
            && !failed
        {
            warn!(%error, "audit entries cannot be sealed yet");
        }
        failed = result.is_err();
    }
}

/// Seals whatever is there.
pub(crate) async fn seal_all(
    store: &dyn Store,
    leadership: &Leadership,
    pop: &Pop,
) -> Result<(), StoreError> {
    while let Some(epoch) = leadership.leading() {
        match store.seal_audit(pop, epoch, AT_ONCE).await {
            Ok(sealed) if sealed < AT_ONCE => break,
            Ok(_) => {}
            Err(StoreError::Deposed) => {
                leadership.deposed(epoch);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Checks the chain of the pop from one number to another (`None` = from its beginning, to its end), and whether a
/// hash that was noted earlier is part of it.
pub(crate) async fn verify(
    store: &dyn Store,
    pop: &Pop,
    from: Option<i64>,
    to: Option<i64>,
    expect: Option<ChainHash>,
) -> Result<Verdict, StoreError> {
    let from = from.unwrap_or(1).max(1);
    let head = store.audit_chain_head(pop).await?;
    let newest = head.map_or(i64::MAX, |head| head.seq);
    let last = to.map_or(newest, |to| to.min(newest));
    let before = if from > 1 {
        let found = store.audit_chain(pop, from - 1, 1).await?;
        let seal = found.first().and_then(|entry| entry.seal).filter(|seal| seal.seq == from - 1);
        seal.map(|seal| ChainHead { seq: seal.seq, hash: seal.hash })
    } else {
        None
    };
    let mut verifier = Verifier::new(from, before, expect);
    let mut next = from;
    let mut end = None;
    'pages: while next <= last {
        let entries = store.audit_chain(pop, next, PAGE).await?;
        if entries.is_empty() {
            break;
        }
        for entry in &entries {
            let Some(seal) = entry.seal else { continue };
            if seal.seq > last {
                break 'pages;
            }
            if !verifier.check(entry) {
                break 'pages;
            }
            end = Some(ChainHead { seq: seal.seq, hash: seal.hash });
            next = seal.seq + 1;
        }
    }
    let expected_end = match head {
        Some(head) if last >= head.seq => Some(head),
        // the end of what was asked for: only its number is known beforehand
        Some(_) if last >= from => {
            Some(end.filter(|end| end.seq == last).unwrap_or(ChainHead { seq: last, hash: ChainHash::ZERO }))
        }
        _ => None,
    };
    Ok(verifier.finish(expected_end))
}
