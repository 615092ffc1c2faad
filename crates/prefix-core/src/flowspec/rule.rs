//! The match of a FlowSpec rule, always toward a destination.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use super::nlri::encode_components;
use super::{Bitmask, Component, Fragment, Nlri, Numeric, RuleError};
use crate::address::{Family, Prefix};

/// The most bytes of an encoding, without its length octet. Longer rules need two length octets, which common
/// speakers and routers mishandle.
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
    /// Starts a rule toward a destination; there is no other way to start one.
    pub fn to(destination: Prefix) -> RuleBuilder {
        RuleBuilder { destination, source: None, numerics: BTreeMap::new(), bitmasks: BTreeMap::new() }
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

    /// The numeric match on a component; none for prefixes and bitmasks.
    pub fn numeric(&self, component: Component) -> Option<&Numeric> {
        self.numerics.get(&component)
    }

    /// The bitmask match on a component: TCP flags or fragment.
    pub fn bitmask(&self, component: Component) -> Option<&Bitmask> {
        self.bitmasks.get(&component)
    }

    /// The protocol.
    pub fn protocol(&self) -> Option<&Numeric> {
        self.numeric(Component::Protocol)
    }

    /// Source or destination port.
    pub fn port(&self) -> Option<&Numeric> {
        self.numeric(Component::Port)
    }

    /// The destination port.
    pub fn destination_port(&self) -> Option<&Numeric> {
        self.numeric(Component::DestinationPort)
    }

    /// The source port.
    pub fn source_port(&self) -> Option<&Numeric> {
        self.numeric(Component::SourcePort)
    }

    /// The ICMP type.
    pub fn icmp_type(&self) -> Option<&Numeric> {
        self.numeric(Component::IcmpType)
    }

    /// The ICMP code.
    pub fn icmp_code(&self) -> Option<&Numeric> {
        self.numeric(Component::IcmpCode)
    }

    /// The TCP flags.
    pub fn tcp_flags(&self) -> Option<&Bitmask> {
        self.bitmask(Component::TcpFlags)
    }

    /// The packet length.
    pub fn packet_length(&self) -> Option<&Numeric> {
        self.numeric(Component::PacketLength)
    }

    /// The DSCP.
    pub fn dscp(&self) -> Option<&Numeric> {
        self.numeric(Component::Dscp)
    }

    /// The fragment states.
    pub fn fragment(&self) -> Option<&Bitmask> {
        self.bitmask(Component::Fragment)
    }

    /// The flow label (IPv6).
    pub fn flow_label(&self) -> Option<&Numeric> {
        self.numeric(Component::FlowLabel)
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

    /// Port terms for `guardrails.max_ports`: source + destination + either, exclusions as merged ranges.
    pub fn port_terms(&self) -> usize {
        self.ports().map(|(component, numeric)| numeric.port_terms(component.max_value())).sum()
    }

    /// Whether the match names a port component at all (and so never reaches fragments but the first).
    pub fn names_ports(&self) -> bool {
        self.ports().next().is_some()
    }

    fn ports(&self) -> impl Iterator<Item = (Component, &Numeric)> {
        [Component::Port, Component::DestinationPort, Component::SourcePort]
            .into_iter()
            .filter_map(|component| Some((component, self.numeric(component)?)))
    }

    /// The canonical bytes: the identity of the rule within its family.
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
#[derive(Debug, Clone)]
pub struct RuleBuilder {
    destination: Prefix,
    source: Option<Prefix>,
    numerics: BTreeMap<Component, Numeric>,
    bitmasks: BTreeMap<Component, Bitmask>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($type:ty) = $with:ident $component:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, value: $type) -> Self {
            self.$with(Component::$component, value)
        }
    )*};
}

impl RuleBuilder {
    setters! {
        /// The protocol, 0..=255.
        protocol(Numeric) = with_numeric Protocol,
        /// Source or destination port, 0..=65535.
        port(Numeric) = with_numeric Port,
        /// The destination port, 0..=65535.
        destination_port(Numeric) = with_numeric DestinationPort,
        /// The source port, 0..=65535.
        source_port(Numeric) = with_numeric SourcePort,
        /// The ICMP type, 0..=255.
        icmp_type(Numeric) = with_numeric IcmpType,
        /// The ICMP code, 0..=255.
        icmp_code(Numeric) = with_numeric IcmpCode,
        /// The TCP flags.
        tcp_flags(Bitmask) = with_bitmask TcpFlags,
        /// The packet length in bytes, 0..=65535.
        packet_length(Numeric) = with_numeric PacketLength,
        /// The DSCP, 0..=63.
        dscp(Numeric) = with_numeric Dscp,
        /// The fragment states.
        fragment(Bitmask) = with_bitmask Fragment,
        /// The flow label, 0..=1048575, IPv6 only.
        flow_label(Numeric) = with_numeric FlowLabel,
    }

    /// The source prefix, of the destination's family.
    #[must_use]
    pub fn source(mut self, prefix: Prefix) -> Self {
        self.source = Some(prefix);
        self
    }

    /// A numeric component; callers pass no other.
    pub(super) fn with_numeric(mut self, component: Component, value: Numeric) -> Self {
        self.numerics.insert(component, value);
        self
    }

    /// TCP flags or fragment; callers pass no other.
    pub(super) fn with_bitmask(mut self, component: Component, value: Bitmask) -> Self {
        self.bitmasks.insert(component, value);
        self
    }

    /// Checks the components and encodes the rule.
    pub fn build(self) -> Result<Rule, RuleError> {
        let Self { destination, source, numerics, bitmasks } = self;
        let family = destination.family();
        if let Some(source_prefix) = source
            && source_prefix.family() != family
        {
            return Err(RuleError::MixedFamilies { destination, source_prefix });
        }
        if family == Family::Ipv4 && numerics.contains_key(&Component::FlowLabel) {
            return Err(RuleError::FlowLabelOnIpv4);
        }
        let numerics = numerics
            .into_iter()
            .map(|(component, numeric)| Ok((component, numeric_in_range(component, numeric)?)))
            .collect::<Result<_, RuleError>>()?;
        for (component, bitmask) in &bitmasks {
            bitmask_in_range(family, *component, bitmask)?;
        }
        let mut rule = Rule { destination, source, numerics, bitmasks, nlri: Nlri::unicast(destination) };
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
