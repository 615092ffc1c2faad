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
