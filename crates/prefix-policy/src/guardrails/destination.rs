//! Where a rule points: only at customers, never at what is safe, ours, or too wide.

use prefix_core::address::{Family, Prefix};
use prefix_core::flowspec::Action;
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::matching::{DestinationPorts, Matching};
use prefix_core::name::CustomerId;
use prefix_core::protocol::number::TCP;

use crate::facts::CheckContext;
use crate::policy::Policy;

/// The port of BGP.
const BGP: u16 = 179;

/// `not_owned`, `safelisted`, `control_plane`, `prefix_length`.
pub(super) fn check(
    policy: &Policy,
    matching: &Matching,
    action: &Action,
    check_context: CheckContext<'_>,
) -> Result<(), Refusal> {
    let destination = matching.dst_prefix;
    if policy.parts().inventory.owner(destination).is_none() {
        let text =
            format!("{destination} lies in no prefix of a customer; add it to inventory.yaml if it is ours");
        return Err(Refusal::new(Guardrail::NotOwned, text));
    }
    if let Some(entry) = check_context.safelist.overlapping(&destination, check_context.now) {
        let text = format!("{destination} intersects safelist entry {}", entry.prefix);
        return Err(Refusal::new(Guardrail::Safelisted, text));
    }
    control_plane(policy, matching)?;
    prefix_length(policy, destination, action)
}

/// `not_owned` of a carpet: every address of it is of its customer, and nobody else's.
pub(super) fn whole(
    policy: &Policy,
    destination: Prefix,
    customer: Option<&CustomerId>,
) -> Result<(), Refusal> {
    let owner = policy.parts().inventory.whole_owner(destination).map(|owner| &owner.customer_id);
    if owner.is_some() && owner == customer {
        return Ok(());
    }
    let whose = customer.map_or_else(|| "one customer".to_owned(), |id| format!("customer {id}"));
    let text = format!(
        "not every address of {destination} is of {whose}: a carpet never leaves its customer's prefix"
    );
    Err(Refusal::new(Guardrail::NotOwned, text))
}

fn control_plane(policy: &Policy, matching: &Matching) -> Result<(), Refusal> {
    let parts = policy.parts();
    let destination = matching.dst_prefix;
    let refuse = |text: String| Err(Refusal::new(Guardrail::ControlPlane, text));
    if let Some(prefix) =
        parts.guardrails.protected_prefixes.iter().find(|prefix| prefix.overlaps(&destination))
    {
        return refuse(format!("{destination} intersects {prefix} of guardrails.protected_prefixes"));
    }
    if let Some(own) = parts.own_addresses.iter().find(|own| destination.contains(**own)) {
        return refuse(format!(
            "{destination} holds {own}, an address of our own (neighbor, router id, speaker or API)"
        ));
    }
    let to_bgp = matches!(&matching.dst_ports, DestinationPorts::Only(named) if named.contains(BGP));
    let names_bgp = to_bgp || matching.src_ports.contains(BGP);
    if names_bgp && matching.protocol.is_none_or(|protocol| protocol == TCP) {
        return refuse("the match names TCP port 179: BGP sessions are never filtered".to_owned());
    }
    Ok(())
}

fn prefix_length(policy: &Policy, destination: Prefix, action: &Action) -> Result<(), Refusal> {
    let family = destination.family();
    let allowed = policy.parts().guardrails.dst_prefix(family);
    let suffix = if family == Family::Ipv6 { "_v6" } else { "" };
    let length = destination.len();
    let refuse = |text: String| Err(Refusal::new(Guardrail::PrefixLength, text));
    if length < allowed.min {
        let min = allowed.min;
        return refuse(format!("{destination} is wider than /{min} (guardrails.dst_prefix_minlen{suffix})"));
    }
    if length > allowed.max {
        let max = allowed.max;
        return refuse(format!("{destination} is longer than /{max} (guardrails.dst_prefix_maxlen{suffix})"));
    }
    if action.is_rtbh() && !destination.is_host() {
        return refuse(format!(
            "a black hole takes one address, {destination} has more: use /{}",
            family.max_len()
        ));
    }
    Ok(())
}
