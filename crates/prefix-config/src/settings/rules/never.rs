//! Prefixes that no rule may touch, where they leave nothing to protect.

use prefix_core::address::Prefix;
use prefix_diagnostics::{Diagnostic, Diagnostics, KeyPath};
use prefix_policy::Inventory;

use crate::settings::Keys;

/// So many prefixes of customers are named for one that covers them.
const MOST_NAMED: usize = 5;

/// Warns of protected and safe prefixes that cover whole prefixes of customers: no rule is ever made for these.
pub(crate) fn never_filtered(keys: &Keys, inventory: &Inventory) -> Vec<Diagnostic> {
    let lists = [
        ("guardrails", "protected_prefixes", keys.guardrails.protected_prefixes.as_slice()),
        ("safelist", "prefixes", keys.safelist.prefixes.as_slice()),
    ];
    let mut found = Diagnostics::default();
    for (section, key, prefixes) in lists {
        for (index, prefix) in prefixes.iter().enumerate() {
            if let Some(text) = covered(*prefix, inventory) {
                let at = KeyPath::from(section).key(key).index(index);
                found.warning(at, format!("{section}.{key}: {prefix} {text}"));
            }
        }
    }
    found.into_vec()
}

fn covered(prefix: Prefix, inventory: &Inventory) -> Option<String> {
    if prefix.len() == 0 {
        return Some(format!("is every address of {}: no rule is ever made", prefix.family()));
    }
    let customers = inventory.customers().iter();
    let all = customers.flat_map(|customer| customer.prefixes.iter().map(move |own| (customer, own)));
    let names: Vec<String> = all
        .filter(|(_, own)| prefix.covers(own))
        .map(|(customer, own)| format!("{own} of customer \"{}\"", customer.customer_id))
        .collect();
    let more = names.len().saturating_sub(MOST_NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("covers {shown}{rest}: no rule is ever made for their addresses"))
}
