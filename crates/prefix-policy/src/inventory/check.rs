//! The rules of an inventory (configuration.md §3), all broken ones at once.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use prefix_core::address::{Family, Prefix};
use prefix_diagnostics::{Diagnostics, KeyPath};
use prefix_trie::joint::JointPrefixMap;

use super::customer::{Asset, Customer, Service};
use super::index::{AssetPosition, AssetRange};
use crate::settings::Guardrails;

/// The shortest prefixes that are plausible as one customer's, in bits: a whole /8, and a registry's usual /19.
const SHORTEST_V4: u8 = 8;
const SHORTEST_V6: u8 = 19;

/// The most addresses of one range.
const LARGEST_RANGE: u128 = 65_536;

/// Identifiers, ports, and customers without prefixes.
pub(super) fn customers(customers: &[Customer], guardrails: &Guardrails, found: &mut Diagnostics) {
    if customers.is_empty() {
        let text = "the inventory has no customers: no address is ours, so nothing is ever mitigated";
        found.warning("customers", text);
    }
    let mut seen = HashSet::with_capacity(customers.len());
    for (index, customer) in customers.iter().enumerate() {
        let id = &customer.customer_id;
        if !seen.insert(id) {
            let text = format!("customer_id \"{id}\" stands here a second time, each customer needs its own");
            found.error(of_customer(index).key("customer_id"), text);
        }
        if customer.prefixes.is_empty() {
            let text = format!("customer \"{id}\" has no prefixes: none of its addresses is protected");
            found.warning(of_customer(index), text);
        }
        let mut services = HashSet::with_capacity(customer.services.len());
        for (number, service) in customer.services.iter().enumerate() {
            let at = || of_customer(index).key("services").index(number);
            if !services.insert(&service.service_id) {
                let text = format!("service_id \"{}\" stands twice in customer \"{id}\"", service.service_id);
                found.error(at().key("service_id"), text);
            }
            ports(service, at, guardrails, found);
            capacities(service, at, guardrails, found);
        }
    }
}

fn of_customer(index: usize) -> KeyPath {
    KeyPath::from("customers").index(index)
}

fn ports(service: &Service, at: impl Fn() -> KeyPath, guardrails: &Guardrails, found: &mut Diagnostics) {
    let lists = [
        ("allowed_ports", "udp", &service.allowed_ports.udp, true),
        ("allowed_ports", "tcp", &service.allowed_ports.tcp, true),
        ("allowed_source_ports", "udp", &service.allowed_source_ports.udp, false),
        ("allowed_source_ports", "tcp", &service.allowed_source_ports.tcp, false),
    ];
    for (key, protocol, list, excluded) in lists {
        let at = || at().key(key).key(protocol);
        if list.contains(0) {
            found.error(at(), "ports are from 1 to 65535, not 0");
        }
        let (terms, most) = (list.merged().len(), guardrails.max_ports);
        if excluded && terms > most {
            let text = format!(
                "leaving these ports out of a rule takes {terms} port terms, guardrails.max_ports is {most}: such \
                 rules are split into several, or refused where these are too many; list fewer ports, or raise max_ports"
            );
            found.warning(at(), text);
        }
    }
}

fn capacities(service: &Service, at: impl Fn() -> KeyPath, guardrails: &Guardrails, found: &mut Diagnostics) {
    let lists = [
        ("capacity", service.capacity, &service.allowed_ports, "allowed_ports"),
        ("answers_capacity", service.answers_capacity, &service.allowed_source_ports, "allowed_source_ports"),
    ];
    for (key, capacity, ports, of) in lists {
        let Some(capacity) = capacity else { continue };
        let at = || at().key(key);
        if let Err(error) = capacity.action() {
            let text =
                format!("{error}: name bps, pps or both, as one address can take them above its normal peak");
            found.error(at(), text);
            continue;
        }
        let floor = guardrails.min_police_rate;
        if let Some(bps) = capacity.bps.filter(|bps| *bps < floor) {
            let (bps, floor) = (bps.get(), floor.get());
            let text = format!(
                "bps {bps} is below guardrails.min_police_rate_bps {floor}: such a rule would always be refused"
            );
            found.error(at().key("bps"), text);
        }
        let is_used = !ports.is_empty() || (key == "capacity" && !service.allowed_source_ports.is_empty());
        if !is_used {
            found.warning(at(), format!("it bounds nothing: the service has no {of}"));
        }
    }
}

/// The prefixes of all customers, each once.
pub(super) fn prefixes(customers: &[Customer], found: &mut Diagnostics) -> JointPrefixMap<IpNetwork, u32> {
    let mut map = JointPrefixMap::new();
    let all = || {
        let numbered = numbered(customers);
        numbered.flat_map(|(index, customer)| {
            customer.prefixes.iter().enumerate().map(move |(number, prefix)| (index, number, prefix))
        })
    };
    let at = |index: u32, number| of_customer(index as usize).key("prefixes").index(number);
    for (index, number, prefix) in all() {
        if let Some(before) = map.insert(prefix.as_network(), index) {
            let text = format!("prefix {prefix} belongs to customer \"{}\" already", name(customers, before));
            found.error(at(index, number), text);
        }
    }
    for (index, number, prefix) in all() {
        let shortest = match prefix.family() {
            Family::Ipv4 => SHORTEST_V4,
            Family::Ipv6 => SHORTEST_V6,
        };
        if prefix.len() < shortest {
            let text = format!(
                "prefix {prefix} is shorter than /{shortest}: addresses of others count as ours, and reports of them \
                 make rules"
            );
            found.warning(at(index, number), text);
        }
    }
    for (index, number, prefix) in all() {
        let around = map.cover(&prefix.as_network());
        let around = around.filter(|(wider, owner)| **owner != index && wider.prefix() < prefix.len());
        if let Some((wider, owner)) = around.last() {
            let text = format!(
                "prefix {prefix} lies within {wider} of customer \"{}\": the longer prefix wins, its addresses belong \
                 to \"{}\"",
                name(customers, *owner),
                name(customers, index)
            );
            found.warning(at(index, number), text);
        }
    }
    map
}

