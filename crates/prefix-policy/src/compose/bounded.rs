//! How many of the reported ports a rule may hold.

use prefix_core::decision::{Stage, StageResult};
use prefix_core::matching::PacketMatch;
use prefix_core::port::{PortList, PortSet};

use super::service::Spare;
use super::{Attacked, Composed};
use crate::playbook::OnTooManyPorts;

/// The destination ports under attack as far as a rule may hold them, and whether it is to be refused for them.
pub(super) struct Bounded {
    pub(super) ports: PortSet,
    pub(super) is_refused: bool,
}

/// Of more ports than `guardrails.max_ports` the step says what becomes. Source ports leave at least half of the terms to
/// destination ports: what they need besides is another rule.
pub(super) fn bounded(
    spare: &Spare<'_>,
    attacked: &Attacked,
    packets: &PacketMatch,
    composed: &mut Composed,
) -> Bounded {
    let most = spare.guardrails.max_ports;
    let room = most - packets.src_ports.terms().min(most / 2);
    let served = spare.served(composed.matching.protocol);
    let named = attacked.ports.to_set();
    let left = named.difference(&served);
    // where only served ports are attacked these are policed
    let wanted = if left.is_empty() { &named } else { &left };
    let whole = |is_refused| Bounded { ports: named.clone(), is_refused };
    if !attacked.reported || wanted.terms() <= room {
        return whole(false);
    }
    let too_many = format!(
        "the report names ports {}, more than a rule may hold (guardrails.max_ports is {most})",
        attacked.ports
    );
    let (ports, text) = match spare.step.keys.on_too_many_ports {
        OnTooManyPorts::Refuse => return whole(true),
        OnTooManyPorts::AsUnknown => {
            let text = format!("{too_many}: treated as if it named none (on_too_many_ports: as_unknown)");
            (spare.attack.template.dst_ports.clone(), text)
        }
        OnTooManyPorts::KeepFirst => {
            let kept = first_within(&attacked.ports, wanted, room);
            if kept.is_empty() {
                return whole(true);
            }
            let rest = wanted.difference(&kept);
            let text = format!(
                "{too_many}: the rule has the first, {kept}; ports {rest} are left out, what attacks them passes this \
                 rule (on_too_many_ports: keep_first)"
            );
            (named.difference(&rest), text)
        }
    };
    composed.note(Stage::Rule, StageResult::Info, text.as_str());
    composed.warnings.push(text);
    Bounded { ports, is_refused: false }
}

/// The first ports of a report that are in a set and fit into so many terms.
fn first_within(reported: &PortList, wanted: &PortSet, room: usize) -> PortSet {
    reported.within(wanted).fold(PortSet::default(), |kept, range| {
        let more = kept.union(&[range].into_iter().collect());
        if more.terms() <= room { more } else { kept }
    })
}
