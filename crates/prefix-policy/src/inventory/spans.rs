//! The whole address space as disjoint spans, each with what owns it: one short walk finds any address.
//!
//! Nesting is resolved when the index is built: a span belongs to the asset there, else to the longest prefix. The
//! starts of the spans are the leaves of a static B+ tree whose blocks fill cache lines, so that a million customers cost
//! two or three lines from memory, where a trie costs one per few bits.

/// Keys of an inner block for IPv4, and entries of a leaf: 64 bytes each.
pub(super) type SpansV4 = Spans<u32, 16, 8>;
/// The same for IPv6: 128 bytes each.
pub(super) type SpansV6 = Spans<u128, 8, 6>;

/// An address as a number.
pub(super) trait Address: Copy + Ord + Default {
    /// The last address.
    const LAST: Self;
    /// The address behind this one.
    fn next(self) -> Option<Self>;
}

impl Address for u32 {
    const LAST: Self = Self::MAX;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Address for u128 {
    const LAST: Self = Self::MAX;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

/// What owns a span: a number that the inventory understands.
pub(super) type Owner = Option<u32>;

const NOBODY: u32 = u32::MAX;

/// From `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range<A> {
    pub(super) first: A,
    pub(super) last: A,
    pub(super) owner: u32,
}

#[derive(Clone, Debug)]
#[repr(align(64))]
struct Inner<A, const N: usize>([A; N]);

#[derive(Clone, Debug)]
#[repr(align(64))]
struct Leaf<A, const N: usize> {
    starts: [A; N],
    owners: [u32; N],
}

/// A static B+ tree of disjoint spans of the address space, each with its owner.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans<A, const INNER: usize, const LEAF: usize> {
    /// From the root down; each key is the first of a block one level below.
    levels: Vec<Box<[Inner<A, INNER>]>>,
    leaves: Box<[Leaf<A, LEAF>]>,
}

impl<A: Address, const INNER: usize, const LEAF: usize> Spans<A, INNER, LEAF> {
    /// From nested ranges in the order of a walk (outer before inner, ascending) and disjoint ones that lie above all
    /// of them, ascending.
    pub(super) fn new(nested: &[Range<A>], above: &[Range<A>]) -> Self {
        let bounds = overlaid(flattened(nested), above);
        let Some((_, last_owner)) = bounds.last().copied() else {
            return Self { levels: Vec::new(), leaves: Box::default() };
        };
        // Filling up with the last address and its owner, any position behind the end is still right.
        let leaf = |chunk: &[(A, u32)]| {
            let mut leaf = Leaf { starts: [A::LAST; LEAF], owners: [last_owner; LEAF] };
            for (slot, (start, owner)) in chunk.iter().enumerate() {
                (leaf.starts[slot], leaf.owners[slot]) = (*start, *owner);
            }
            leaf
        };
        let leaves: Box<[Leaf<A, LEAF>]> = bounds.chunks(LEAF).map(leaf).collect();
        let mut levels: Vec<Box<[Inner<A, INNER>]>> = Vec::new();
        let mut firsts: Vec<A> = leaves.iter().map(|leaf| leaf.starts[0]).collect();
        while firsts.len() > 1 {
            let inner = |chunk: &[A]| {
                let mut block = Inner([A::LAST; INNER]);
                block.0[..chunk.len()].copy_from_slice(chunk);
                block
            };
            let level: Box<[Inner<A, INNER>]> = firsts.chunks(INNER).map(inner).collect();
            firsts = level.iter().map(|block| block.0[0]).collect();
            levels.push(level);
        }
        levels.reverse();
        Self { levels, leaves }
    }

    /// What owns this address.
    pub(super) fn find(&self, address: A) -> Owner {
        let mut block = 0;
        for level in &self.levels {
            let keys = &level[block.min(level.len() - 1)].0;
            block = block * INNER + last_not_above(keys, address);
        }
        let leaf = self.leaves.get(block.min(self.leaves.len().checked_sub(1)?))?;
        let owner = leaf.owners[last_not_above(&leaf.starts, address)];
        (owner != NOBODY).then_some(owner)
    }
}

/// The position of the last key that is not above the address. Counting needs no branch, and there always is one.
fn last_not_above<A: Copy + Ord>(keys: &[A], address: A) -> usize {
    keys.iter().map(|key| usize::from(*key <= address)).sum::<usize>().saturating_sub(1)
}

/// Starts of spans with their owners, ascending; the innermost range owns.
fn flattened<A: Address>(nested: &[Range<A>]) -> Vec<(A, u32)> {
    let mut bounds: Vec<(A, u32)> = Vec::with_capacity(nested.len() * 2 + 1);
    bounds.push((A::default(), NOBODY));
    let mut open: Vec<Range<A>> = Vec::new();
    for range in nested {
        close(&mut open, Some(range.first), &mut bounds);
        begin(&mut bounds, range.first, range.owner);
        open.push(*range);
    }
    close(&mut open, None, &mut bounds);
    bounds
}

