//! Addresses and protocols as people write them.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use prefix_client::Protocol;

/// Reads an address, or the prefix that holds it alone: `203.0.113.10/32`.
pub(crate) fn host(text: &str) -> Result<IpAddr, String> {
    let refused = || format!("`{text}` is no IPv4 or IPv6 address");
    if !text.contains('/') {
        return text.parse().map_err(|_| refused());
    }
    let network: IpNetwork = text.parse().map_err(|_| refused())?;
    let length = if network.is_ipv4() { 32 } else { 128 };
    if network.prefix() == length {
        Ok(network.ip())
    } else {
        Err(format!("`{text}` has more than one address: write one, without `/` or with /{length}"))
    }
}

/// Reads an address, or a prefix whose host bits are zero.
pub(crate) fn prefix(text: &str) -> Result<IpNetwork, String> {
    if !text.contains('/') {
        return host(text).map(IpNetwork::from);
    }
    let network: IpNetwork = text.parse().map_err(|_| format!("`{text}` is no IPv4 or IPv6 prefix"))?;
    let mended = network.network();
    if network.ip() == mended {
        Ok(network)
    } else {
        Err(format!("`{text}` has host bits set: the prefix is {mended}/{}", network.prefix()))
    }
}

/// Reads a protocol. An empty text, which is any protocol for the API, is most likely a variable that is not set.
pub(crate) fn protocol(text: &str) -> Result<Protocol, String> {
    if text.trim().is_empty() {
        return Err("an empty text is no protocol: write udp, tcp, icmp, gre, any or a number".to_owned());
    }
    text.parse().map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_attacked_may_be_a_prefix_without_host_bits() {
        assert_eq!(prefix("203.0.113.0/24").unwrap().to_string(), "203.0.113.0/24");
        assert_eq!(prefix("2001:db8::1").unwrap().prefix(), 128);
        assert!(prefix("203.0.113.7/24").unwrap_err().contains("203.0.113.0/24"));
        assert!(prefix("here/24").is_err());
    }

    #[test]
    fn a_victim_is_an_address_or_the_prefix_of_one() {
        for (text, address) in [
            ("203.0.113.10", "203.0.113.10"),
            ("203.0.113.10/32", "203.0.113.10"),
            ("2001:db8::1/128", "2001:db8::1"),
        ] {
            assert_eq!(host(text), Ok(address.parse().unwrap()));
        }
        for text in ["", "203.0.113.0/24", "2001:db8::/32", "example.net", "203.0.113.10/33"] {
            assert!(host(text).unwrap_err().contains(&format!("`{text}`")), "{text}");
        }
    }

    #[test]
    fn an_empty_protocol_is_not_any() {
        assert!(protocol("").is_err() && protocol(" ").is_err());
        assert_eq!(protocol("6"), Ok(Protocol::Number(6)));
    }
}
