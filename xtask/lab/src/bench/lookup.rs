//! Row 8: whose address is it, from a hundred customers to a million.

use super::latency::quantile;
use super::report::{Bar, Report, Row};
use crate::screen::Screen;
use anyhow::{Context, Result, ensure};
use prefix_core::address::{Prefix, VictimIp};
use prefix_policy::inventory::{Customer, Inventory, InventoryDocument};
use prefix_policy::{Guardrails, Profile};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const QUESTIONS: u32 = 65_536;
/// So many are timed together: reading the clock takes longer than one lookup.
const TOGETHER: usize = 16;

/// The base of a customer's /28 within 16.0.0.0/4, scattered by an odd factor as real allocations are.
fn base(customer: u32) -> u32 {
    0x1000_0000 | ((customer.wrapping_mul(0x009E_3779) & 0x00ff_ffff) << 4)
}

/// Measures hits and misses; the yardstick of a million customers is a hundred.
pub(super) fn measure(screen: Screen, report: &mut Report) -> Result<()> {
    let mut of_hundred = Vec::new();
    for (customers, told) in [(100, "100"), (10_000, "10,000"), (1_000_000, "1,000,000")] {
        let inventory = inventory(customers)?;
        for (place, (kind, mask)) in [("hit", 0), ("miss", 0x2000_0000)].into_iter().enumerate() {
            let (p50, p99) = times(&inventory, customers, mask)?;
            let row = Row::bound("8", format!("lookup among {told} customers, {kind}, p99"), p99, 1_000.0);
            report.tell(screen, row);
            if customers == 100 {
                of_hundred.push(p50);
            } else if customers == 1_000_000 {
                let hundred = of_hundred.get(place).copied().unwrap_or_default();
                let work = format!("lookup among {told} customers, {kind}, p50");
                report.add(Row::time("8", work, p50, "among 100", hundred, Bar::AtMost(4.0)));
            }
        }
    }
    Ok(())
}

fn inventory(customers: u32) -> Result<Inventory> {
    let customer = |number| {
        Ok(Customer {
            customer_id: format!("customer-{number}").parse()?,
            name: format!("Customer {number}").into(),
            prefixes: [Prefix::new(IpAddr::V4(Ipv4Addr::from(base(number))), 28)?].into(),
            policy_profile: Profile::Normal,
            services: [].into(),
        })
    };
    let document = InventoryDocument { customers: (0..customers).map(customer).collect::<Result<_>>()? };
    document.build(&Guardrails::default()).ok().map(|checked| checked.value).context("the inventory is valid")
}

/// The median and the 99th percentile of one lookup.
fn times(inventory: &Inventory, customers: u32, mask: u32) -> Result<(Duration, Duration)> {
    let victims: Vec<VictimIp> = (0..QUESTIONS)
        .map(|number| base(number.wrapping_mul(0x9E37_79B1) % customers) ^ mask)
        .map(|address| IpAddr::V4(Ipv4Addr::from(address + 9)).into())
        .collect();
    let found = victims.iter().filter(|victim| inventory.lookup(**victim).is_some()).count();
    ensure!(
        found == if mask == 0 { victims.len() } else { 0 },
        "{found} of {QUESTIONS} addresses were found"
    );
    let mut times = Vec::new();
    for victims in victims.chunks_exact(TOGETHER) {
        let start = Instant::now();
        for victim in victims {
            black_box(inventory.lookup(black_box(*victim)));
        }
        times.push(start.elapsed() / u32::try_from(TOGETHER)?);
    }
    Ok((quantile(&mut times, 0.5), quantile(&mut times, 0.99)))
}
