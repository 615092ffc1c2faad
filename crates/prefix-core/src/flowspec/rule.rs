//! The match of a FlowSpec rule. It always has a destination.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use super::nlri::encode_components;
use super::{Bitmask, Component, Fragment, Nlri, Numeric, RuleError};
use crate::address::{Family, Prefix};

/// The most octets of an encoding, without its length octet. Longer rules need two length octets (RFC 8955 §4.1), which
/// common speakers and routers mishandle.
const MAX_BYTES: usize = 239;

/// The match of a rule: canonical, valid, announceable. Equality, order and hash are those of family and NLRI.
#[derive(Debug, Clone)]
pub struct Rule {
    destination: Prefix,
    source: Option<Prefix>,
    numerics: BTreeMap<Component, Numeric>,
    bitmasks: BTreeMap<Component, Bitmask>,
    nlri: Nlri,
}

impl Rule {
    /// A builder of a rule with this destination.
    pub fn to(destination: Prefix) -> RuleBuilder {
        let (numerics, bitmasks) = (BTreeMap::new(), BTreeMap::new());
        RuleBuilder(Self { destination, source: None, numerics, bitmasks, nlri: Nlri::unicast(destination) })
    }

    /// The destination.
    pub fn destination(&self) -> Prefix {
        self.destination
    }

    /// The family of the destination, and so of the rule.
    pub fn family(&self) -> Family {
        self.destination.family()
    }

    /// The source prefix.
    pub fn source(&self) -> Option<Prefix> {
        self.source
    }

    /// The numeric match on a component; `None` for prefixes and bitmasks.
    pub fn numeric(&self, component: Component) -> Option<&Numeric> {
        self.numerics.get(&component)
    }

    /// The bitmask match on a component: TCP flags or fragment.
    pub fn bitmask(&self, component: Component) -> Option<&Bitmask> {
        self.bitmasks.get(&component)
    }

    /// The component types of the rule, in the order of the wire.
    pub fn components(&self) -> Vec<Component> {
        let has = |component: &Component| match component {
            Component::Destination => true,
            Component::Source => self.source.is_some(),
            other => self.numerics.contains_key(other) || self.bitmasks.contains_key(other),
        };
        Component::ALL.into_iter().filter(has).collect()
    }

    /// Whether the rule has a port component, and so matches no fragment but the first (RFC 8955 §4.2.2.4).
    pub fn names_ports(&self) -> bool {
        self.ports().next().is_some()
    }

    fn ports(&self) -> impl Iterator<Item = (Component, &Numeric)> {
        [Component::Port, Component::DestinationPort, Component::SourcePort]
            .into_iter()
            .filter_map(|component| Some((component, self.numeric(component)?)))
    }

    /// The canonical encoding: the identity of the rule within its family.
    pub fn nlri(&self) -> &Nlri {
        &self.nlri
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Rule {}

impl PartialOrd for Rule {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rule {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.family(), &self.nlri).cmp(&(other.family(), &other.nlri))
    }
}

impl Hash for Rule {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.family().hash(state);
        self.nlri.hash(state);
    }
}

/// Collects components; [`RuleBuilder::build`] checks them. Setting one twice keeps the last.
#[must_use]
#[derive(Debug, Clone)]
pub struct RuleBuilder(Rule);

