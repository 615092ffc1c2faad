//! Row 4: how long it takes from the POST of an event until a router has the rule, on an idle system.

use super::database::{self, Inserter};
use super::rig::Rig;
use super::speaker::Speaker;
use super::{Pace, load};
use crate::bench::report::{Bar, Report, Row};
use crate::screen::Screen;
use anyhow::Result;
use std::time::{Duration, Instant};

/// The first number of the yardstick's victims, far from ours.
const BARE: u32 = 1 << 20;

/// Measures ours and the yardstick in turns, so that both have the same weather.
pub(super) async fn measure(screen: Screen, report: &mut Report, pace: Pace) -> Result<()> {
    let mut rig = Rig::start().await?;
    database::prepare(&rig.bare).await?;
    let inserter = Inserter::connect(&rig.bare).await?;
    let mut speaker = Speaker::connect(&rig.speaker).await?;
    let mut connection = load::Connection::open(rig.daemon.http_address()).await?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..u32::try_from(pace.rounds)? {
        rig.peer.forget();
        let victim = load::victim(round);
        let rule = load::rule_of(victim);
        let start = Instant::now();
        let (posted, arrived) = tokio::join!(connection.post(victim), rig.peer.receives(&rule));
        posted?;
        ours.push(arrived? - start);

        let rule = load::rule_of(load::victim(BARE + round));
        let start = Instant::now();
        inserter.insert().await?;
        let (added, arrived) = tokio::join!(speaker.add(&rule), rig.peer.receives(&rule));
        added?;
        bare.push(arrived? - start);
    }
    for (name, share, bar) in [("p50", 0.5, 1.5), ("p99", 0.99, 3.0)] {
        let (ours, bare) = (quantile(&mut ours, share), quantile(&mut bare, share));
        let work = format!("POST to rule at the peer, idle, {name}");
        let row = Row::time("4", work, ours, "one INSERT + one AddPath", bare, Bar::AtMost(bar));
        report.tell(screen, row);
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "hundreds"
)]
pub(super) fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let index = (times.len() as f64 * share) as usize;
    times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
