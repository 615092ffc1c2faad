//! Rows 1 and 3: how many events a second become new rules, and how many renew rules that live.

use super::rig::Rig;
use super::{Pace, database, load};
use crate::bench::report::{Bar, Report, Row};
use crate::screen::Screen;
use anyhow::Result;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const CONNECTIONS: [usize; 2] = [16, 64];

/// Victims that repeated events are about.
const REPEATED: u32 = 1_000;

/// Measures both rows, first with few rules, then with many.
pub(super) async fn measure(screen: Screen, report: &mut Report, pace: Pace) -> Result<()> {
    let rig = Rig::start().await?;
    database::prepare(&rig.bare).await?;
    let next = Arc::new(AtomicU32::new(0));
    crowd(&rig, &next, REPEATED as usize).await?;

    for connections in CONNECTIONS {
        let bare = database::transactions_per_second(&rig.bare, 1, connections, pace.seconds).await?;
        let ours = repeated_events(&rig, connections, pace).await?;
        let work = format!("repeated events/s on live mitigations, {connections} connections");
        let row = Row::rate("3", work, ours, "pgbench, one INSERT", bare, Bar::AtLeast(0.5));
        report.tell(screen, row);
    }
    let mut with_few = Vec::new();
    for connections in CONNECTIONS {
        let bare = database::transactions_per_second(&rig.bare, 3, connections, pace.seconds).await?;
        let ours = new_mitigations(&rig, &next, connections, pace).await?;
        let work = format!("new mitigations/s, in the RIB, {connections} connections");
        let row = Row::rate("1", work, ours, "pgbench, three INSERTs", bare, Bar::AtLeast(0.9));
        report.tell(screen, row);
        with_few.push(ours);
    }
    crowd(&rig, &next, pace.crowd).await?;
    for (connections, with_few) in CONNECTIONS.into_iter().zip(with_few) {
        let ours = new_mitigations(&rig, &next, connections, pace).await?;
        let work = format!("new mitigations/s with {} live rules, {connections} connections", pace.crowd);
        let row = Row::rate("1", work, ours, "the same with few", with_few, Bar::AtLeast(0.9));
        report.tell(screen, row);
    }
    Ok(())
}

/// Sees to it that at least so many rules live and are announced.
async fn crowd(rig: &Rig, next: &AtomicU32, count: usize) -> Result<()> {
    let mut connection = load::Connection::open(rig.daemon.http_address()).await?;
    while (next.load(Ordering::Relaxed) as usize) < count {
        let first = next.fetch_add(100, Ordering::Relaxed);
        connection.post_all((first..first + 100).map(load::victim)).await?;
    }
    rig.peer.has_announced(next.load(Ordering::Relaxed) as usize).await
}

/// Committed, and at the peer behind the speaker: the time ends when the last one arrived there.
async fn new_mitigations(rig: &Rig, next: &Arc<AtomicU32>, connections: usize, pace: Pace) -> Result<f64> {
    let before = rig.peer.announced();
    let time = Duration::from_secs(pace.seconds);
    let (accepted, start) =
        load::run(rig.daemon.http_address(), connections, time, next, load::victim).await?;
    rig.peer.has_announced(before + accepted).await?;
    Ok(per_second(accepted, start))
}

async fn repeated_events(rig: &Rig, connections: usize, pace: Pace) -> Result<f64> {
    fn repeated(number: u32) -> Ipv4Addr {
        load::victim(number % REPEATED)
    }
    let (next, time) = (Arc::new(AtomicU32::new(0)), Duration::from_secs(pace.seconds));
    let (accepted, start) = load::run(rig.daemon.http_address(), connections, time, &next, repeated).await?;
    Ok(per_second(accepted, start))
}

#[expect(clippy::cast_precision_loss, reason = "counts of some seconds")]
fn per_second(count: usize, start: Instant) -> f64 {
    count as f64 / start.elapsed().as_secs_f64()
}
