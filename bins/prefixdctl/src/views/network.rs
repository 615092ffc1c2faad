//! Peers, sites and counts as rows.

use crate::human::span;
use crate::output::{Cell, Column, Shown, Tone};
use prefix_client::{Bucket, Peer, PeerState, Pop, PopCount, Stats};

/// The colour of a session's state.
fn peer_tone(state: &PeerState) -> Tone {
    match state {
        PeerState::Established => Tone::Good,
        PeerState::Unknown => Tone::Warn,
        _ => Tone::Bad,
    }
}

/// The columns of BGP neighbours.
pub(crate) const PEERS: &[Column<Peer>] = &[
    Column::new("name", Shown::Always, |row| match &row.speaker {
        Some(speaker) => Cell::text(format!("{} at {speaker}", row.name)),
        None => Cell::text(&row.name),
    }),
    Column::new("address", Shown::Always, |row| Cell::optional(row.address)),
    Column::new("asn", Shown::Always, |row| Cell::optional(row.asn)),
    Column::new("state", Shown::Always, |row| Cell::Toned(peer_tone(&row.state), row.state.to_string())),
    Column::new("up", Shown::Table, |row| {
        let up = row.uptime_seconds.filter(|_| row.state == PeerState::Established);
        Cell::optional(up.map(span))
    }),
    Column::new("uptime_seconds", Shown::Wide, |row| Cell::optional(row.uptime_seconds)),
    Column::new("families", Shown::Wide, |row| Cell::list(&row.families)),
    Column::new("rules", Shown::Always, |row| Cell::optional(row.announced_rules)),
    Column::new("profile", Shown::Wide, |row| Cell::text(&row.profile)),
    Column::new("entries", Shown::Wide, |row| Cell::text(entries(row))),
    Column::new("problems", Shown::Always, |row| Cell::list(&row.problems)),
];

/// The entries that rules take in a router, and how many there are.
fn entries(peer: &Peer) -> String {
    match peer.max_entries {
        Some(most) => format!("{} of {most}", peer.entries),
        None => peer.entries.to_string(),
    }
}

/// The columns of sites.
pub(crate) const POPS: &[Column<Pop>] = &[
    Column::new("pop", Shown::Always, |row| Cell::text(&row.pop)),
    Column::new("active", Shown::Always, |row| Cell::text(row.active_mitigations)),
    Column::new("total", Shown::Always, |row| Cell::text(row.total_mitigations)),
];

/// The columns of the totals.
pub(crate) const TOTALS: &[Column<Stats>] = &[
    Column::new("active", Shown::Always, |row| Cell::text(row.total_active)),
    Column::new("mitigations", Shown::Always, |row| Cell::text(row.total_mitigations)),
    Column::new("events", Shown::Always, |row| Cell::text(row.total_events)),
];

/// The columns of the totals by site.
pub(crate) const POP_COUNTS: &[Column<PopCount>] = &[
    Column::new("pop", Shown::Always, |row| Cell::text(&row.pop)),
    Column::new("active", Shown::Always, |row| Cell::text(row.active)),
    Column::new("total", Shown::Always, |row| Cell::text(row.total)),
];

/// The columns of a series: each row carries the largest count, against which its bar is drawn.
pub(crate) const TIMESERIES: &[Column<(Bucket, u64)>] = &[
    Column::new("bucket_utc", Shown::Table, |(bucket, _)| Cell::text(bucket.bucket.format("%a %H:%M"))),
    Column::new("bucket", Shown::Wide, |(bucket, _)| Cell::Time(bucket.bucket)),
    Column::new("count", Shown::Always, |(bucket, _)| Cell::text(bucket.count)),
    Column::new("", Shown::Table, |(bucket, largest)| Cell::Toned(Tone::Plain, bar(bucket.count, *largest))),
];

/// A bar of at most 40 characters; anything above zero is seen.
fn bar(count: u64, largest: u64) -> String {
    const LONGEST: u128 = 40;
    let length = (u128::from(count) * LONGEST).div_ceil(u128::from(largest.max(1)));
    "█".repeat(usize::try_from(length).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn a_bar_shows_anything_above_zero() {
        assert_eq!(bar(0, 0), "");
        assert_eq!(bar(0, 1_000), "");
        assert_eq!(bar(1, 1_000).chars().count(), 1);
        assert_eq!(bar(u64::MAX, u64::MAX).chars().count(), 40);
    }
}
