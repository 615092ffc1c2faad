//! A certificate authority for one test, with a server and a client certificate.

use super::LabError;
use super::folder::write;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// PEM files of an authority, a server and a client.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The certificate of the authority that signed the other two.
    pub authority: PathBuf,
    /// The server's certificate, for its loopback address and `localhost`.
    pub server_certificate: PathBuf,
    /// The server's private key.
    pub server_key: PathBuf,
    /// The client's certificate.
    pub client_certificate: PathBuf,
    /// The client's private key.
    pub client_key: PathBuf,
}

impl Certificates {
    /// Writes new certificates for a server at `address` into `folder`.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn create(folder: &Path, address: Ipv4Addr) -> Result<Self, LabError> {
        let made = Made::new(address).map_err(|error| LabError::Unreadable {
            part: "rcgen",
            problem: error.to_string(),
            text: address.to_string(),
        })?;
        let write = |name: &str, pem: &str| write(folder.join(name), pem);
        Ok(Self {
            authority: write("authority.pem", &made.authority)?,
            server_certificate: write("server.pem", &made.server.0)?,
            server_key: write("server.key", &made.server.1)?,
            client_certificate: write("client.pem", &made.client.0)?,
            client_key: write("client.key", &made.client.1)?,
        })
    }
}

/// PEM texts; certificate and key of the server and the client.
struct Made {
    authority: String,
    server: (String, String),
    client: (String, String),
}

impl Made {
    fn new(address: Ipv4Addr) -> Result<Self, rcgen::Error> {
        let mut authority = named("prefixd lab authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

        let sign = |params: CertificateParams| {
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority)?;
            Ok::<_, rcgen::Error>((certificate.pem(), key.serialize_pem()))
        };
        let mut server = named("prefixd lab speaker");
        server.subject_alt_names =
            vec![SanType::IpAddress(address.into()), SanType::DnsName("localhost".try_into()?)];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let mut client = named("prefixd lab client");
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(Self { server: sign(server)?, client: sign(client)?, authority: authority.pem() })
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}
