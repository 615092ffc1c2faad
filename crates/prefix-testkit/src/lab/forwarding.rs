//! The forwarding plane of a receiving router: what it received is what its packet filter enforces.

use super::{Exabgp, LabError, Namespace, PacketFilter};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// The time between two reads of the router's table.
const PAUSE: Duration = Duration::from_millis(20);

/// A router that forwards between its devices and enforces what it receives, until it is dropped.
#[derive(Debug)]
pub struct Forwarding {
    enforcing: JoinHandle<()>,
}

impl Forwarding {
    /// Makes `namespace` forward packets, except those that the rules of `router` drop.
    ///
    /// # Errors
    /// [`LabError::Command`] without the right to.
    pub async fn start(namespace: &Arc<Namespace>, router: &Arc<Exabgp>) -> Result<Self, LabError> {
        let filter = PacketFilter::in_router(namespace).await?;
        let router = router.clone();
        let enforcing = tokio::spawn(async move {
            let mut enforced = Vec::new();
            loop {
                tokio::time::sleep(PAUSE).await;
                // a router that is being stopped has no table
                let Ok(held) = router.rib() else { continue };
                if held != enforced && filter.install(&held).await.is_ok() {
                    enforced = held;
                }
            }
        });
        Ok(Self { enforcing })
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.enforcing.abort();
    }
}
