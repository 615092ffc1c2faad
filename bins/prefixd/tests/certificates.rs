//! TLS and client certificates of the API, with the real daemon and the real prefixdctl.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use serde_json::Value;

use crate::hostile::program::{Daemon, PLAYBOOKS, check, folder, prefixd, signal};
use crate::test_network::program;

/// A certificate authority.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// Writes a certificate and its key; their paths are what prefixdctl is told.
    fn issue(&self, folder: &Path, file: &str, params: &CertificateParams) -> Holder {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let holder = Holder(folder.join(format!("{file}.pem")), folder.join(format!("{file}.key")));
        std::fs::write(&holder.0, certificate.pem()).unwrap();
        std::fs::write(&holder.1, key.serialize_pem()).unwrap();
        holder
    }
}

/// Certificate and key.
struct Holder(PathBuf, PathBuf);

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn server() -> CertificateParams {
    let mut params = named("prefixd");
    params.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
    params
}

struct Lab {
    folder: tempfile::TempDir,
    daemon: Daemon,
    url: String,
}

const ROLES: &str = "[{match: 'cn:watcher', role: viewer}, {match: 'uri:spiffe://example.net/ddos/*', role: detector, sources: [fnm]}, {match: 'dns:*.noc.example.net', role: operator}, {match: 'subject:CN=boss', role: admin}]";

