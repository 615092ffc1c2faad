//! A decoder of BGP UPDATE messages (RFC 4271 §4.3, RFC 4760), independent of the daemon's own codec, so that tests can
//! compare the two.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address families of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// AFI 1, SAFI 1.
    Ipv4Unicast,
    /// AFI 2, SAFI 1.
    Ipv6Unicast,
    /// AFI 1, SAFI 133 (RFC 8955).
    Ipv4FlowSpec,
    /// AFI 2, SAFI 133 (RFC 8956).
    Ipv6FlowSpec,
}

impl Family {
    /// All families of the lab.
    pub const ALL: [Self; 4] = [Self::Ipv4FlowSpec, Self::Ipv6FlowSpec, Self::Ipv4Unicast, Self::Ipv6Unicast];

    /// Whether its NLRI are FlowSpec rules.
    pub fn is_flow_spec(self) -> bool {
        matches!(self, Self::Ipv4FlowSpec | Self::Ipv6FlowSpec)
    }

    fn from_numbers(afi: u16, safi: u8) -> Option<Self> {
        match (afi, safi) {
            (1, 1) => Some(Self::Ipv4Unicast),
            (2, 1) => Some(Self::Ipv6Unicast),
            (1, 133) => Some(Self::Ipv4FlowSpec),
            (2, 133) => Some(Self::Ipv6FlowSpec),
            _ => None,
        }
    }
}

/// Whether an UPDATE announces or withdraws an NLRI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is announced, or replaced with other attributes.
    Announce,
    /// It is withdrawn.
    Withdraw,
}

/// The attributes of an UPDATE that tests use; a withdrawal has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathAttributes {
    /// Standard communities (RFC 1997), like `0xFFFF029A` for 65535:666.
    pub communities: Vec<u32>,
    /// Extended communities (RFC 4360), eight bytes each: FlowSpec actions are these.
    pub extended_communities: Vec<[u8; 8]>,
    /// IPv6 specific extended communities (RFC 5701), twenty bytes each.
    pub ipv6_extended_communities: Vec<[u8; 20]>,
    /// Large communities (RFC 8092): global administrator, local data 1, local data 2.
    pub large_communities: Vec<[u32; 3]>,
    /// The next hop; FlowSpec has none.
    pub next_hop: Option<IpAddr>,
}

/// One NLRI of one UPDATE, as the router received it.
#[derive(Debug, Clone, PartialEq)]
pub struct RouterUpdate {
    /// The number of its UPDATE, from 0: NLRI with the same number were packed together.
    pub message: usize,
    /// When the router read it, as Unix time in seconds.
    pub at: f64,
    /// Whether it is announced or withdrawn.
    pub change: Change,
    /// Its family.
    pub family: Family,
    /// The NLRI without the length octets that precede it: for FlowSpec the components (RFC 8955 §4.2), for unicast the
    /// length in bits and the significant bytes of the prefix (RFC 4271 §4.3).
    pub nlri: Vec<u8>,
    /// The attributes.
    pub attributes: PathAttributes,
    /// The NLRI as ExaBGP decoded it: for FlowSpec, an object of components.
    pub parsed: serde_json::Value,
}

impl RouterUpdate {
    /// Whether the NLRI is announced.
    pub fn is_announcement(&self) -> bool {
        self.change == Change::Announce
    }

    /// Whether the NLRI is withdrawn.
    pub fn is_withdrawal(&self) -> bool {
        self.change == Change::Withdraw
    }

    /// The NLRI in lower-case hexadecimal.
    pub fn nlri_hex(&self) -> String {
        hex::encode(&self.nlri)
    }

    /// The extended communities in lower-case hexadecimal.
    pub fn extended_communities_hex(&self) -> Vec<String> {
        self.attributes.extended_communities.iter().map(hex::encode).collect()
    }

    /// The traffic-rate action (RFC 8955 §7.1) in bytes per second, 0 for discard, if the rule has one.
    pub fn traffic_rate_bytes_per_second(&self) -> Option<f32> {
        self.attributes.extended_communities.iter().find_map(|community| match *community {
            [0x80, 0x06, _, _, a, b, c, d] => Some(f32::from_be_bytes([a, b, c, d])),
            _ => None,
        })
    }

