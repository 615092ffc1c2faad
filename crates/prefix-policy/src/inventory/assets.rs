//! Assets are disjoint ranges, sorted: one binary search finds an address.

use std::net::IpAddr;

use prefix_core::address::VictimIp;

/// Where an asset stands in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) customer: u32,
    pub(super) service: u32,
    pub(super) asset: u32,
}

/// From `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range<A> {
    pub(super) first: A,
    pub(super) last: A,
    pub(super) place: Place,
}

/// The assets by address.
#[derive(Clone, Debug, Default)]
pub(super) struct AssetIndex {
    v4: Box<[Range<u32>]>,
    v6: Box<[Range<u128>]>,
}

impl AssetIndex {
    /// Sorts the ranges. Overlapping ones are an error of the document: they are returned, the later of each pair
    /// second.
    pub(super) fn new(mut v4: Vec<Range<u32>>, mut v6: Vec<Range<u128>>) -> (Self, Vec<(Place, Place)>) {
        let mut overlaps = Vec::new();
        sort(&mut v4, &mut overlaps);
        sort(&mut v6, &mut overlaps);
        (Self { v4: v4.into(), v6: v6.into() }, overlaps)
    }

    pub(super) fn find(&self, victim: VictimIp) -> Option<Place> {
        match victim.ip() {
            IpAddr::V4(ip) => find(&self.v4, ip.into()),
            IpAddr::V6(ip) => find(&self.v6, ip.into()),
        }
    }
}

fn sort<A: Ord + Copy>(ranges: &mut [Range<A>], overlaps: &mut Vec<(Place, Place)>) {
    ranges.sort_by_key(|range| (range.first, range.last));
    let Some((mut widest, rest)) = ranges.split_first() else { return };
    for range in rest {
        if range.first <= widest.last {
            overlaps.push((widest.place, range.place));
        }
        if range.last > widest.last {
            widest = range;
        }
    }
}

fn find<A: Ord + Copy>(ranges: &[Range<A>], address: A) -> Option<Place> {
    let behind = ranges.partition_point(|range| range.first <= address);
    let range = ranges.get(behind.checked_sub(1)?)?;
    (address <= range.last).then_some(range.place)
}
