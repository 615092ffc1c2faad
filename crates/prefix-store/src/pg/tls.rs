//! Encryption to the server, with the meaning that `sslmode` has in libpq.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::OpenError;
use crate::url::{Tls, Verify};

/// How connections are encrypted.
pub(super) fn connector(tls: &Tls) -> Result<MakeRustlsConnect, OpenError> {
    let failed = |error: &dyn std::fmt::Display| OpenError::Tls(error.to_string());
    let provider = Arc::new(ring::default_provider());
    let (mut full, mut pinned) = (None, Vec::new());
    if tls.verify != Verify::Nothing {
        pinned = named_certificates(tls)?;
        let roots = Arc::new(roots(&pinned, tls)?);
        let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
        full = Some(builder.build().map_err(|error| failed(&error))?);
    }
    let names = tls.verify == Verify::Full;
    let verifier = Verifier { full, pinned, names, algorithms: algorithms(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn algorithms(provider: &CryptoProvider) -> WebPkiSupportedAlgorithms {
    provider.signature_verification_algorithms
}

fn unusable(tls: &Tls, error: &dyn std::fmt::Display) -> OpenError {
    let path = tls.root.clone().unwrap_or_default();
    OpenError::Tls(format!("sslrootcert {} cannot be used: {error}", path.display()))
}

/// The certificates of `sslrootcert`.
fn named_certificates(tls: &Tls) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let Some(path) = &tls.root else { return Ok(Vec::new()) };
    let file = CertificateDer::pem_file_iter(path).map_err(|error| unusable(tls, &error))?;
    file.map(|certificate| certificate.map_err(|error| unusable(tls, &error))).collect()
}

/// The authorities to trust: those of `sslrootcert`, else those of the system.
fn roots(named: &[CertificateDer<'static>], tls: &Tls) -> Result<RootCertStore, OpenError> {
    let mut store = RootCertStore::empty();
    if tls.root.is_none() {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    for certificate in named {
        store.add(certificate.clone()).map_err(|error| unusable(tls, &error))?;
    }
    Ok(store)
}

/// Checks of the server's certificate what the URL asks for.
#[derive(Debug)]
struct Verifier {
    /// Who signed it; `None` checks nothing.
    full: Option<Arc<WebPkiServerVerifier>>,
    /// Trusted as they are: a server's own self-signed certificate is its own authority.
    pinned: Vec<CertificateDer<'static>>,
    /// Whether the name must fit as well.
    names: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(full) = &self.full else { return Ok(ServerCertVerified::assertion()) };
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            if self.names {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match full.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // the name is checked last: everything else was in order
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
