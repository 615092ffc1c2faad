//! Ports of a match, as the guardrails count them.

use prefix_core::matching::{DestinationPorts, Matching};

/// Port terms of a match, as `guardrails.max_ports` counts them: source + destination, a range as its two ends, exclusions
/// as merged ranges.
pub(crate) fn port_terms(matching: &Matching) -> usize {
    let destination = match &matching.dst_ports {
        DestinationPorts::Any => 0,
        DestinationPorts::Only(ports) => ports.terms(),
        DestinationPorts::Except(ports) => ports.merged().len(),
    };
    destination + matching.src_ports.terms() + matching.excluded_src_ports.merged().len()
}
