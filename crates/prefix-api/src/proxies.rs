//! Proxies in front of the API: what they say about their clients is believed only of those that the configuration names.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName};
use prefix_core::address::Prefix;

/// Names the clients that a request came through, the nearest last.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whether this address is a trusted proxy (`http.trusted_proxies`).
pub(crate) fn trusts(proxies: &[Prefix], address: IpAddr) -> bool {
    proxies.iter().any(|prefix| prefix.contains(address.to_canonical().into()))
}

/// The address of the client: of the connection, or, if that is a trusted proxy, the rightmost entry of
/// `X-Forwarded-For` that is none. An entry that is no address ends the chain, because nobody can know who wrote what
/// stands before it.
pub(crate) fn client(proxies: &[Prefix], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut client = peer.to_canonical();
    let values: Vec<&str> = headers.get_all(FORWARDED_FOR).filter_map(|value| value.to_str().ok()).collect();
    for entry in values.iter().flat_map(|value| value.split(',')).rev() {
        if !trusts(proxies, client) {
            break;
        }
        let Some(named) = address(entry.trim()) else { break };
        client = named.to_canonical();
    }
    client
}

/// Some proxies add the port.
fn address(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse().ok().map(|socket: SocketAddr| socket.ip());
    entry.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn seen(peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        let proxies = ["127.0.0.0/8", "198.51.100.0/24"].map(|prefix| prefix.parse().unwrap());
        client(&proxies, peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_speaks_for_others() {
        for (peer, forwarded, client) in [
            ("192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:127.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("127.0.0.1", &["10.0.0.1, 203.0.113.9, 198.51.100.7"], "203.0.113.9"),
            ("127.0.0.1", &["10.0.0.1", "203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("127.0.0.1", &["203.0.113.9, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7"], "198.51.100.7"),
        ] {
            assert_eq!(seen(peer, forwarded), client, "{peer} {forwarded:?}");
        }
    }
}
