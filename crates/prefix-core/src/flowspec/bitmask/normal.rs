//! The canonical form of bitmask matches: equal matches should have equal octets.

use super::BitmaskOperand;

/// The terms in normal form, without those that nothing can match.
pub(super) fn terms(terms: Vec<Vec<BitmaskOperand>>) -> Vec<Vec<BitmaskOperand>> {
    let mut any_bit = 0;
    let mut normal = Vec::with_capacity(terms.len());
    for term in terms.into_iter().filter_map(term) {
        match term[..] {
            [operand] if is_any_bit(operand) => any_bit |= operand.bits,
            _ => normal.push(term),
        }
    }
    if any_bit != 0 {
        normal.push(vec![BitmaskOperand { bits: any_bit, not: false, all: any_bit.is_power_of_two() }]);
    }
    normal.sort_unstable();
    normal.dedup();
    normal
}

/// Whether it wants some bit set: such alternatives are one operand together.
fn is_any_bit(operand: BitmaskOperand) -> bool {
    !operand.not && (!operand.all || operand.bits.is_power_of_two())
}

/// One term in normal form, or none if nothing can match it.
fn term(operands: Vec<BitmaskOperand>) -> Option<Vec<BitmaskOperand>> {
    let mut normal = Vec::with_capacity(operands.len());
    for operand in operands {
        let BitmaskOperand { bits, not, all } = operand;
        let single = bits.is_power_of_two();
        if bits == 0 {
            if !operand.holds(0) {
                return None;
            }
        } else if single || all != not {
            // Every bit on its own: all of them set, or none of them.
            normal.extend(single_bits(bits).map(|bits| BitmaskOperand { bits, not, all: !not }));
        } else {
            normal.push(operand);
        }
    }
    normal.sort_unstable();
    normal.dedup();
    if normal.is_empty() {
        normal.push(BitmaskOperand::TRUE);
    }
    let mentioned = normal.iter().fold(0, |bits, operand| bits | operand.bits);
    let possible = if normal.iter().all(|operand| operand.bits.count_ones() <= 1) {
        let with = |not| normal.iter().filter(|o| o.not == not).fold(0, |bits, o| bits | o.bits);
        with(false) & with(true) == 0
    } else {
        subsets(mentioned).any(|bits| normal.iter().all(|operand| operand.holds(bits)))
    };
    possible.then_some(normal)
}

fn single_bits(bits: u16) -> impl Iterator<Item = u16> {
    (0..16).map(|shift| 1 << shift).filter(move |bit| bits & bit != 0)
}

/// All combinations of the given bits.
pub(super) fn subsets(bits: u16) -> impl Iterator<Item = u16> {
    let mut next = Some(bits);
    std::iter::from_fn(move || {
        let current = next?;
        next = if current == 0 { None } else { Some((current - 1) & bits) };
        Some(current)
    })
}
