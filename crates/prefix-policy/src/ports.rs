//! Port lists as ranges: neighbours merge, as they do on the wire.

use std::collections::BTreeSet;

use prefix_core::matching::{DestinationPorts, Matching};

/// The list as ranges `(first, last)`, ascending, neighbours merged.
pub(crate) fn merged_ranges(ports: &BTreeSet<u16>) -> Vec<(u16, u16)> {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for &port in ports {
        match ranges.last_mut() {
            Some((_, last)) if port.checked_sub(1) == Some(*last) => *last = port,
            _ => ranges.push((port, port)),
        }
    }
    ranges
}

/// Port terms of a match, as `guardrails.max_ports` counts them: source + destination, exclusions as merged ranges.
pub(crate) fn port_terms(matching: &Matching) -> usize {
    let destination = match &matching.dst_ports {
        DestinationPorts::Any => 0,
        DestinationPorts::Only(ports) => ports.len(),
        DestinationPorts::Except(ports) => merged_ranges(ports).len(),
    };
    destination + matching.src_ports.len()
}

/// The list for people: `53, 80-82, 443`.
pub(crate) fn list(ports: &BTreeSet<u16>) -> String {
    let words = merged_ranges(ports).into_iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_merge() {
        let ports = BTreeSet::from([53, 54, 80, 443, 444, 445]);
        assert_eq!(merged_ranges(&ports), [(53, 54), (80, 80), (443, 445)]);
        assert_eq!(list(&ports), "53, 54, 80, 443-445");
        assert_eq!(merged_ranges(&BTreeSet::from([0, 65_535])), [(0, 0), (65_535, 65_535)]);
        assert!(merged_ranges(&BTreeSet::new()).is_empty());
    }
}