impl Lab {
    /// A daemon that asks for certificates of this authority.
    fn start(clients: &Authority, server: &Authority) -> Self {
        let folder = folder("");
        let settings = format!(
            "pop: fra1\nhttp:\n  auth: {{mode: mtls, mtls_roles: {ROLES}}}\n  tls: {{cert_path: server.pem, key_path: server.key, ca_path: ca.pem}}\n\
             bgp: {{backend: mock, local_asn: 65010, router_id: 10.0.0.1}}\n"
        );
        std::fs::write(folder.path().join("prefixd.yaml"), settings).unwrap();
        std::fs::write(folder.path().join("ca.pem"), &clients.1).unwrap();
        std::fs::write(folder.path().join("trust.pem"), &server.1).unwrap();
        server.issue(folder.path(), "server", &self::server());
        let daemon = Daemon::start(&mut prefixd(folder.path()));
        let url = format!("https://{}", daemon.address());
        Self { folder, daemon, url }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Exit code, answer and errors of prefixdctl.
    fn ctl(&self, holder: Option<&Holder>, words: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(program("prefixdctl"));
        command.env_clear().stdin(Stdio::null());
        command.args(["--api", &self.url, "--timeout", "10", "--ca", &self.path("trust.pem")]);
        if let Some(Holder(certificate, key)) = holder {
            command.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        let output = command.args(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

const EVENT: [&str; 8] =
    ["events", "send", "--victim", "203.0.113.10", "--vector", "udp_flood", "--source", "fnm"];
const LIST: [&str; 2] = ["mitigations", "list"];
const CREATE: [&str; 14] = [
    "mitigations",
    "create",
    "--victim",
    "203.0.113.11",
    "--protocol",
    "udp",
    "--action",
    "police",
    "--rate",
    "1M",
    "--reason",
    "by hand",
    "--ports",
    "80",
];
const RELOAD: [&str; 2] = ["config", "reload"];

#[test]
fn each_certificate_may_do_what_its_role_may_and_nobody_else_anything() {
    let (clients, servers) = (Authority::new("clients"), Authority::new("servers"));
    let lab = Lab::start(&clients, &servers);
    let issue = |file: &str, params: &CertificateParams| clients.issue(lab.folder.path(), file, params);
    let watcher = issue("watcher", &named("watcher"));
    let boss = issue("boss", &named("boss"));
    let with = |san: SanType| {
        let mut params = named("whoever");
        params.subject_alt_names = vec![san];
        params
    };
    let uri = SanType::URI("spiffe://example.net/ddos/fnm1".try_into().unwrap());
    let detector = issue("detector", &with(uri));
    let operator = issue("operator", &with(SanType::DnsName("a.noc.example.net".try_into().unwrap())));
    let stranger = issue("stranger", &named("stranger"));
    // event, list, create, reload
    for (who, holder, codes) in [
        ("viewer", &watcher, [3, 0, 3, 3]),
        ("detector", &detector, [0, 3, 3, 3]),
        ("operator", &operator, [0, 0, 0, 3]),
        ("admin", &boss, [0, 0, 0, 0]),
        ("no match", &stranger, [3, 3, 3, 3]),
    ] {
        for (words, code) in [&EVENT[..], &LIST, &CREATE, &RELOAD].into_iter().zip(codes) {
            let said = lab.ctl(Some(holder), words);
            assert_eq!(said.0, code, "{who} {words:?}: {said:?}");
        }
    }
    let said = lab.ctl(Some(&stranger), &LIST);
    assert!(
        said.2.contains("no element of http.auth.mtls_roles matches") && said.2.contains("stranger"),
        "{said:?}"
    );
    // a detector reports as its sources only
    let other = [&EVENT[..7], &["kentik"]].concat();
    let said = lab.ctl(Some(&detector), &other);
    assert!(said.0 == 3 && said.2.contains("source-not-allowed"), "{said:?}");

    // no certificate: what is public, and nothing else
    assert_eq!(lab.ctl(None, &["health", "--ready"]).0, 0);
    let health: Value = serde_json::from_str(&lab.ctl(None, &["health", "-o", "json"]).1).unwrap_or_default();
    assert!(health.get("pop").is_none(), "the state of everything is not public");
    let said = lab.ctl(None, &LIST);
    assert!(said.0 == 3 && said.2.contains("no client certificate"), "{said:?}");
    // of another authority with the same name, and one whose time is over
    let forged = Authority::new("clients").issue(lab.folder.path(), "forged", &named("boss"));
    let mut over = named("boss");
    over.not_before = rcgen::date_time_ymd(2020, 1, 1);
    over.not_after = rcgen::date_time_ymd(2020, 1, 2);
    let over = issue("over", &over);
    for holder in [&forged, &over] {
        let said = lab.ctl(Some(holder), &LIST);
        assert_eq!(said.0, 2, "{said:?}");
    }
    // the audit log knows who it was
    let said = lab.ctl(Some(&boss), &["audit", "list", "-o", "json"]);
    assert!(said.1.contains("cert:a.noc.example.net") && said.1.contains("cert:CN=boss"), "{said:?}");
}

#[test]
fn files_that_are_replaced_are_in_use_after_a_reload_and_a_bad_one_changes_nothing() {
    let (clients, servers) = (Authority::new("clients"), Authority::new("servers"));
    let lab = Lab::start(&clients, &servers);
    let boss = clients.issue(lab.folder.path(), "boss", &named("boss"));
    assert_eq!(lab.ctl(Some(&boss), &LIST).0, 0);

    // a certificate of another authority: whoever trusts the old one only is refused after the reload
    let next = Authority::new("next");
    std::fs::rename(lab.path("server.pem"), lab.path("old.pem")).unwrap();
    std::fs::rename(lab.path("server.key"), lab.path("old.key")).unwrap();
    next.issue(lab.folder.path(), "server", &server());
    assert_eq!(lab.ctl(Some(&boss), &LIST).0, 0, "nothing changes before the reload");
    assert_eq!(lab.ctl(Some(&boss), &RELOAD).0, 0);
    assert_eq!(lab.ctl(Some(&boss), &LIST).0, 2);
    std::fs::write(lab.path("trust.pem"), &next.1).unwrap();
    assert_eq!(lab.ctl(Some(&boss), &LIST).0, 0);

    // a file that is none: the reload is refused with its name, and what runs stays
    std::fs::write(lab.path("server.pem"), "nonsense").unwrap();
    let said = lab.ctl(Some(&boss), &RELOAD);
    assert!(said.0 == 5 && said.2.contains("http.tls.cert_path"), "{said:?}");
    assert_eq!(lab.ctl(Some(&boss), &LIST).0, 0);

    // another authority for clients ends what the old one gave
    next.issue(lab.folder.path(), "server", &server());
    let others = Authority::new("others");
    std::fs::write(lab.path("ca.pem"), &others.1).unwrap();
    signal(lab.daemon.pid(), "HUP");
    // refused in the handshake, or by the gate if that was agreed on a moment before
    let deadline = Instant::now() + Duration::from_secs(20);
    let refused = loop {
        let said = lab.ctl(Some(&boss), &LIST);
        if said.0 != 0 || Instant::now() > deadline {
            break said;
        }
    };
    assert!(matches!(refused.0, 2 | 3), "{refused:?}");
    let boss = others.issue(lab.folder.path(), "boss2", &named("boss"));
    assert_eq!(lab.ctl(Some(&boss), &LIST).0, 0);
}

#[test]
fn who_speaks_no_tls_or_an_old_one_or_nothing_is_not_served_and_the_end_is_in_order() {
    let (clients, servers) = (Authority::new("clients"), Authority::new("servers"));
    let lab = Lab::start(&clients, &servers);
    let boss = clients.issue(lab.folder.path(), "boss", &named("boss"));
    // in the clear
    let plain = Command::new(program("prefixdctl"))
        .env_clear()
        .args(["--api", &lab.url.replace("https", "http"), "--timeout", "5", "health"])
        .output()
        .unwrap();
    assert_eq!(plain.status.code(), Some(2));
    // silent connections do not keep others out
    let silent: Vec<_> =
        (0..50).map(|_| std::net::TcpStream::connect(lab.daemon.address()).unwrap()).collect();
    assert_eq!(lab.ctl(Some(&boss), &LIST).0, 0);
    drop(silent);
    let Lab { daemon, .. } = lab;
    daemon.stops();
}

#[test]
fn the_check_reads_the_files_and_says_what_will_not_do() {
    let folder = folder("");
    let path = |name: &str| folder.path().join(name);
    let write = |tls: &str| {
        let text = format!(
            "pop: fra1\nhttp:\n  auth: {{mode: mtls, mtls_roles: [{{match: 'cn:*', role: viewer}}, {{match: '*', role: detector}}]}}\n  tls: {tls}\n\
             bgp: {{backend: mock, local_asn: 65010, router_id: 10.0.0.1}}\n"
        );
        std::fs::write(path("prefixd.yaml"), text).unwrap();
    };
    write("{cert_path: a.pem}");
    let (code, said) = check(folder.path());
    assert_eq!(code, Some(1));
    for part in [
        "http.tls.cert_path needs http.tls.key_path",
        "mtls needs http.tls.cert_path, key_path and ca_path",
        "mtls_roles[0].match \"cn:*\": \"*\" may stand for",
        "mtls_roles[1]: role detector needs sources[]",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let ca = Authority::new("ca");
    let mut soon = server();
    let in_a_week = std::time::SystemTime::now() + Duration::from_hours(7 * 24);
    soon.not_after = in_a_week.into();
    ca.issue(folder.path(), "server", &soon);
    std::fs::write(path("ca.pem"), &ca.1).unwrap();
    let good = "pop: fra1\nhttp:\n  auth: {mode: mtls, mtls_roles: [{match: '*', role: admin}]}\n  tls: {cert_path: server.pem, key_path: server.key, ca_path: ca.pem}\nbgp: {backend: mock, local_asn: 65010, router_id: 10.0.0.1}\n";
    std::fs::write(path("prefixd.yaml"), good).unwrap();
    set_mode(&path("server.key"), 0o644);
    let (code, said) = check(folder.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("warning") && said.contains("http.tls.key_path: everybody on this host can use"),
        "{said}"
    );
    assert!(said.contains("http.tls.cert_path: the certificate") && said.contains("ends at"), "{said}");
    // the daemon says it too
    let daemon = Daemon::start(&mut prefixd(folder.path()));
    let holder = ca.issue(folder.path(), "client", &named("x"));
    let lab = Lab { url: format!("https://{}", daemon.address()), daemon, folder };
    std::fs::write(lab.path("trust.pem"), &ca.1).unwrap();
    let health: Value = serde_json::from_str(&lab.ctl(Some(&holder), &["health", "-o", "json"]).1).unwrap();
    assert!(health["problems"].to_string().contains("ends at"), "{health}");
    std::fs::remove_file(lab.path("server.key")).unwrap();
    let (code, said) = check(lab.folder.path());
    assert!(code == Some(1) && said.contains("server.key cannot be read"), "{said}");
    assert!(std::fs::read_to_string(lab.path("playbooks.yaml")).unwrap() == PLAYBOOKS);
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
