//! What a client certificate says about its holder.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};

/// `commonName` (RFC 4519 §2.3).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A certificate that is no X.509, or has a name that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the certificate cannot be read: {0}")]
pub struct UnreadableCertificate(String);

/// A certificate whose chain was verified, as far as a role depends on it. Names are as they stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Every `commonName` of the subject.
    pub common_names: Vec<String>,
    /// `dNSName`s of the subject's alternative names.
    pub dns: Vec<String>,
    /// `uniformResourceIdentifier`s.
    pub uris: Vec<String>,
    /// `rfc822Name`s.
    pub emails: Vec<String>,
    /// The whole subject as RFC 4514 writes it.
    pub subject: String,
    /// Until when it is valid.
    pub not_after: DateTime<Utc>,
    /// SHA-256 of the certificate, 64 hex digits.
    pub fingerprint: String,
}

impl ClientCertificate {
    /// Reads a certificate in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, UnreadableCertificate> {
        let unreadable = |error: x509_cert::der::Error| UnreadableCertificate(error.to_string());
        let certificate = Certificate::from_der(der).map_err(unreadable)?.tbs_certificate;
        let mut common_names = Vec::new();
        for attribute in certificate.subject.0.iter().flat_map(|names| names.0.iter()) {
            if attribute.oid == COMMON_NAME {
                let der = attribute.value.to_der().map_err(unreadable)?;
                common_names.push(match DirectoryString::from_der(&der).map_err(unreadable)? {
                    DirectoryString::PrintableString(name) => name.to_string(),
                    DirectoryString::TeletexString(name) => name.to_string(),
                    DirectoryString::Utf8String(name) => name,
                });
            }
        }
        let (mut dns, mut uris, mut emails) = (Vec::new(), Vec::new(), Vec::new());
        let names = certificate.get::<SubjectAltName>().map_err(unreadable)?;
        for name in names.into_iter().flat_map(|(_, names)| names.0) {
            match name {
                GeneralName::DnsName(name) => dns.push(name.to_string()),
                GeneralName::UniformResourceIdentifier(name) => uris.push(name.to_string()),
                GeneralName::Rfc822Name(name) => emails.push(name.to_string()),
                _ => {}
            }
        }
        let all = common_names.iter().chain(&dns).chain(&uris).chain(&emails);
        if all.into_iter().any(|name| name.chars().any(char::is_control)) {
            return Err(UnreadableCertificate("a name holds control characters".to_owned()));
        }
        let seconds = certificate.validity.not_after.to_unix_duration().as_secs();
        let not_after = i64::try_from(seconds).ok().and_then(|at| DateTime::from_timestamp(at, 0));
        Ok(Self {
            common_names,
            dns,
            uris,
            emails,
            subject: certificate.subject.to_string(),
            not_after: not_after.unwrap_or(DateTime::<Utc>::MAX_UTC),
            fingerprint: hex::encode(Sha256::digest(der)),
        })
    }

    /// Its names for people, for the words of a refusal.
    pub fn names(&self) -> String {
        let mut names = vec![format!("subject {:?}", self.subject)];
        let more = [("dns", &self.dns), ("uri", &self.uris), ("email", &self.emails)];
        names
            .extend(more.iter().flat_map(|(kind, all)| all.iter().map(move |name| format!("{kind}:{name}"))));
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_certificates::{Authority, leaf};

    #[test]
    fn every_name_of_a_certificate_is_read_as_it_stands() {
        let ca = Authority::new("test ca");
        let mut params = leaf("fnm, Inc.");
        params.subject_alt_names = vec![
            rcgen::SanType::DnsName("fnm.example.net".try_into().unwrap()),
            rcgen::SanType::URI("spiffe://example.net/ns/ddos/sa/fnm".try_into().unwrap()),
            rcgen::SanType::Rfc822Name("noc@example.net".try_into().unwrap()),
        ];
        let der = ca.sign(&params).0;
        let read = ClientCertificate::from_der(&der).unwrap();
        assert_eq!(read.common_names, ["fnm, Inc."]);
        assert_eq!(read.dns, ["fnm.example.net"]);
        assert_eq!(read.uris, ["spiffe://example.net/ns/ddos/sa/fnm"]);
        assert_eq!(read.emails, ["noc@example.net"]);
        assert_eq!(read.subject, r"CN=fnm\, Inc.");
        assert_eq!(read.fingerprint.len(), 64);
        assert!(read.not_after > Utc::now());
        assert!(ClientCertificate::from_der(&der[..der.len() - 1]).is_err());
        assert!(ClientCertificate::from_der(b"").is_err());
    }

    #[test]
    fn a_name_with_control_characters_is_nobodys() {
        let ca = Authority::new("test ca");
        let der = ca.sign(&leaf("admin\u{0}x")).0;
        assert!(ClientCertificate::from_der(&der).is_err());
    }
}