/// Ends the open ranges that lie wholly before an address, innermost first: what is around them owns again.
fn close<A: Address>(open: &mut Vec<Range<A>>, before: Option<A>, bounds: &mut Vec<(A, u32)>) {
    while let Some(range) =
        open.last().copied().filter(|range| before.is_none_or(|before| range.last < before))
    {
        open.pop();
        if let Some(behind) = range.last.next() {
            begin(bounds, behind, open.last().map_or(NOBODY, |around| around.owner));
        }
    }
}

/// A span begins; one that began at the same address has no room and leaves.
fn begin<A: Address>(bounds: &mut Vec<(A, u32)>, start: A, owner: u32) {
    match bounds.last_mut() {
        Some(last) if last.0 == start => last.1 = owner,
        _ => bounds.push((start, owner)),
    }
}

/// Lays disjoint ranges over the spans.
fn overlaid<A: Address>(base: Vec<(A, u32)>, above: &[Range<A>]) -> Vec<(A, u32)> {
    if above.is_empty() {
        return base;
    }
    let mut bounds = Vec::with_capacity(base.len() + above.len() * 2);
    let mut rest = base.into_iter().peekable();
    let mut beneath = NOBODY;
    for range in above {
        while let Some((start, owner)) = rest.next_if(|(start, _)| *start < range.first) {
            beneath = owner;
            begin(&mut bounds, start, owner);
        }
        begin(&mut bounds, range.first, range.owner);
        while let Some((_, owner)) = rest.next_if(|(start, _)| *start <= range.last) {
            beneath = owner;
        }
        if let Some(behind) = range.last.next() {
            begin(&mut bounds, behind, beneath);
        }
    }
    for (start, owner) in rest {
        begin(&mut bounds, start, owner);
    }
    bounds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The prefixes of 8 bits at the top of the space, so that they collide and nest often.
    fn prefixes() -> impl Strategy<Value = Vec<(u8, u32)>> {
        let prefix = (0_u32..=255, 0_u8..=8).prop_map(|(bits, len)| {
            let kept = if len == 0 { 0 } else { bits >> (8 - len) << (8 - len) };
            (len, kept << 24)
        });
        prop::collection::btree_set(prefix, 0..120).prop_map(|set| set.into_iter().collect())
    }

    fn range(len: u8, first: u32, owner: u32) -> Range<u32> {
        let last = if len == 0 { u32::MAX } else { first | (u32::MAX >> len) };
        Range { first, last, owner }
    }

    proptest! {
        #[test]
        fn the_longest_prefix_owns_and_an_asset_stands_above_all(
            prefixes in prefixes(), assets in prop::collection::btree_map(0_u32..=255, 0_u32..=3, 0..40),
            asked in prop::collection::vec(any::<u32>(), 50),
        ) {
            let mut nested: Vec<Range<u32>> =
                (0..).zip(&prefixes).map(|(owner, (len, first))| range(*len, *first, owner)).collect();
            nested.sort_by_key(|range| (range.first, std::cmp::Reverse(range.last)));
            let mut above: Vec<Range<u32>> = Vec::new();
            for (at, size) in &assets {
                let (first, owner) = (at << 24, 1_000 + at);
                if above.last().is_none_or(|before| before.last < first) {
                    above.push(Range { first, last: first.saturating_add(size << 24), owner });
                }
            }
            let spans = SpansV4::new(&nested, &above);
            let edges = nested.iter().chain(&above).flat_map(|range| {
                [range.first, range.last, range.first.wrapping_sub(1), range.last.wrapping_add(1)]
            });
            for address in edges.chain(asked).chain([0, u32::MAX]) {
                let holds = |range: &&Range<u32>| (range.first..=range.last).contains(&address);
                let asset = above.iter().find(holds);
                let longest = nested.iter().filter(holds).min_by_key(|range| range.last - range.first);
                prop_assert_eq!(spans.find(address), asset.or(longest).map(|range| range.owner));
            }
        }
    }

    #[test]
    fn the_ends_of_the_address_space_are_found() {
        let all = Range { first: 0, last: u128::MAX, owner: 7 };
        assert_eq!(SpansV6::new(&[all], &[]).find(u128::MAX), Some(7));
        assert_eq!(SpansV6::new(&[], &[]).find(5), None);
        let last = Range { first: u128::MAX, last: u128::MAX, owner: 9 };
        let spans = SpansV6::new(&[all], &[last]);
        assert_eq!(
            (spans.find(0), spans.find(u128::MAX - 1), spans.find(u128::MAX)),
            (Some(7), Some(7), Some(9))
        );
    }
}