/// Accessors of [`Rule`] and setters of [`RuleBuilder`], one of each per component.
macro_rules! components {
    ($($(#[$doc:meta])* $name:ident($type:ty) = $get:ident $with:ident $component:ident),* $(,)?) => {
        impl Rule {
            $($(#[$doc])*
            pub fn $name(&self) -> Option<&$type> {
                self.$get(Component::$component)
            })*
        }

        impl RuleBuilder {
            $($(#[$doc])*
            pub fn $name(self, value: $type) -> Self {
                self.$with(Component::$component, value)
            })*
        }
    };
}

components! {
    /// IP protocol, or upper-layer protocol on IPv6, 0..=255 (RFC 8955 §4.2.2.3, RFC 8956 §3.3).
    protocol(Numeric) = numeric with_numeric Protocol,
    /// Source or destination port, 0..=65535 (RFC 8955 §4.2.2.4).
    port(Numeric) = numeric with_numeric Port,
    /// Destination port, 0..=65535 (RFC 8955 §4.2.2.5).
    destination_port(Numeric) = numeric with_numeric DestinationPort,
    /// Source port, 0..=65535 (RFC 8955 §4.2.2.6).
    source_port(Numeric) = numeric with_numeric SourcePort,
    /// ICMP type, 0..=255 (RFC 8955 §4.2.2.7, RFC 8956 §3.4).
    icmp_type(Numeric) = numeric with_numeric IcmpType,
    /// ICMP code, 0..=255 (RFC 8955 §4.2.2.8, RFC 8956 §3.5).
    icmp_code(Numeric) = numeric with_numeric IcmpCode,
    /// TCP flags, 12 bits (RFC 8955 §4.2.2.9).
    tcp_flags(Bitmask) = bitmask with_bitmask TcpFlags,
    /// Length of the IP packet in bytes, 0..=65535 (RFC 8955 §4.2.2.10).
    packet_length(Numeric) = numeric with_numeric PacketLength,
    /// Differentiated services code point, 0..=63 (RFC 8955 §4.2.2.11).
    dscp(Numeric) = numeric with_numeric Dscp,
    /// Fragment states, 4 bits (RFC 8955 §4.2.2.12, RFC 8956 §3.6).
    fragment(Bitmask) = bitmask with_bitmask Fragment,
    /// Flow label, 0..=1048575, IPv6 only (RFC 8956 §3.7).
    flow_label(Numeric) = numeric with_numeric FlowLabel,
}

impl RuleBuilder {
    /// The source prefix, of the destination's family.
    pub fn source(mut self, prefix: Prefix) -> Self {
        self.0.source = Some(prefix);
        self
    }

    /// A numeric component; callers pass no other.
    pub(super) fn with_numeric(mut self, component: Component, value: Numeric) -> Self {
        self.0.numerics.insert(component, value);
        self
    }

    /// TCP flags or fragment; callers pass no other.
    pub(super) fn with_bitmask(mut self, component: Component, value: Bitmask) -> Self {
        self.0.bitmasks.insert(component, value);
        self
    }

    /// Checks the components and encodes the rule.
    ///
    /// # Errors
    /// A value is out of its range, a component matches nothing, the families differ, or the encoding has 240 octets or
    /// more.
    pub fn build(self) -> Result<Rule, RuleError> {
        let Self(mut rule) = self;
        let (destination, family) = (rule.destination, rule.family());
        if let Some(source_prefix) = rule.source.filter(|source| source.family() != family) {
            return Err(RuleError::MixedFamilies { destination, source_prefix });
        }
        if family == Family::Ipv4 && rule.numerics.contains_key(&Component::FlowLabel) {
            return Err(RuleError::FlowLabelOnIpv4);
        }
        let numerics = rule.numerics.into_iter();
        rule.numerics = numerics
            .map(|(component, numeric)| Ok((component, numeric_in_range(component, numeric)?)))
            .collect::<Result<_, RuleError>>()?;
        for (component, bitmask) in &rule.bitmasks {
            bitmask_in_range(family, *component, bitmask)?;
        }
        let bytes = encode_components(family, &rule.wire_components());
        if bytes.len() > MAX_BYTES {
            return Err(RuleError::TooLong { bytes: bytes.len() });
        }
        rule.nlri = Nlri::with_length(&bytes);
        Ok(rule)
    }
}

fn numeric_in_range(component: Component, numeric: Numeric) -> Result<Numeric, RuleError> {
    let (value, max) = (numeric.largest_literal(), component.max_value());
    if value > max {
        return Err(RuleError::OutOfRange { component, value });
    }
    numeric.within(max).map_err(|_| RuleError::MatchesNothing(component))
}

fn bitmask_in_range(family: Family, component: Component, bitmask: &Bitmask) -> Result<(), RuleError> {
    let bits = bitmask.mentioned();
    if u64::from(bits) > component.max_value() {
        return Err(RuleError::OutOfRange { component, value: bits.into() });
    }
    let dont_fragment = component == Component::Fragment && bits & Fragment::DONT_FRAGMENT.bits() != 0;
    if family == Family::Ipv6 && dont_fragment {
        return Err(RuleError::DontFragmentOnIpv6);
    }
    Ok(())
}
