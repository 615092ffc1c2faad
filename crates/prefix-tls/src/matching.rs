//! What a certificate is matched by (configuration.md §2.1).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use x509_cert::name::Name;

use crate::ClientCertificate;

/// One way to recognise certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateMatch {
    /// `cn:NAME`: the subject has exactly one common name, and it is this.
    CommonName(String),
    /// `dns:NAME`; in front `*` is one label.
    Dns(String),
    /// `uri:URI`; `*` is one segment of the path.
    Uri(String),
    /// `email:ADDRESS`.
    Email(String),
    /// `subject:DN`, the whole subject, as RFC 4514 writes it.
    Subject(String),
    /// `*`: every certificate that verifies.
    Any,
}

/// What is no way to recognise a certificate, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidMatch {
    /// No kind that there is.
    #[error(
        "must be \"cn:NAME\", \"dns:NAME\", \"uri:URI\", \"email:ADDRESS\", \"subject:DN\" or \"*\", not {0:?}"
    )]
    Unknown(String),
    /// A star where none can stand.
    #[error(
        "{0:?}: \"*\" may stand for one leftmost label of a dns name or one path segment of a uri, and nowhere else"
    )]
    Star(String),
    /// No RFC 4514 name.
    #[error("{0:?} is no distinguished name, such as \"CN=fnm1,O=Example\" (RFC 4514)")]
    Subject(String),
}

impl FromStr for CertificateMatch {
    type Err = InvalidMatch;

    fn from_str(text: &str) -> Result<Self, InvalidMatch> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let unknown = || InvalidMatch::Unknown(text.to_owned());
        let star = || InvalidMatch::Star(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(unknown)?;
        if name.is_empty() {
            return Err(unknown());
        }
        let owned = name.to_owned();
        match kind {
            "cn" | "email" | "subject" if name.contains('*') => Err(star()),
            "cn" => Ok(Self::CommonName(owned)),
            "email" => Ok(Self::Email(owned)),
            "dns" => {
                let rest = name.strip_prefix("*.").unwrap_or(name);
                let is_name = !rest.is_empty() && !rest.contains('*');
                if is_name { Ok(Self::Dns(owned)) } else { Err(star()) }
            }
            "uri" => {
                let mut segments = name.split('/').enumerate();
                // scheme, nothing, authority: the path begins behind them
                let wrong = |(index, segment): (usize, &str)| {
                    segment.contains('*') && (segment != "*" || index < FIRST_SEGMENT)
                };
                if segments.any(wrong) { Err(star()) } else { Ok(Self::Uri(owned)) }
            }
            "subject" => canonical(name).map(Self::Subject).ok_or(InvalidMatch::Subject(owned)),
            _ => Err(unknown()),
        }
    }
}

/// `spiffe://example.net/ns/...`: the parts between slashes before the path are three.
const FIRST_SEGMENT: usize = 3;

/// A name as it is written after it was read; `None` if it is none.
fn canonical(name: &str) -> Option<String> {
    let parsed: Name = name.parse().ok()?;
    (!parsed.0.is_empty()).then(|| parsed.to_string())
}

impl CertificateMatch {
    /// The name by which a certificate matches; `None` if it does not. For `*` that is its fingerprint.
    pub fn name_in(&self, certificate: &ClientCertificate) -> Option<String> {
        let found =
            |names: &[String], is_it: &dyn Fn(&str) -> bool| names.iter().find(|name| is_it(name)).cloned();
        match self {
            Self::CommonName(wanted) => match certificate.common_names.as_slice() {
                [only] if only == wanted => Some(only.clone()),
                _ => None,
            },
            // one host is one name, however its certificate spells it
            Self::Dns(wanted) => found(&certificate.dns, &|name| matches_dns(wanted, name))
                .map(|name| name.to_ascii_lowercase()),
            Self::Uri(wanted) => found(&certificate.uris, &|name| matches_uri(wanted, name)),
            Self::Email(wanted) => {
                found(&certificate.emails, &|name| matches_email(wanted, name)).map(one_spelling)
            }
            // both were written by the same hand, from names that were read
            Self::Subject(wanted) => (certificate.subject == *wanted).then(|| wanted.clone()),
            Self::Any => Some(certificate.fingerprint.clone()),
        }
    }
}

/// Names of hosts are compared without case (RFC 4343). A star in a certificate is no label.
fn matches_dns(wanted: &str, name: &str) -> bool {
    if name.contains('*') {
        return false;
    }
    match wanted.strip_prefix("*.") {
        Some(rest) => name
            .split_once('.')
            .is_some_and(|(label, zone)| !label.is_empty() && zone.eq_ignore_ascii_case(rest)),
        None => name.eq_ignore_ascii_case(wanted),
    }
}

fn matches_uri(wanted: &str, name: &str) -> bool {
    let one_segment = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && !segment.contains(['?', '#', '*', '%'])
    };
    let (mut wanted, mut name) = (wanted.split('/'), name.split('/'));
    loop {
        match (wanted.next(), name.next()) {
            (None, None) => return true,
            (Some("*"), Some(segment)) if one_segment(segment) => {}
            (Some(one), Some(other)) if one != "*" && one == other => {}
            _ => return false,
        }
    }
}

/// The part behind the `@` is the name of a host, the part before is compared as it stands (RFC 5280 §7.5).
fn matches_email(wanted: &str, name: &str) -> bool {
    match (wanted.rsplit_once('@'), name.rsplit_once('@')) {
        (Some((local, host)), Some((other, of))) => local == other && host.eq_ignore_ascii_case(of),
        _ => false,
    }
}

