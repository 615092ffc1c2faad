//! What the routers behind the speaker make of our rules: entries taken, and rules that a platform cannot install.

use std::sync::Arc;

use prefix_core::announcer::{AfiSafi, Route};
use prefix_core::flowspec::Action;
use prefix_core::mitigation::Mitigation;
use prefix_core::name::SpeakerName;
use prefix_core::platform::{self, Platform};

use super::Engine;
use super::reads::standing_at;
use crate::answer::{PeerView, RouterView};
use crate::settings::Neighbor;
use crate::speaker::family_of;

impl Engine {
    /// What the configured routers will not do with a rule.
    pub(super) fn router_warnings(&self, route: &Route, action: &Action) -> Vec<String> {
        let neighbors = &self.settings().neighbors;
        platform::warnings(
            neighbors.iter().map(|neighbor| (neighbor.name.as_str(), neighbor.platform)),
            route,
            action,
        )
    }

    /// What a neighbor makes of the rules that go to it: all announced ones of the families that it carries.
    pub(super) fn router(
        &self,
        name: &str,
        speaker: Option<&SpeakerName>,
        families: &[AfiSafi],
        rows: &[Arc<Mitigation>],
    ) -> RouterView {
        let Some(neighbor) = self.settings().neighbors.iter().find(|neighbor| neighbor.name == name) else {
            return RouterView::default();
        };
        let Neighbor { platform, max_entries, .. } = *neighbor;
        if platform == Platform::Generic && max_entries.is_none() {
            return RouterView::default();
        }
        let mut view = RouterView { platform, max_entries, ..RouterView::default() };
        let mut limited = 0_u64;
        let mut first = None;
        for (row, route) in standing_at(speaker, rows) {
            if !families.contains(&family_of(route)) {
                continue;
            }
            view.entries = view.entries.saturating_add(platform.entries(route));
            if let Some(limit) = platform.limits(route, &row.action).into_iter().next() {
                limited += 1;
                first.get_or_insert_with(|| format!("{limit} ({route})"));
            }
        }
        view.problems.extend(platform.caveat().map(str::to_owned));
        view.problems.extend(
            first.map(|first| format!("{limited} rules are not done as announced, such as: {first}")),
        );
        view.problems.extend(view.excess().map(|(entries, most)| {
            format!(
                "our rules take {entries} entries, max_entries is {most}: what does not fit is not installed"
            )
        }));
        view
    }
}

/// The neighbors whose memory our rules exceed, in words.
pub(super) fn overfull(peers: &[PeerView]) -> impl Iterator<Item = String> {
    peers.iter().filter_map(|peer| {
        let (entries, most) = peer.router.excess()?;
        let (name, platform) = (&peer.name, peer.router.platform);
        Some(format!(
            "router {name} ({platform}): our rules take {entries} entries, bgp.neighbors says max_entries {most}: what does \
             not fit is not installed"
        ))
    })
}