    /// The destination as ExaBGP names it, like `203.0.113.10/32` or `2001:db8::1/128/0` (with the offset).
    pub fn destination(&self) -> Option<&str> {
        let of = |name: &str| self.parsed.get(name)?.get(0)?.as_str();
        of("destination-ipv4").or_else(|| of("destination-ipv6"))
    }
}

/// The changes of one UPDATE body (without the 19 bytes of header).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) changes: Vec<(Change, Family, Vec<u8>)>,
    pub(super) attributes: PathAttributes,
}

/// An UPDATE whose lengths do not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed UPDATE: {}", self.0)
    }
}

impl From<Malformed> for String {
    fn from(malformed: Malformed) -> Self {
        malformed.to_string()
    }
}

/// Reads the body of an UPDATE.
pub(super) fn parse(body: &[u8]) -> Result<Update, Malformed> {
    let mut update = Update::default();
    let mut rest = Reader(body);
    let mut withdrawn = rest.with_length_of_two("withdrawn routes")?;
    let mut attributes = rest.with_length_of_two("path attributes")?;
    let mut announced = rest;
    while !withdrawn.is_empty() {
        update.changes.push((Change::Withdraw, Family::Ipv4Unicast, withdrawn.prefix()?));
    }
    while !attributes.is_empty() {
        attribute(&mut attributes, &mut update)?;
    }
    while !announced.is_empty() {
        update.changes.push((Change::Announce, Family::Ipv4Unicast, announced.prefix()?));
    }
    Ok(update)
}

const EXTENDED_LENGTH: u8 = 0x10;

fn attribute(attributes: &mut Reader<'_>, update: &mut Update) -> Result<(), Malformed> {
    let flags = attributes.byte("attribute flags")?;
    let code = attributes.byte("attribute type")?;
    let length = match flags & EXTENDED_LENGTH {
        0 => usize::from(attributes.byte("attribute length")?),
        _ => usize::from(attributes.two("attribute length")?),
    };
    let mut value = Reader(attributes.take(length, "attribute value")?);
    let known = &mut update.attributes;
    match code {
        3 => known.next_hop = Some(IpAddr::V4(Ipv4Addr::from(value.array::<4>("next hop")?))),
        8 => known.communities = value.each("community", u32::from_be_bytes)?,
        16 => known.extended_communities = value.each("extended community", |bytes: [u8; 8]| bytes)?,
        25 => {
            known.ipv6_extended_communities =
                value.each("IPv6 extended community", |bytes: [u8; 20]| bytes)?;
        }
        32 => known.large_communities = value.each("large community", large_community)?,
        14 => {
            let family = value.family()?;
            let length = usize::from(value.byte("next hop length")?);
            known.next_hop = next_hop(value.take(length, "next hop")?);
            value.byte("reserved")?;
            value.nlri(Change::Announce, family, &mut update.changes)?;
        }
        15 => {
            let family = value.family()?;
            value.nlri(Change::Withdraw, family, &mut update.changes)?;
        }
        _ => {}
    }
    Ok(())
}

fn next_hop(bytes: &[u8]) -> Option<IpAddr> {
    let global: Result<[u8; 16], _> = bytes.get(..16).unwrap_or_default().try_into();
    if let Ok(address) = global {
        return Some(IpAddr::V6(Ipv6Addr::from(address)));
    }
    let address: [u8; 4] = bytes.try_into().ok()?;
    Some(IpAddr::V4(Ipv4Addr::from(address)))
}

fn large_community(bytes: [u8; 12]) -> [u32; 3] {
    let mut fields = [0; 3];
    for (field, four) in fields.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *field = u32::from_be_bytes(*four);
    }
    fields
}

