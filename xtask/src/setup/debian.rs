//! Debian packages of the machine's own suite: installed when missing, and never started as services.

use crate::workspace::{self, find_program, run};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package, and how its presence is known without asking the package manager.
struct Package {
    name: &'static str,
    probe: Probe,
    /// The services it would start at boot: the tests start their own, so these stay off.
    services: &'static [&'static str],
}

enum Probe {
    /// A program in the search path or among the system daemons.
    Program(&'static str),
    /// A file at a fixed place.
    File(&'static str),
    /// A file in the folder of libraries of any architecture.
    Library(&'static str),
    /// A server binary of any installed major version of PostgreSQL.
    PostgresServer,
    /// A Python that can make environments; Debian ships that part apart from `python3`.
    PythonVenv,
}

const PACKAGES: &[Package] = &[
    Package { name: "gobgpd", probe: Probe::File("/usr/bin/gobgpd"), services: &["gobgpd"] },
    Package { name: "bird2", probe: Probe::Program("bird"), services: &["bird"] },
    Package { name: "frr", probe: Probe::File("/usr/lib/frr/bgpd"), services: &["frr"] },
    Package { name: "postgresql", probe: Probe::PostgresServer, services: &["postgresql"] },
    Package { name: "pgbouncer", probe: Probe::Program("pgbouncer"), services: &["pgbouncer"] },
    Package { name: "prometheus", probe: Probe::Program("prometheus"), services: &["prometheus"] },
    Package {
        name: "prometheus-alertmanager",
        probe: Probe::Program("prometheus-alertmanager"),
        services: &["prometheus-alertmanager"],
    },
    Package { name: "fastnetmon", probe: Probe::Program("fastnetmon"), services: &["fastnetmon"] },
    Package { name: "shellcheck", probe: Probe::Program("shellcheck"), services: &[] },
    Package { name: "nftables", probe: Probe::Program("nft"), services: &[] },
    Package { name: "iproute2", probe: Probe::Program("ip"), services: &[] },
    Package { name: "libfaketime", probe: Probe::Library("faketime/libfaketimeMT.so.1"), services: &[] },
    Package { name: "e2fsprogs", probe: Probe::Program("chattr"), services: &[] },
    Package { name: "python3-venv", probe: Probe::PythonVenv, services: &[] },
];

impl Package {
    fn is_missing(&self) -> bool {
        match self.probe {
            Probe::Program(program) => find_program(program).is_none(),
            Probe::File(path) => !Path::new(path).is_file(),
            Probe::Library(path) => {
                let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
                !folders.map(|folder| folder.path().join(path)).any(|library| library.is_file())
            }
            Probe::PythonVenv => {
                workspace::output(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_err()
            }
            Probe::PostgresServer => !postgres_servers().any(|server| server.is_file()),
        }
    }
}

/// Installs the packages that are missing; without the right to do so, says which command would.
pub(super) fn install_missing() -> Result<()> {
    let missing: Vec<&Package> = PACKAGES.iter().filter(|package| package.is_missing()).collect();
    if missing.is_empty() {
        println!("setup: Debian packages are installed");
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let names = names.join(" ");
    if find_program("apt-get").is_none() {
        bail!("these parts are missing, and there is no apt-get to install them with: {names}");
    }
    if !is_root()? {
        bail!(
            "these Debian packages are missing; install them, then run `cargo xtask setup` again:\n  \
             sudo apt-get update && sudo apt-get install --no-install-recommends {names}"
        );
    }
    println!("setup: installing {names}");
    let _services_stay_off = ServicesStayOff::enter()?;
    run(apt_get().arg("update"))?;
    run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(names.split(' ')))?;
    disable_services(missing.iter().flat_map(|package| package.services));
    let still_missing: Vec<&str> =
        missing.iter().filter(|package| package.is_missing()).map(|p| p.name).collect();
    if !still_missing.is_empty() {
        bail!("installed, but not where it was looked for: {}", still_missing.join(" "));
    }
    Ok(())
}

/// Whether this process may change the system.
pub(super) fn is_root() -> Result<bool> {
    Ok(workspace::output(Command::new("id").arg("-u"))?.trim() == "0")
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["--quiet", "-o", "Dpkg::Use-Pty=0"]);
    // Somebody else may be installing: wait for them, in seconds.
    command.args(["-o", "DPkg::Lock::Timeout=300"]);
    command.stdin(std::process::Stdio::null());
    command
}

fn postgres_servers() -> impl Iterator<Item = PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin/postgres"))
}

/// Boot must not start what only tests use: also not the boot of an image in which systemd does not run now. Best effort,
/// because not every machine has it.
fn disable_services<'a>(services: impl Iterator<Item = &'a &'static str>) {
    if find_program("systemctl").is_none() {
        return;
    }
    for service in services {
        if let Err(error) = run(Command::new("systemctl").args(["--quiet", "disable", service])) {
            eprintln!("setup: {service} may start at boot: {error:#}");
        }
    }
}

/// While this lives, Debian's maintainer scripts start no service (Debian's `policy-rc.d` interface).
struct ServicesStayOff {
    ours: Option<&'static Path>,
}

impl ServicesStayOff {
    fn enter() -> Result<Self> {
        let policy = Path::new("/usr/sbin/policy-rc.d");
        if policy.exists() {
            // The machine has a policy of its own, which we respect; containers' forbid starting.
            return Ok(Self { ours: None });
        }
        let shown = policy.display();
        fs::write(policy, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {shown}"))?;
        let guard = Self { ours: Some(policy) };
        fs::set_permissions(policy, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {shown} executable"))?;
        Ok(guard)
    }
}

impl Drop for ServicesStayOff {
    fn drop(&mut self) {
        if let Some(policy) = self.ours
            && let Err(error) = fs::remove_file(policy)
        {
            eprintln!("setup: remove {} by hand, it keeps services from starting: {error}", policy.display());
        }
    }
}
