//! The files of `http.tls`, which are read before anything starts: what cannot be read, what everybody can read, and what
//! ends soon.

use std::path::Path;

use prefix_diagnostics::{Diagnostic, Diagnostics};
use prefix_tls::ServerTls;

use crate::settings::http::TlsKeys;

/// Checks the files that the keys name, relative to the configuration folder.
pub(crate) fn check(tls: &TlsKeys, folder: &Path) -> Vec<Diagnostic> {
    let mut found = Diagnostics::default();
    let Some(files) = tls.files(folder) else { return found.into_vec() };
    let key = |path: &Path| match path {
        path if path == files.certificate => "http.tls.cert_path",
        path if path == files.key => "http.tls.key_path",
        path if Some(path) == files.authority.as_deref() => "http.tls.ca_path",
        _ => "http.tls.crl_paths",
    };
    if let Err(error) = ServerTls::open(files.clone()) {
        let key = key(error.path());
        found.error(key, format!("{key}: {error}"));
    }
    if files.is_key_open() {
        let path = files.key.display();
        found.warning(
            "http.tls.key_path",
            format!("http.tls.key_path: everybody on this host can use {path}; give it mode 0600 or 0640"),
        );
    }
    if let Some(text) = files.ends_soon() {
        found.warning("http.tls.cert_path", format!("http.tls.cert_path: {text}"));
    }
    found.into_vec()
}
