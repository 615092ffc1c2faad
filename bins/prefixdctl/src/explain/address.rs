//! An address: is it mitigated, and if not, why not.

use crate::explain::{event, mitigation};
use crate::output::{Eyes, Prose, Tone};
use prefix_client::{Event, History, Mitigation};

/// What there is to say of an address: its living mitigation in full, or else its newest event.
#[derive(Debug)]
pub(crate) enum Finding {
    /// A rule lives, or waits.
    Mitigated(Box<Mitigation>),
    /// No rule, but somebody reported something.
    Reported(Box<Event>),
    /// Nothing was ever reported.
    Nothing,
}

/// An address.
pub(crate) fn address(eyes: Eyes, history: &History, finding: &Finding) -> String {
    let ip = history.ip;
    let owner = match (&history.customer, &history.service) {
        (Some(customer), Some(service)) => {
            format!("{ip} belongs to customer {}, service {}", customer.customer_id, service.service_id)
        }
        (Some(customer), None) => format!("{ip} belongs to customer {}", customer.customer_id),
        (None, _) => {
            format!(
                "{ip} is in no customer's prefix, so it is never mitigated: add it to inventory.yaml if it is ours"
            )
        }
    };
    let mut prose = Prose::new(eyes);
    match finding {
        Finding::Mitigated(living) => {
            prose.line(mitigation(eyes, living));
            let is_other =
                |other: &&Mitigation| !other.status.is_final() && other.mitigation_id != living.mitigation_id;
            let others = history.mitigations.iter().filter(is_other).count();
            if others > 0 {
                prose.line(format!("\n{others} more rule(s) for this address: `prefixdctl history {ip}`"));
            }
            prose.line("");
            prose.toned(Tone::Plain, &owner);
        }
        Finding::Reported(newest) => {
            prose.toned(Tone::Warn, &format!("{ip} is not mitigated"));
            prose.toned(Tone::Plain, &owner);
            prose.line("\nThe newest report:");
            prose.line(event(eyes, newest));
        }
        Finding::Nothing => {
            prose.toned(Tone::Warn, &format!("{ip} is not mitigated: no detector reported it"));
            prose.toned(Tone::Plain, &owner);
        }
    }
    prose.finish()
}
