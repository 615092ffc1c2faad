//! How connections are accepted: TLS 1.2 and later, client certificates where an authority is configured, no resumption
//! of sessions, and new files without a restart.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;

use crate::files::{self, TlsFileError, TlsFiles};

/// A client certificate that is not trusted, or no longer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the client certificate is not trusted: {0}")]
pub struct NotTrusted(String);

/// TLS of a listener; what it holds is replaced as a whole.
#[derive(Debug)]
pub struct ServerTls {
    files: TlsFiles,
    loaded: ArcSwap<Loaded>,
}

/// What was read from the files at one time.
#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// When the own certificate ends.
    ends_at: DateTime<Utc>,
    /// Which reading it is, counted from 0.
    reading: u64,
}

impl ServerTls {
    /// Reads the files.
    pub fn open(files: TlsFiles) -> Result<Self, TlsFileError> {
        let loaded = load(&files, 0)?;
        Ok(Self { files, loaded: ArcSwap::from_pointee(loaded) })
    }

    /// Reads the files again: new connections get what they hold now, open ones stay. What cannot be read changes nothing.
    pub fn reload(&self) -> Result<(), TlsFileError> {
        let reading = self.loaded.load().reading + 1;
        self.loaded.store(Arc::new(load(&self.files, reading)?));
        Ok(())
    }

    /// That the own certificate ends within 14 days or has ended, in words. Reads no file.
    pub fn ends_soon(&self) -> Option<String> {
        self.files.ends_soon_at(self.loaded.load().ends_at)
    }

    /// The files.
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// What a new connection is accepted with, and which reading of the files that is.
    pub fn config(&self) -> (Arc<ServerConfig>, u64) {
        let loaded = self.loaded.load();
        (Arc::clone(&loaded.config), loaded.reading)
    }

    /// Which reading of the files is in force.
    pub fn reading(&self) -> u64 {
        self.loaded.load().reading
    }

    /// Whether a chain is trusted by what the files hold now: own certificate first.
    pub fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), NotTrusted> {
        let loaded = self.loaded.load();
        let Some(verifier) = &loaded.verifier else {
            return Err(NotTrusted("no authority is configured".to_owned()));
        };
        let (own, others) = chain.split_first().ok_or_else(|| NotTrusted("there is none".to_owned()))?;
        let verified = verifier.verify_client_cert(own, others, UnixTime::now());
        verified.map(drop).map_err(|error| NotTrusted(error.to_string()))
    }
}

fn load(files: &TlsFiles, reading: u64) -> Result<Loaded, TlsFileError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = files.authority.as_ref().map(|_| verifier(files, &provider)).transpose()?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| TlsFileError::content(&files.certificate, error.to_string()))?;
    let builder = match &verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        None => builder.with_no_client_auth(),
    };
    let chain = files::certificates(&files.certificate)?;
    let mut config = builder.with_single_cert(chain, files::key(&files.key)?).map_err(|error| {
        let problem = format!("does not go with the certificate {}: {error}", files.certificate.display());
        TlsFileError::content(&files.key, problem)
    })?;
    // a session that goes on would never show its certificate again
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Loaded { config: Arc::new(config), verifier, ends_at: files.ends_at()?, reading })
}

