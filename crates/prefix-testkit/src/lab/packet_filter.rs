//! The packet filter of a router: FlowSpec rules in a given order, enforced by nftables.
//!
//! What differs from hardware: a policer of octets is a token bucket that begins full and holds a second of its rate (nftables
//! adds that to any burst), it counts the octets of the IP packet, and a rule costs nothing, however many ranges it has.

mod ruleset;

use super::folder::Folder;
use super::{LabError, Namespace, RouterUpdate, nft};
use std::sync::Arc;

const TABLE: &str = "inet prefixd_forwarding";

/// A router that forwards between its devices, except what its rules drop. Sources are not checked: they are forged.
#[derive(Debug)]
pub struct PacketFilter {
    namespace: Arc<Namespace>,
    folder: Folder,
}

/// What a rule of a filter did since it was installed, in packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleCount {
    /// Packets that the rule decided about.
    pub matched: u64,
    /// Those that it dropped.
    pub dropped: u64,
}

impl PacketFilter {
    /// Makes `namespace` forward packets, all of them until rules are installed.
    ///
    /// # Errors
    /// [`LabError::Command`] without the right to.
    pub async fn in_router(namespace: &Arc<Namespace>) -> Result<Self, LabError> {
        let switches = "cd /proc/sys/net; echo 1 > ipv4/ip_forward; echo 1 > ipv6/conf/all/forwarding; \
                        for one in ipv4/conf/*/rp_filter; do echo 0 > $one; done";
        namespace.run(&["sh", "-c", switches]).await?;
        let filter = Self { namespace: namespace.clone(), folder: Folder::new("filter")? };
        filter.install(&[]).await?;
        Ok(filter)
    }

    /// Replaces all rules by these. The first one that matches a packet decides about it (RFC 8955 §5.1, whose order is the
    /// caller's to make). Routes of other families are left out.
    ///
    /// # Errors
    /// [`LabError::Unreadable`] for a rule that could only be enforced in part; the rules of before stay.
    pub async fn install(&self, rules: &[RouterUpdate]) -> Result<(), LabError> {
        let text = ruleset::ruleset(TABLE, rules).map_err(|problem| LabError::Unreadable {
            part: "the router",
            problem,
            text: rules.iter().map(RouterUpdate::nlri_hex).collect::<Vec<_>>().join(" "),
        })?;
        nft::load(&self.namespace, &self.folder, &text).await
    }

    /// What each of `rules` rules did, in the order in which they were installed.
    ///
    /// # Errors
    /// [`LabError::Command`], [`LabError::Unreadable`].
    pub async fn counts(&self, rules: usize) -> Result<Vec<RuleCount>, LabError> {
        let counters = nft::counters(&self.namespace, TABLE).await?;
        let of = |name: String| counters.get(&name).copied().unwrap_or_default();
        let count =
            |index| RuleCount { matched: of(ruleset::matched(index)), dropped: of(ruleset::dropped(index)) };
        Ok((0..rules).map(count).collect())
    }
}
