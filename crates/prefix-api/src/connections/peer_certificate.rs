//! The client certificate that a connection showed in its handshake.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::Utc;
use prefix_tls::{ClientCertificate, NotTrusted, ServerTls, UnreadableCertificate};
use tokio_rustls::rustls::pki_types::CertificateDer;

/// A chain that was verified in the handshake, by what the files held then.
#[derive(Debug)]
pub(crate) struct PeerCertificate {
    chain: Vec<CertificateDer<'static>>,
    certificate: Result<ClientCertificate, UnreadableCertificate>,
    /// By which reading of the files it was verified last.
    verified: AtomicU64,
}

/// Why a certificate opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Its names cannot be read.
    #[error(transparent)]
    Unreadable(UnreadableCertificate),
    /// It is not trusted any more.
    #[error(transparent)]
    NotTrusted(NotTrusted),
}

impl PeerCertificate {
    /// A chain, own certificate first, verified by this reading of the files.
    pub(super) fn new(chain: &[CertificateDer<'_>], reading: u64) -> Self {
        let certificate = chain.first().map_or(&[][..], |own| own.as_ref());
        Self {
            chain: chain.iter().map(|one| one.clone().into_owned()).collect(),
            certificate: ClientCertificate::from_der(certificate),
            verified: AtomicU64::new(reading),
        }
    }

    /// The certificate, if it is still trusted: after the files were read again, and when its time is over, it is verified
    /// anew (configuration.md §2.1).
    pub(crate) fn trusted(&self, tls: &ServerTls) -> Result<&ClientCertificate, Refused> {
        let certificate = self.certificate.as_ref().map_err(|error| Refused::Unreadable(error.clone()))?;
        let reading = tls.reading();
        if self.verified.load(Ordering::Acquire) != reading || certificate.not_after <= Utc::now() {
            tls.verify(&self.chain).map_err(Refused::NotTrusted)?;
            self.verified.store(reading, Ordering::Release);
        }
        Ok(certificate)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use prefix_tls::TlsFiles;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    struct Authority(Issuer<'static, KeyPair>, String);

    fn authority() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority(Issuer::new(params, key), pem)
    }

    fn issue(authority: &Authority, seconds: i64) -> (CertificateDer<'static>, String, String) {
        let mut params = CertificateParams::default();
        params.not_after =
            (std::time::SystemTime::now() + std::time::Duration::from_secs(seconds.unsigned_abs())).into();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority.0).unwrap();
        (certificate.der().clone(), certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn an_open_connection_is_verified_again_after_a_reload_and_when_its_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let clients = authority();
        let (_, server, key) = issue(&clients, 3_600);
        fs::write(path("server.pem"), server).unwrap();
        fs::write(path("server.key"), key).unwrap();
        fs::write(path("ca.pem"), &clients.1).unwrap();
        let tls = ServerTls::open(TlsFiles {
            certificate: path("server.pem"),
            key: path("server.key"),
            authority: Some(path("ca.pem")),
            revoked: Vec::new(),
        })
        .unwrap();
        let shown = PeerCertificate::new(&[issue(&clients, 3_600).0], tls.reading());
        assert!(shown.trusted(&tls).is_ok());
        tls.reload().unwrap();
        assert!(shown.trusted(&tls).is_ok(), "the same authority");
        // seconds are what a certificate counts in
        let short = PeerCertificate::new(&[issue(&clients, 1).0], tls.reading());
        std::thread::sleep(std::time::Duration::from_millis(2_100));
        assert!(matches!(short.trusted(&tls), Err(Refused::NotTrusted(_))));
        fs::write(path("ca.pem"), authority().1).unwrap();
        assert!(shown.trusted(&tls).is_ok(), "until the files are read again");
        tls.reload().unwrap();
        assert!(matches!(shown.trusted(&tls), Err(Refused::NotTrusted(_))));
    }
}