/// The assets of all customers by address, disjoint and within their customer's prefixes.
pub(super) fn assets(customers: &[Customer], found: &mut Diagnostics) -> Vec<AssetRange> {
    let mut ranges = Vec::new();
    for (customer_index, customer) in numbered(customers) {
        for (service_index, service) in numbered(&customer.services) {
            for (asset_index, asset) in numbered(&service.assets) {
                let place =
                    AssetPosition { customer: customer_index, service: service_index, asset: asset_index };
                let Some((first, last)) = bounds(asset, place, found) else { continue };
                within_prefixes(customer, asset, (first, last), place, found);
                ranges.push(AssetRange { family: asset.ip.family(), first, last, place });
            }
        }
    }
    ranges.sort_unstable_by_key(|range| (range.family, range.first, range.last, range.place));
    overlaps(customers, &ranges, found);
    ranges
}

fn overlaps(customers: &[Customer], ranges: &[AssetRange], found: &mut Diagnostics) {
    let Some((mut widest, rest)) = ranges.split_first() else { return };
    let mut said = HashSet::new();
    for range in rest {
        let (same_family, reaches) = (range.family == widest.family, range.first <= widest.last);
        if same_family && reaches {
            // The one that stands later in the file is to be mended.
            let (earlier, later) = (widest.place.min(range.place), widest.place.max(range.place));
            if said.insert(later) {
                found.error(of_asset(later, "ip"), overlap_text(customers, earlier, later));
            }
        }
        if !same_family || range.last > widest.last {
            widest = range;
        }
    }
}

fn overlap_text(customers: &[Customer], earlier: AssetPosition, later: AssetPosition) -> String {
    let asset = |place: AssetPosition| -> Option<(&Customer, &Service, &Asset)> {
        let customer = customers.get(place.customer as usize)?;
        let service = customer.services.get(place.service as usize)?;
        Some((customer, service, service.assets.get(place.asset as usize)?))
    };
    let (Some((customer, service, first)), Some((_, _, second))) = (asset(earlier), asset(later)) else {
        return "this asset stands twice".to_owned();
    };
    let place = format!("service \"{}\" of customer \"{}\"", service.service_id, customer.customer_id);
    if first.range_end.is_none() && second.range_end.is_none() {
        format!("asset {} stands a second time, first in {place}", second.ip)
    } else {
        format!("{} overlaps {} in {place}", text(second), text(first))
    }
}

fn text(asset: &Asset) -> String {
    match asset.range_end {
        Some(end) => format!("the range {} to {end}", asset.ip),
        None => format!("asset {}", asset.ip),
    }
}

fn bounds(asset: &Asset, place: AssetPosition, found: &mut Diagnostics) -> Option<(u128, u128)> {
    let first = number(asset.ip.ip());
    let Some(end) = asset.range_end else { return Some((first, first)) };
    let last = number(end.ip());
    let problem = if end.family() != asset.ip.family() {
        format!("range_end {end} is of another address family than {}", asset.ip)
    } else if last < first {
        format!("range_end {end} lies before {}", asset.ip)
    } else if last - first >= LARGEST_RANGE {
        format!("the range {} to {end} has more than {LARGEST_RANGE} addresses", asset.ip)
    } else {
        return Some((first, last));
    };
    found.error(of_asset(place, "range_end"), problem);
    None
}

fn within_prefixes(
    customer: &Customer,
    asset: &Asset,
    (first, last): (u128, u128),
    place: AssetPosition,
    found: &mut Diagnostics,
) {
    let family = asset.ip.family();
    // Neighbouring prefixes may hold a range together, so the covered part grows prefix by prefix.
    let mut next = Some(first);
    while let Some(address) = next.filter(|address| *address <= last) {
        let holding = customer.prefixes.iter().filter(|prefix| prefix.family() == family);
        let reach =
            holding.map(span).filter(|(from, to)| (*from..=*to).contains(&address)).map(|(_, to)| to).max();
        let Some(reach) = reach else {
            let text = format!("{} lies in no prefix of customer \"{}\"", text(asset), customer.customer_id);
            found.error(of_asset(place, "ip"), text);
            return;
        };
        next = reach.checked_add(1);
    }
}

/// The first and the last address of a prefix.
pub(super) fn span(prefix: &Prefix) -> (u128, u128) {
    let first = number(prefix.network());
    let free = u32::from(prefix.family().max_len() - prefix.len());
    let size_less_one = if free == 128 { u128::MAX } else { (1 << free) - 1 };
    (first, first | size_less_one)
}

/// An address as a number.
pub(super) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

fn of_asset(place: AssetPosition, key: &str) -> KeyPath {
    let service = of_customer(place.customer as usize).key("services").index(place.service as usize);
    service.key("assets").index(place.asset as usize).key(key)
}

fn name(customers: &[Customer], index: u32) -> &str {
    customers.get(index as usize).map_or("", |customer| customer.customer_id.as_str())
}

fn numbered<T>(items: &[T]) -> impl Iterator<Item = (u32, &T)> {
    (0_u32..).zip(items)
}