/// Octets that are not read yet; `what` names the field in the error.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        self.take(N, what)?.try_into().map_err(|_| Malformed(what))
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    fn two(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.array(what).map(u16::from_be_bytes)
    }

    fn with_length_of_two(&mut self, what: &'static str) -> Result<Self, Malformed> {
        let length = self.two(what)?;
        self.take(usize::from(length), what).map(Reader)
    }

    fn each<const N: usize, T>(
        &mut self,
        what: &'static str,
        read: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, Malformed> {
        let mut values = Vec::new();
        while !self.is_empty() {
            values.push(read(self.array(what)?));
        }
        Ok(values)
    }

    fn family(&mut self) -> Result<Option<Family>, Malformed> {
        Ok(Family::from_numbers(self.two("address family")?, self.byte("subsequent address family")?))
    }

    /// A unicast prefix with its length octet.
    fn prefix(&mut self) -> Result<Vec<u8>, Malformed> {
        let bits = self.byte("prefix length")?;
        let mut prefix = vec![bits];
        prefix.extend_from_slice(self.take(usize::from(bits.div_ceil(8)), "prefix")?);
        Ok(prefix)
    }

    /// A FlowSpec rule without its length, which is one octet below 240 and two from there (RFC 8955 §4.1).
    fn rule(&mut self) -> Result<Vec<u8>, Malformed> {
        let first = self.byte("rule length")?;
        let length = match first {
            0xf0.. => usize::from(first & 0x0f) << 8 | usize::from(self.byte("rule length")?),
            _ => usize::from(first),
        };
        self.take(length, "rule").map(<[u8]>::to_vec)
    }

    fn nlri(
        &mut self,
        change: Change,
        family: Option<Family>,
        changes: &mut Vec<(Change, Family, Vec<u8>)>,
    ) -> Result<(), Malformed> {
        let Some(family) = family else { return Ok(()) };
        while !self.is_empty() {
            let nlri = if family.is_flow_spec() { self.rule()? } else { self.prefix()? };
            changes.push((change, family, nlri));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(body: &str) -> Update {
        parse(&hex::decode(body).unwrap()).unwrap()
    }

    // The bodies are captures from gobgpd 4.8.

    #[test]
    fn an_announced_rule_is_read_with_its_action() {
        let update = update(
            "0000002D4001010240020602010000FDF2800E1200018500000C0120CB00710B03811106817BC010088006000049989680",
        );
        let nlri = hex::decode("0120cb00710b03811106817b").unwrap();
        assert_eq!(update.changes, [(Change::Announce, Family::Ipv4FlowSpec, nlri)]);
        assert_eq!(update.attributes.extended_communities, [[0x80, 6, 0, 0, 0x49, 0x98, 0x96, 0x80]]);
    }

    #[test]
    fn a_withdrawn_rule_is_read() {
        let update = update("0000001D800F1A0002851601800020010DB8000000000000000000000001038111");
        let nlri = hex::decode("01800020010db8000000000000000000000001038111").unwrap();
        assert_eq!(update.changes, [(Change::Withdraw, Family::Ipv6FlowSpec, nlri)]);
    }

    #[test]
    fn a_blackhole_route_is_read_with_next_hop_and_community() {
        let update = update("0000001B4001010240020602010000FDF2400304C0000201C00804FFFF029A20CB007163");
        let prefix = vec![32, 203, 0, 113, 99];
        assert_eq!(update.changes, [(Change::Announce, Family::Ipv4Unicast, prefix)]);
        assert_eq!(update.attributes.next_hop, Some(Ipv4Addr::new(192, 0, 2, 1).into()));
        assert_eq!(update.attributes.communities, [0xffff_029a]);
    }

    #[test]
    fn a_rule_of_240_bytes_has_a_length_of_two_octets() {
        let rule = vec![7; 240];
        let mut body = vec![0, 0, 0, 249, 0x90, 15, 0, 245, 0, 1, 133, 0xf0, 240];
        body.extend_from_slice(&rule);
        assert_eq!(parse(&body).unwrap().changes, [(Change::Withdraw, Family::Ipv4FlowSpec, rule)]);
    }

    #[test]
    fn a_body_that_ends_early_is_malformed() {
        let whole = hex::decode("00000013800F100001850C0120CB00710A038111058135").unwrap();
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
