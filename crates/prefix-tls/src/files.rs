//! The files of `http.tls`: certificate, key, authority and lists of revoked certificates, in PEM.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use thiserror::Error;

use crate::ClientCertificate;

/// A certificate that ends within this time is told of.
const ENDS_SOON: TimeDelta = TimeDelta::days(14);

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Own chain, own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities that client certificates are checked against; `None` = no client certificate is asked for.
    pub authority: Option<PathBuf>,
    /// Lists of revoked client certificates.
    pub revoked: Vec<PathBuf>,
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum TlsFileError {
    /// It cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It holds nothing of what it should, or something that is none.
    #[error("{}: {problem}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What.
        problem: String,
    },
}

impl TlsFileError {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. } | Self::Content { path, .. } => path,
        }
    }

    pub(crate) fn content(path: &Path, problem: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), problem: problem.into() }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    fs::read(path).map_err(|error| TlsFileError::Unreadable { path: path.to_owned(), error })
}

/// Every certificate of a PEM file; one at least.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let text = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|error| TlsFileError::content(path, format!("is no PEM: {error}")))?;
    if all.is_empty() {
        return Err(TlsFileError::content(path, "holds no certificate (BEGIN CERTIFICATE)"));
    }
    Ok(all)
}

pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    // the library's error never quotes the key
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|_| TlsFileError::content(path, "holds no private key in PEM (BEGIN PRIVATE KEY)"))
}

pub(crate) fn revoked(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsFileError> {
    let text = read(path)?;
    let all: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|error| TlsFileError::content(path, format!("is no PEM: {error}")))?;
    if all.is_empty() {
        return Err(TlsFileError::content(path, "holds no list of revoked certificates (BEGIN X509 CRL)"));
    }
    Ok(all)
}

impl TlsFiles {
    /// When the own certificate ends.
    pub fn ends_at(&self) -> Result<DateTime<Utc>, TlsFileError> {
        let chain = certificates(&self.certificate)?;
        let own = chain.first().map(|own| ClientCertificate::from_der(own));
        match own {
            Some(Ok(own)) => Ok(own.not_after),
            Some(Err(error)) => Err(TlsFileError::content(&self.certificate, error.to_string())),
            None => Err(TlsFileError::content(&self.certificate, "holds no certificate")),
        }
    }

    /// That the own certificate ends within 14 days or has ended, in words; `None` as well if it cannot be read.
    pub fn ends_soon(&self) -> Option<String> {
        self.ends_soon_at(self.ends_at().ok()?)
    }

    pub(crate) fn ends_soon_at(&self, ends_at: DateTime<Utc>) -> Option<String> {
        let now = Utc::now();
        (ends_at - now < ENDS_SOON).then(|| {
            let (path, ends) = (self.certificate.display(), if ends_at < now { "ended" } else { "ends" });
            let at = ends_at.format("%Y-%m-%dT%H:%M:%SZ");
            format!("the certificate {path} {ends} at {at}: replace the file and reload")
        })
    }

    /// Whether everybody on this host may read the private key.
    pub fn is_key_open(&self) -> bool {
        fs::metadata(&self.key).is_ok_and(|file| file.permissions().mode() & 0o007 != 0)
    }
}