/// An address with its host in lower case.
fn one_spelling(address: String) -> String {
    match address.rsplit_once('@') {
        Some((local, host)) => format!("{local}@{}", host.to_ascii_lowercase()),
        None => address,
    }
}

impl fmt::Display for CertificateMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Self::CommonName(name) => ("cn", name),
            Self::Dns(name) => ("dns", name),
            Self::Uri(name) => ("uri", name),
            Self::Email(name) => ("email", name),
            Self::Subject(name) => ("subject", name),
            Self::Any => return f.write_str("*"),
        };
        write!(f, "{kind}:{name}")
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    use super::*;

    fn certificate() -> ClientCertificate {
        ClientCertificate {
            common_names: vec!["fnm1".to_owned()],
            dns: vec!["Fnm1.example.net".to_owned(), "*.wild.example.net".to_owned()],
            uris: vec!["spiffe://example.net/ns/ddos/sa/fnm".to_owned()],
            emails: vec!["Noc@Example.net".to_owned()],
            subject: "CN=fnm1,OU=NOC,O=Example\\, Inc.".to_owned(),
            not_after: DateTime::<Utc>::MAX_UTC,
            fingerprint: "ab".repeat(32),
        }
    }

    fn name(text: &str) -> Option<String> {
        text.parse::<CertificateMatch>().unwrap().name_in(&certificate())
    }

    #[test]
    fn each_kind_matches_its_own_names_and_nothing_else() {
        for (text, expected) in [
            ("cn:fnm1", Some("fnm1")),
            ("cn:fnm", None),
            ("cn:FNM1", None),
            ("dns:fnm1.example.net", Some("fnm1.example.net")),
            ("dns:FNM1.Example.NET", Some("fnm1.example.net")),
            ("dns:*.example.net", Some("fnm1.example.net")),
            ("dns:*.net", None),
            ("dns:example.net", None),
            // a star in a certificate is no label
            ("dns:*.wild.example.net", None),
            ("uri:spiffe://example.net/ns/ddos/sa/fnm", Some("spiffe://example.net/ns/ddos/sa/fnm")),
            ("uri:spiffe://example.net/ns/*/sa/fnm", Some("spiffe://example.net/ns/ddos/sa/fnm")),
            ("uri:spiffe://example.net/ns/*", None),
            ("uri:spiffe://example.net/ns/ddos/sa", None),
            ("email:Noc@example.net", Some("Noc@example.net")),
            ("email:noc@example.net", None),
            ("subject:CN=fnm1,OU=NOC,O=Example\\, Inc.", Some("CN=fnm1,OU=NOC,O=Example\\, Inc.")),
            ("subject:CN=fnm1,OU=NOC", None),
            ("subject:O=Example\\, Inc.,OU=NOC,CN=fnm1", None),
            ("*", Some("abababababababababababababababababababababababababababababababab")),
        ] {
            assert_eq!(name(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn two_common_names_are_none() {
        let two = ClientCertificate { common_names: vec!["a".into(), "admin".into()], ..certificate() };
        let admin: CertificateMatch = "cn:admin".parse().unwrap();
        assert_eq!(admin.name_in(&two), None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "",
            "fnm1",
            "cn:",
            "cn:*",
            "cn:fnm*",
            "dns:f*.example.net",
            "dns:*",
            "dns:a.*.net",
            "email:*@example.net",
        ] {
            assert!(text.parse::<CertificateMatch>().is_err(), "{text}");
        }
        for text in
            ["uri:spiffe://*/ns", "uri:spiffe://example.net/n*", "subject:fnm1", "subject:CN=*", "name:x"]
        {
            assert!(text.parse::<CertificateMatch>().is_err(), "{text}");
        }
        assert!("uri:spiffe://example.net/*/x".parse::<CertificateMatch>().is_ok());
    }

    #[test]
    fn a_segment_is_no_path() {
        let wild = "spiffe://example.net/ns/*/sa";
        for name in [
            "spiffe://example.net/ns/../sa",
            "spiffe://example.net/ns//sa",
            "spiffe://example.net/ns/a%2Fb/sa",
        ] {
            assert!(!matches_uri(wild, name), "{name}");
        }
        assert!(matches_uri(wild, "spiffe://example.net/ns/a/sa"));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_match_panic(text in ".{0,40}", name in ".{0,40}") {
            let certificate = ClientCertificate {
                dns: vec![name.clone()], uris: vec![name.clone()], emails: vec![name.clone()], subject: name,
                ..certificate()
            };
            for kind in ["cn", "dns", "uri", "email", "subject"] {
                if let Ok(known) = format!("{kind}:{text}").parse::<CertificateMatch>() {
                    let _ = known.name_in(&certificate);
                    let again = known.to_string().parse::<CertificateMatch>();
                    prop_assert_eq!(again, Ok(known));
                }
            }
        }

        #[test]
        fn a_name_matches_itself(label in "[a-z]{1,8}", zone in "[a-z]{1,8}\\.[a-z]{2,3}") {
            let name = format!("{label}.{zone}");
            prop_assert!(matches_dns(&name, &name));
            let star = format!("*.{zone}");
            prop_assert!(matches_dns(&star, &name));
            let deeper = format!("x.{name}");
            prop_assert!(!matches_dns(&star, &deeper));
        }
    }
}
