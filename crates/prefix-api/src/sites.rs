//! Requests that a browser sends because some other site told it to (http-api.md §2, "Other sites"), and requests under a
//! name that is not ours: a name that an attacker lets point to a loopback address.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::Method;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};

use crate::problem::{Kind, Problem};
use crate::value::quoted;

/// Browsers say with it where a request comes from; pages cannot change it.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Which sites may send requests, and under which names this one is reached.
#[derive(Clone, Debug)]
pub(crate) struct Sites {
    /// Where the API listens.
    pub(crate) listen: SocketAddr,
    /// `http.public_url`.
    pub(crate) public_url: Option<String>,
    /// `http.cors_origin`.
    pub(crate) cors_origin: Option<String>,
    /// Whether nobody has to prove who they are, so that every name has to be checked.
    pub(crate) everyone_is_admin: bool,
}

/// What a request proves who sent it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// An `Authorization` header, which no other site can make a browser send.
    Authorization,
    /// A cookie, which browsers send by themselves.
    Cookie,
    /// Nothing that a browser adds.
    Nothing,
}

impl Sites {
    /// Whether a request under this name, and from this site, is one that its sender can have meant.
    pub(crate) fn check(&self, method: &Method, headers: &HeaderMap, proof: Proof) -> Result<(), Problem> {
        if self.everyone_is_admin {
            self.check_host(headers)?;
        }
        if proof == Proof::Authorization || matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        let refused = |header: &str, value: &str| {
            let detail = format!(
                "another site has sent this request ({header}: {}); requests that change something are taken from this \
                 site only, or with an Authorization header",
                quoted(value)
            );
            Err(Problem::new(Kind::Forbidden, detail))
        };
        if let Some(site) = headers.get(FETCH_SITE) {
            return match site.as_bytes() {
                b"same-origin" | b"none" => Ok(()),
                other => refused("Sec-Fetch-Site", &String::from_utf8_lossy(other)),
            };
        }
        match headers.get(ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes())) {
            Some(origin) if !self.is_ours(&origin, headers) => refused("Origin", &origin),
            None if proof == Proof::Cookie => Err(Problem::new(
                Kind::Forbidden,
                "a request with a login cookie that changes something must say where it comes from: browsers send \
                 Sec-Fetch-Site or Origin; programs send Sec-Fetch-Site: none, or a token instead of the cookie",
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn is_ours(&self, origin: &str, headers: &HeaderMap) -> bool {
        let own = headers.get(HOST).and_then(|host| host.to_str().ok());
        let public = self.public_url.as_deref().map(origin_of);
        let is_own = authority(origin).is_some_and(|authority| Some(authority) == own);
        is_own || public == Some(origin) || self.cors_origin.as_deref() == Some(origin)
    }

    fn check_host(&self, headers: &HeaderMap) -> Result<(), Problem> {
        // a browser always names its host; who speaks HTTP/1.0 without one is none
        let Some(given) = headers.get(HOST) else { return Ok(()) };
        let given = String::from_utf8_lossy(given.as_bytes());
        let name = without_port(&given);
        let public = self.public_url.as_deref().and_then(authority).map(without_port);
        let known = match name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // who listens on every address is reached by any; an address cannot be pointed somewhere else as a name can
            Ok(ip) => {
                ip.is_loopback()
                    || ip == self.listen.ip()
                    || self.listen.ip().is_unspecified()
                    || public == Some(name)
            }
            Err(_) => {
                name.eq_ignore_ascii_case("localhost")
                    || public.is_some_and(|public| public.eq_ignore_ascii_case(name))
            }
        };
        if known {
            return Ok(());
        }
        let detail = format!(
            "in mode none the API answers only under a loopback name, its listen address or http.public_url, not under \
             the Host {}; set http.public_url, or http.auth.mode",
            quoted(&given)
        );
        Err(Problem::new(Kind::Forbidden, detail))
    }
}

/// Scheme and authority of a URL.
fn origin_of(url: &str) -> &str {
    let Some((scheme, rest)) = url.split_once("://") else { return url };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    &url[..scheme.len() + 3 + end]
}

/// Host and port of a URL.
fn authority(url: &str) -> Option<&str> {
    origin_of(url).split_once("://").map(|(_, authority)| authority)
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { authority }
        }
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn sites(listen: &str) -> Sites {
        Sites {
            listen: listen.parse().unwrap(),
            public_url: Some("https://prefixd.example.net/ui".to_owned()),
            cors_origin: Some("https://noc.example.net".to_owned()),
            everyone_is_admin: true,
        }
    }

    fn check(
        sites: &Sites,
        method: &Method,
        headers: &[(&'static str, &'static str)],
        has_proof: bool,
    ) -> bool {
        let proof = if has_proof { Proof::Authorization } else { Proof::Nothing };
        is_let_in(sites, method, headers, proof)
    }

    fn is_let_in(
        sites: &Sites,
        method: &Method,
        headers: &[(&'static str, &'static str)],
        proof: Proof,
    ) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        sites.check(method, &map, proof).is_ok()
    }

