//! `sslmode` means what it means in libpq.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use prefix_store::{Options, open};
use prefix_testkit::lab::Postgres;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

async fn connects(server: &Postgres, options: &str) -> Result<(), String> {
    let url = format!("{}?{options}", server.url()).parse().unwrap();
    open(&url, Options::default()).await.map(drop).map_err(|error| error.to_string())
}

/// The server reads its key only from a file of its own account.
fn give(path: &Path, text: &str, owner: &Path) {
    std::fs::write(path, text).unwrap();
    let owner = std::fs::metadata(owner).unwrap();
    chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

async fn present(server: &Postgres, certificate: &str, key: &str) -> PathBuf {
    let folder = server.socket_folder();
    let (certificate_file, key_file) = (folder.join("server.pem"), folder.join("server.key"));
    give(&certificate_file, certificate, folder);
    give(&key_file, key, folder);
    for (setting, value) in [("ssl_cert_file", &certificate_file), ("ssl_key_file", &key_file)] {
        server.psql(&format!("alter system set {setting} = '{}'", value.display())).await.unwrap();
    }
    server.psql("alter system set ssl = on").await.unwrap();
    server.psql("select pg_reload_conf()").await.unwrap();
    let began = std::time::Instant::now();
    while connects(server, "sslmode=require").await.is_err() {
        assert!(began.elapsed().as_secs() < 20, "{}", server.log());
    }
    certificate_file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_checked_as_far_as_the_url_asks() {
    let server = Postgres::start().await.unwrap();
    let without = connects(&server, "sslmode=require").await.unwrap_err();
    assert!(without.contains("does not support TLS"), "{without}");
    connects(&server, "sslmode=prefer").await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let authority_file = folder.path().join("authority.pem");
    let other_file = folder.path().join("other.pem");
    let authority = |file: &Path| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(file, authority.pem()).unwrap();
        authority
    };
    let issuer = authority(&authority_file);
    authority(&other_file);
    let signed_for = |name: String| {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name]).unwrap().signed_by(&key, &issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let root = |file: &Path| format!("sslrootcert={}", file.display());

    let (certificate, key) = signed_for(server.address().ip().to_string());
    let own_file = present(&server, &certificate, &key).await;
    connects(&server, &format!("sslmode=verify-full&{}", root(&authority_file))).await.unwrap();
    connects(&server, &format!("sslmode=verify-full&{}", root(&own_file))).await.unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        let refused = connects(&server, &format!("sslmode={mode}&{}", root(&other_file))).await.unwrap_err();
        assert!(refused.contains("certificate"), "{mode}: {refused}");
    }
    let refused = connects(&server, "sslmode=verify-full").await.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");

    let (certificate, key) = signed_for("elsewhere.example".into());
    present(&server, &certificate, &key).await;
    let full = format!("sslmode=verify-full&{}", root(&authority_file));
    let began = std::time::Instant::now();
    let refused = loop {
        match connects(&server, &full).await {
            Err(refused) => break refused,
            // the server still has its old certificate
            Ok(()) => assert!(began.elapsed().as_secs() < 20, "{}", server.log()),
        }
    };
    assert!(refused.contains("not valid for name"), "{refused}");
    connects(&server, &format!("sslmode=verify-ca&{}", root(&authority_file))).await.unwrap();
}
