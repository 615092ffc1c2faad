//! IP prefixes without host bits.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnetwork::IpNetwork;

use super::{AddressError, Family, VictimIp, parse_ip};

/// An IPv4 or IPv6 prefix with zero host bits, shown as `203.0.113.0/24`.
///
/// IPv4-mapped prefixes of 96 bits or more are IPv4 prefixes. An address without length parses as its host prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(IpNetwork);

impl Prefix {
    /// A prefix of `len` bits, 0..=32 or 0..=128.
    ///
    /// # Errors
    /// A longer length, or host bits that are set.
    pub fn new(ip: IpAddr, len: u8) -> Result<Self, AddressError> {
        Self::build(ip, len, || format!("{ip}/{len}"))
    }

    /// As [`Prefix::new`], but host bits are cleared.
    ///
    /// # Errors
    /// A longer length.
    pub fn truncated(ip: IpAddr, len: u8) -> Result<Self, AddressError> {
        let (ip, len) = unmapped(ip, len);
        let network = IpNetwork::new(ip, len).map_err(|_| AddressError::Length {
            text: format!("{ip}/{len}"),
            max: Family::of(ip).max_len(),
        })?;
        Ok(Self::from_canonical(network))
    }

    /// The prefix of one address: /32 or /128.
    pub fn host(victim: VictimIp) -> Self {
        Self(IpNetwork::from(victim.ip()))
    }

    fn build(ip: IpAddr, len: u8, text: impl Fn() -> String) -> Result<Self, AddressError> {
        let max = Family::of(ip).max_len();
        if len > max {
            return Err(AddressError::Length { text: text(), max });
        }
        let prefix = Self::truncated(ip, len)?;
        if prefix.network() == unmapped(ip, len).0 {
            Ok(prefix)
        } else {
            Err(AddressError::HostBits { text: text(), mended: prefix })
        }
    }

    fn from_canonical(network: IpNetwork) -> Self {
        // The length came from this network, so it is valid for the same family.
        Self(IpNetwork::new(network.network(), network.prefix()).unwrap_or(network))
    }

    /// The first address.
    pub fn network(&self) -> IpAddr {
        self.0.ip()
    }

    /// The length in bits, 0..=32 or 0..=128.
    #[allow(clippy::len_without_is_empty)] // a prefix is never empty; "length" is the term of the field
    pub fn len(&self) -> u8 {
        self.0.prefix()
    }

    /// The family.
    pub fn family(&self) -> Family {
        Family::of(self.network())
    }

    /// Whether it is the prefix of one address: /32 or /128.
    pub fn is_host(&self) -> bool {
        self.len() == self.family().max_len()
    }

    /// Whether the address lies in this prefix; never across families.
    pub fn contains(&self, victim: VictimIp) -> bool {
        self.0.contains(victim.ip())
    }

    /// Whether every address of `other` lies in this prefix; never across families.
    pub fn covers(&self, other: &Self) -> bool {
        self.len() <= other.len() && self.0.contains(other.network())
    }

    /// Whether the two have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// The same prefix in the type of the `ipnetwork` crate.
    pub fn as_network(&self) -> IpNetwork {
        self.0
    }

    /// The address as network-order octets, 4 or 16 of them.
    pub fn octets(&self) -> Vec<u8> {
        match self.network() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        }
    }
}

/// `::ffff:203.0.113.0/120` is `203.0.113.0/24`; shorter than 96 bits it holds more than IPv4 and stays IPv6.
fn unmapped(ip: IpAddr, len: u8) -> (IpAddr, u8) {
    if let IpAddr::V6(v6) = ip
        && let Some(v4) = v6.to_ipv4_mapped()
        && (96..=128).contains(&len)
    {
        return (IpAddr::V4(v4), len - 96);
    }
    (ip, len)
}

impl TryFrom<IpNetwork> for Prefix {
    type Error = AddressError;

    fn try_from(network: IpNetwork) -> Result<Self, Self::Error> {
        Self::new(network.ip(), network.prefix())
    }
}

impl FromStr for Prefix {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((address, len)) = text.split_once('/') else {
            return text.parse().map(Self::host);
        };
        let ip = parse_ip(address, text)?;
        let max = Family::of(ip).max_len();
        let digits = (1..=3).contains(&len.len()) && len.bytes().all(|b| b.is_ascii_digit());
        let len = digits.then(|| len.parse().ok()).flatten();
        let len = len.ok_or_else(|| AddressError::Length { text: text.to_owned(), max })?;
        Self::build(ip, len, || text.to_owned())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.len())
    }
}

serde_as_text!(Prefix);

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn host_bits_are_refused_with_the_mended_prefix() {
        let message = "203.0.113.10/24".parse::<Prefix>().unwrap_err().to_string();
        assert_eq!(message, "\"203.0.113.10/24\" has host bits set, the prefix is 203.0.113.0/24");
        let message = "2001:db8::1/64".parse::<Prefix>().unwrap_err().to_string();
        assert!(message.ends_with("2001:db8::/64"), "{message}");
    }

    #[test]
    fn a_bare_address_is_its_host_prefix() {
        assert_eq!(prefix("203.0.113.10").to_string(), "203.0.113.10/32");
        assert_eq!(prefix("2001:DB8::1").to_string(), "2001:db8::1/128");
        assert_eq!(prefix("::ffff:203.0.113.10").to_string(), "203.0.113.10/32");
    }

    #[test]
    fn mapped_prefixes_are_ipv4_from_96_bits_on() {
        assert_eq!(prefix("::ffff:203.0.113.0/120"), prefix("203.0.113.0/24"));
        assert_eq!(prefix("::ffff:0:0/96"), prefix("0.0.0.0/0"));
        assert_eq!(prefix("::/0").family(), Family::Ipv6);
        let message = "::ffff:0:0/90".parse::<Prefix>().unwrap_err().to_string();
        assert!(message.ends_with("the prefix is ::ffc0:0:0/90"), "{message}");
    }

    #[test]
    fn lengths_are_plain_numbers_within_the_family() {
        for text in [
            "203.0.113.0/33",
            "203.0.113.0/",
            "203.0.113.0/-1",
            "203.0.113.0/+8",
            "203.0.113.0/24/8",
            "2001:db8::/129",
            "2001:db8::/256",
            "203.0.113.0/255.255.255.0",
        ] {
            assert!(matches!(text.parse::<Prefix>(), Err(AddressError::Length { .. })), "{text}");
        }
        assert_eq!("/24".parse::<Prefix>(), Err(AddressError::NotAnAddress("/24".to_owned())));
        assert_eq!("".parse::<Prefix>(), Err(AddressError::Empty));
    }

    #[test]
    fn covering_never_crosses_families() {
        assert!(prefix("203.0.113.0/24").covers(&prefix("203.0.113.10")));
        assert!(!prefix("203.0.113.10").covers(&prefix("203.0.113.0/24")));
        assert!(prefix("203.0.113.10").overlaps(&prefix("203.0.113.0/24")));
        assert!(!prefix("203.0.113.0/25").overlaps(&prefix("203.0.113.128/25")));
        assert!(!prefix("0.0.0.0/0").covers(&prefix("2001:db8::1")));
        assert!(!prefix("::/0").contains("203.0.113.10".parse().unwrap()));
        assert!(prefix("::/0").contains("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn json_is_the_text() {
        let parsed: Prefix = serde_json::from_str("\"203.0.113.0/24\"").unwrap();
        assert_eq!(serde_json::to_string(&parsed).unwrap(), "\"203.0.113.0/24\"");
        assert!(serde_json::from_str::<Prefix>("\"203.0.113.1/24\"").is_err());
    }
}
