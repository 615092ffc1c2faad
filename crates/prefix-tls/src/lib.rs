//! TLS of the API: what is read from files ([`TlsFiles`]), the configuration that connections are accepted with
//! ([`ServerTls`]), what a client certificate says ([`ClientCertificate`]) and what it is matched by
//! ([`CertificateMatch`], configuration.md §2.1).
//!
//! Nothing here knows HTTP, roles or sockets.

mod certificate;
mod files;
mod matching;
mod server;
#[cfg(test)]
mod test_certificates;

pub use certificate::{ClientCertificate, UnreadableCertificate};
pub use files::{TlsFileError, TlsFiles};
pub use matching::{CertificateMatch, InvalidMatch};
pub use server::{NotTrusted, ServerTls};
