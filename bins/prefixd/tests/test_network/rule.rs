//! A rule as a router must hold it: bytes, and what the router does with matching packets.

use prefix_testkit::lab::{Family, RouterUpdate};

/// What is done with packets that match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Action {
    /// Dropped.
    Discard,
    /// Limited to so many *bits* per second.
    Police(u32),
}

/// A rule, its components written down byte by byte (RFC 8955 §4.2, RFC 8956 §3).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) family: Family,
    pub(crate) nlri: String,
    pub(crate) action: Action,
}

/// The rule with these components, in hex and with spaces where they help, that drops.
pub(crate) fn discard(components: &str) -> Rule {
    Rule::new(components, Action::Discard)
}

/// The rule with these components that lets so many bits per second through.
pub(crate) fn police(bits_per_second: u32, components: &str) -> Rule {
    Rule::new(components, Action::Police(bits_per_second))
}

impl Rule {
    pub(crate) fn new(components: &str, action: Action) -> Self {
        let nlri = components.replace(' ', "");
        // The first component is the destination: type 1, length in bits, and for IPv6 the offset.
        let family = match nlri.get(..6) {
            Some("018000") => Family::Ipv6FlowSpec,
            Some(v4) if v4.starts_with("0120") || v4.starts_with("0118") => Family::Ipv4FlowSpec,
            _ => panic!("a rule begins with a host or a /24 as its destination, this does not: {components}"),
        };
        Self { family, nlri, action }
    }

    /// Whether `update` announces exactly this rule: these bytes, and this one action.
    pub(crate) fn is_announced_by(&self, update: &RouterUpdate) -> bool {
        update.is_announcement() && self.is_of(update) && action_of(update) == Some(self.action)
    }

    /// Whether `update` is about these components, whatever it does with them.
    pub(crate) fn is_of(&self, update: &RouterUpdate) -> bool {
        update.family == self.family && update.nlri_hex() == self.nlri
    }
}

/// The action of an update that has exactly one: traffic-rate-bytes (RFC 8955 §7.1) in bytes per second.
fn action_of(update: &RouterUpdate) -> Option<Action> {
    let [[0x80, 0x06, _, _, rate @ ..]] = update.attributes.extended_communities.as_slice() else {
        return None;
    };
    let bytes_per_second = f32::from_be_bytes(*rate);
    if bytes_per_second == 0.0 {
        return Some(Action::Discard);
    }
    // Rates of the tests are whole numbers below 2^24 bytes, which a float holds exactly.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and small, see above")]
    let whole = bytes_per_second as u32;
    Some(Action::Police(whole * 8))
}
