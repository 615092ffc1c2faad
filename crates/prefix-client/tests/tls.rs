//! What the client trusts, and how it shows who it is, against a TLS server made for the occasion.

use prefix_client::{ApiError, Client, ClientOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `name` and its key.
fn leaf(authority: &Authority, name: &str, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![usage];
    (params.signed_by(&key, authority).unwrap(), key)
}

/// Serves `/v1/health` to everybody, or only to clients whose certificate `clients` signed; returns the address.
async fn serve(authority: &Authority, clients: Option<&Authority>) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (certificate, key) = leaf(authority, "localhost", ExtendedKeyUsagePurpose::ServerAuth);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us, or that we do not trust, ends here.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let body = r#"{"status":"ok"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://localhost:{port}")
}

fn options(base: &str, trusted: &Authority) -> ClientOptions {
    let mut options = ClientOptions::for_base(base).unwrap();
    options.ca = Some(trusted.pem().into_bytes());
    options
}

#[tokio::test]
async fn a_server_that_the_trusted_certificates_signed_is_spoken_to() {
    let authority = authority();
    let base = serve(&authority, None).await;
    let reply = Client::new(options(&base, &authority)).unwrap().health().await.unwrap();
    assert_eq!(reply.value.status, "ok");
}

#[tokio::test]
async fn a_server_that_somebody_else_signed_is_not() {
    let base = serve(&authority(), None).await;
    let error = Client::new(options(&base, &authority())).unwrap().health().await.unwrap_err();
    assert!(matches!(error, ApiError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains("certificate"), "the reason is named: {error}");
}

#[tokio::test]
async fn a_server_that_asks_gets_the_client_certificate() {
    let (authority, clients) = (authority(), authority());
    let base = serve(&authority, Some(&clients)).await;
    let mut options = options(&base, &authority);
    assert!(Client::new(options.clone()).unwrap().health().await.is_err(), "no certificate, no answer");
    let (certificate, key) = leaf(&clients, "detector", ExtendedKeyUsagePurpose::ClientAuth);
    options.identity = Some(format!("{}\n{}", certificate.pem(), key.serialize_pem()).into_bytes());
    assert_eq!(Client::new(options).unwrap().health().await.unwrap().value.status, "ok");
}