/// Checks client certificates. A connection without one is let in: what is public needs none, and everything else is
/// refused where requests are authenticated.
fn verifier(
    files: &TlsFiles,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsFileError> {
    let authority = files.authority.as_deref().unwrap_or(&files.certificate);
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates(authority)? {
        roots.add(certificate).map_err(|error| TlsFileError::content(authority, error.to_string()))?;
    }
    let mut lists = Vec::new();
    for path in &files.revoked {
        lists.extend(files::revoked(path)?);
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .allow_unauthenticated();
    if !lists.is_empty() {
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
    }
    let verifier = builder.build().map_err(|error| {
        let path = files.revoked.first().map_or(authority, |path| path.as_path());
        TlsFileError::content(path, error.to_string())
    })?;
    Ok(verifier)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::test_certificates::{Authority, leaf};

    struct Lab {
        folder: tempfile::TempDir,
        authority: Authority,
    }

    impl Lab {
        fn new() -> Self {
            let lab = Self { folder: tempfile::tempdir().unwrap(), authority: Authority::new("clients") };
            let (_, certificate, key) = Authority::new("server").sign(&leaf("prefixd"));
            lab.put("cert.pem", &certificate);
            lab.put("key.pem", &key);
            lab.put("ca.pem", &lab.authority.pem);
            lab
        }

        fn put(&self, name: &str, text: &str) {
            fs::write(self.folder.path().join(name), text).unwrap();
        }

        fn files(&self) -> TlsFiles {
            let path = |name| self.folder.path().join(name);
            TlsFiles {
                certificate: path("cert.pem"),
                key: path("key.pem"),
                authority: Some(path("ca.pem")),
                revoked: Vec::new(),
            }
        }
    }

    fn chain(der: &[u8]) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from(der.to_vec())]
    }

    #[test]
    fn a_certificate_of_another_authority_and_one_whose_time_is_over_are_not_trusted() {
        let lab = Lab::new();
        let tls = ServerTls::open(lab.files()).unwrap();
        let good = lab.authority.sign(&leaf("fnm")).0;
        assert_eq!(tls.verify(&chain(&good)), Ok(()));
        let foreign = Authority::new("clients").sign(&leaf("fnm")).0;
        assert!(tls.verify(&chain(&foreign)).is_err());
        let mut over = leaf("fnm");
        over.not_before = rcgen::date_time_ymd(2020, 1, 1);
        over.not_after = rcgen::date_time_ymd(2020, 1, 2);
        assert!(tls.verify(&chain(&lab.authority.sign(&over).0)).unwrap_err().to_string().contains("xpired"));
        assert!(tls.verify(&[]).is_err());
    }

    #[test]
    fn a_revoked_certificate_is_refused_from_the_next_reading_on() {
        let lab = Lab::new();
        let mut params = leaf("fnm");
        params.serial_number = Some(7_u64.into());
        let revoked = lab.authority.sign(&params).0;
        params.serial_number = Some(8_u64.into());
        let other = lab.authority.sign(&params).0;
        lab.put("crl.pem", &lab.authority.revoke(1));
        let files = TlsFiles { revoked: vec![lab.folder.path().join("crl.pem")], ..lab.files() };
        let tls = ServerTls::open(files).unwrap();
        assert_eq!(tls.verify(&chain(&revoked)), Ok(()));
        lab.put("crl.pem", &lab.authority.revoke(7));
        assert_eq!(tls.verify(&chain(&revoked)), Ok(()));
        tls.reload().unwrap();
        assert_eq!(tls.reading(), 1);
        assert!(tls.verify(&chain(&revoked)).unwrap_err().to_string().contains("evoked"));
        assert_eq!(tls.verify(&chain(&other)), Ok(()));
    }

    #[test]
    fn files_that_are_none_are_named_and_change_nothing() {
        let lab = Lab::new();
        let tls = ServerTls::open(lab.files()).unwrap();
        let (_, _, other_key) = lab.authority.sign(&leaf("x"));
        for (name, text, word) in [
            ("key.pem", "nonsense", "holds no private key"),
            ("key.pem", other_key.as_str(), "does not go with the certificate"),
            ("cert.pem", "", "holds no certificate"),
            ("ca.pem", "", "holds no certificate"),
        ] {
            let before = fs::read_to_string(lab.folder.path().join(name)).unwrap();
            lab.put(name, text);
            let error = tls.reload().unwrap_err();
            assert!(error.to_string().contains(word) && error.path().ends_with(name), "{error}");
            assert_eq!(tls.reading(), 0, "the running configuration stays");
            lab.put(name, &before);
        }
        let missing = TlsFiles { certificate: "/nonexistent.pem".into(), ..lab.files() };
        assert!(ServerTls::open(missing).unwrap_err().to_string().contains("cannot be read"));
        tls.reload().unwrap();
    }

    #[test]
    fn the_end_of_the_certificate_and_an_open_key_are_known() {
        use std::os::unix::fs::PermissionsExt as _;
        let lab = Lab::new();
        assert!(lab.files().ends_at().unwrap() > chrono::Utc::now());
        let key = lab.folder.path().join("key.pem");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(!lab.files().is_key_open());
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(lab.files().is_key_open());
    }
}