    #[test]
    fn only_names_that_nobody_else_can_own_are_answered_to_without_credentials() {
        let of =
            |listen: &str, host: &'static str| check(&sites(listen), &Method::GET, &[("host", host)], false);
        for host in ["localhost:8080", "LOCALHOST", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "[::1]"] {
            assert!(of("127.0.0.1:8080", host), "{host}");
        }
        for host in ["prefixd.example.net", "PREFIXD.example.net:443"] {
            assert!(of("127.0.0.1:8080", host), "{host}");
        }
        for host in
            ["evil.example.org:8080", "localhost.evil.example.org", "192.0.2.1", "", "127.0.0.1.nip.io"]
        {
            assert!(!of("127.0.0.1:8080", host), "{host}");
        }
        assert!(of("192.0.2.1:8080", "192.0.2.1:8080") && !of("192.0.2.1:8080", "192.0.2.2"));
        assert!(of("0.0.0.0:8080", "192.0.2.2:8080") && !of("0.0.0.0:8080", "evil.example.org"));
        assert!(check(&sites("127.0.0.1:1"), &Method::POST, &[], false), "no browser, no host");
        let checked = Sites { everyone_is_admin: false, ..sites("127.0.0.1:1") };
        assert!(check(&checked, &Method::GET, &[("host", "any.example.org")], false));
    }

    #[test]
    fn no_other_site_changes_anything() {
        let sites = Sites { everyone_is_admin: false, ..sites("127.0.0.1:8080") };
        let of = |headers: &[(&'static str, &'static str)]| check(&sites, &Method::POST, headers, false);
        let host = ("host", "10.0.0.1:8080");
        for good in [
            &[host][..],
            &[host, ("sec-fetch-site", "same-origin"), ("origin", "null")],
            &[host, ("sec-fetch-site", "none")],
            &[host, ("origin", "http://10.0.0.1:8080")],
            &[host, ("origin", "https://prefixd.example.net")],
            &[host, ("origin", "https://noc.example.net")],
        ] {
            assert!(of(good), "{good:?}");
        }
        for bad in [
            &[host, ("sec-fetch-site", "cross-site")][..],
            &[host, ("sec-fetch-site", "same-site"), ("origin", "https://prefixd.example.net")],
            &[host, ("origin", "null")],
            &[host, ("origin", "http://10.0.0.1")],
            &[host, ("origin", "https://evil.example.org")],
        ] {
            assert!(!of(bad), "{bad:?}");
            assert!(check(&sites, &Method::POST, bad, true), "with a secret: {bad:?}");
            assert!(check(&sites, &Method::GET, bad, false), "reads change nothing: {bad:?}");
        }
    }

    #[test]
    fn a_cookie_alone_proves_nothing_for_a_change() {
        let sites = Sites { everyone_is_admin: false, ..sites("127.0.0.1:8080") };
        let host = ("host", "10.0.0.1:8080");
        let of = |headers: &[_], method: &Method, proof| is_let_in(&sites, method, headers, proof);
        assert!(!of(&[host], &Method::POST, Proof::Cookie));
        assert!(of(&[host], &Method::GET, Proof::Cookie) && of(&[host], &Method::POST, Proof::Nothing));
        assert!(of(&[host, ("sec-fetch-site", "none")], &Method::POST, Proof::Cookie));
        assert!(of(&[host, ("origin", "http://10.0.0.1:8080")], &Method::DELETE, Proof::Cookie));
        assert!(!of(&[host, ("sec-fetch-site", "same-site")], &Method::POST, Proof::Cookie));
    }
}
