//! Newer speakers than the machine's suite has, unpacked beside it: downloaded with an apt configuration of our own, so
//! that neither the machine's sources nor its installed packages change.

use crate::workspace::output;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package of a suite other than the machine's, and the folder of the lab it is unpacked to.
struct Beside {
    package: &'static str,
    /// What apt calls the version wanted; a suite that moved on serves its newest instead.
    version: &'static str,
    suite: &'static str,
    folder: &'static str,
    /// A file that is there when the package was unpacked whole.
    probe: &'static str,
}

const PARTS: &[Beside] = &[Beside {
    package: "gobgpd",
    version: "4.8.*",
    suite: "trixie-backports",
    folder: "gobgp-4.8",
    probe: "usr/bin/gobgpd",
}];

/// Unpacks what is missing into `lab`.
pub(super) fn unpack_missing(lab: &Path) -> Result<()> {
    for part in PARTS {
        let target = lab.join(part.folder);
        if target.join(part.probe).is_file() {
            println!("setup: {} is unpacked", part.folder);
            continue;
        }
        println!("setup: unpacking {} of {} to {}", part.package, part.suite, target.display());
        part.unpack_to(&target)
            .with_context(|| format!("cannot bring {} of {} to the lab", part.package, part.suite))?;
    }
    Ok(())
}

impl Beside {
    fn unpack_to(&self, target: &Path) -> Result<()> {
        let work = target.with_extension("download");
        recreate(&work)?;
        let apt = PrivateApt::new(&work.join("apt"), self.suite)?;
        output(apt.command("apt-get").arg("update"))?;
        let download = work.join("download");
        recreate(&download)?;
        let pinned = format!("{}={}", self.package, self.version);
        let fetch =
            |name: &str| output(apt.command("apt-get").args(["download", name]).current_dir(&download));
        if let Err(error) = fetch(&pinned) {
            eprintln!("setup: {pinned} is not served any more, taking the newest: {error:#}");
            fetch(self.package)?;
        }
        let package = only_file_of(&download)?;
        let unpacked = work.join("unpacked");
        output(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&unpacked))?;
        if !unpacked.join(self.probe).is_file() {
            bail!("{} holds no {}", package.display(), self.probe);
        }
        // Renamed as the last step: a folder with the final name is a whole one.
        if target.exists() {
            fs::remove_dir_all(target)?;
        }
        fs::rename(&unpacked, target)?;
        fs::remove_dir_all(&work)?;
        Ok(())
    }
}

/// An apt with its own sources, state and cache. It verifies signatures with the keyring that the machine's own source
/// names.
struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    fn new(folder: &Path, suite: &str) -> Result<Self> {
        let source = own_source()?;
        for part in ["sources", "state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("status"), "")?;
        fs::write(folder.join("sources/lab.sources"), source.of_suite(suite))?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = self.folder.display();
        command.args(["--quiet", "-o", "Dir::Etc::sourcelist=/dev/null"]);
        command.arg("-o").arg(format!("Dir::Etc::sourceparts={folder}/sources"));
        command.arg("-o").arg(format!("Dir::State={folder}/state"));
        command.arg("-o").arg(format!("Dir::State::status={folder}/status"));
        command.arg("-o").arg(format!("Dir::Cache={folder}/cache"));
        // The unprivileged download user of apt cannot write below a checkout in someone's home.
        for option in ["APT::Sandbox::User=root", "Acquire::Languages=none", "Acquire::Retries=3"] {
            command.args(["-o", option]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
        command
    }
}

/// Where the machine gets Debian from.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    mirror: String,
    keyring: String,
}

const DEFAULT_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

impl Source {
    fn of_suite(&self, suite: &str) -> String {
        let Self { mirror, keyring } = self;
        format!("Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\nSigned-By: {keyring}\n")
    }
}

/// The first source of Debian's main archive that this machine's apt uses.
fn own_source() -> Result<Source> {
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = parts.map(|entry| entry.path()).collect();
    files.push("/etc/apt/sources.list".into());
    files.sort();
    files
        .iter()
        .find_map(|file| {
            let text = fs::read_to_string(file).ok()?;
            match file.extension()?.to_str()? {
                "sources" => from_deb822(&text),
                "list" => from_one_line_style(&text),
                _ => None,
            }
        })
        .context("no source of Debian's main archive in /etc/apt/sources.list or /etc/apt/sources.list.d")
}

/// Debian's main archive ends in `/debian` on every mirror; security and third parties do not.
fn is_main_archive(mirror: &str) -> bool {
    mirror.trim_end_matches('/').ends_with("/debian")
}

fn from_deb822(text: &str) -> Option<Source> {
    text.split("\n\n").find_map(|stanza| {
        let field = |name: &str| {
            let lines = stanza.lines().filter(|line| !line.starts_with('#'));
            lines.filter_map(|line| line.split_once(':')).find(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        let value = |name: &str| field(name).map(|(_, value)| value.trim());
        if value("Enabled").is_some_and(|enabled| enabled.eq_ignore_ascii_case("no")) {
            return None;
        }
        let mirror = value("URIs")?.split_whitespace().find(|mirror| is_main_archive(mirror))?;
        let keyring = value("Signed-By").filter(|path| path.starts_with('/')).unwrap_or(DEFAULT_KEYRING);
        Some(Source { mirror: mirror.to_owned(), keyring: keyring.to_owned() })
    })
}

fn from_one_line_style(text: &str) -> Option<Source> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']')?,
            None => ("", rest),
        };
        let mirror = rest.split_whitespace().next().filter(|mirror| is_main_archive(mirror))?;
        let keyring = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
        Some(Source { mirror: mirror.to_owned(), keyring: keyring.unwrap_or(DEFAULT_KEYRING).to_owned() })
    })
}

fn recreate(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

fn only_file_of(folder: &Path) -> Result<PathBuf> {
    let mut files = fs::read_dir(folder)?;
    let first = files.next().context("apt downloaded nothing")??;
    Ok(first.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_found_in_a_deb822_file() {
        let text = "Types: deb\n# a comment: with a colon\nURIs: https://mirror.example/debian-security\nSuites: s\n\n\
                    Types: deb\nURIs: https://mirror.example/debian/\nSuites: s\nSigned-By: /keys/k.gpg\n";
        let expected =
            Source { mirror: "https://mirror.example/debian/".to_owned(), keyring: "/keys/k.gpg".to_owned() };
        assert_eq!(from_deb822(text), Some(expected));
    }

    #[test]
    fn a_disabled_source_is_not_used() {
        assert_eq!(from_deb822("Enabled: no\nTypes: deb\nURIs: https://mirror.example/debian\n"), None);
    }

    #[test]
    fn the_mirror_is_found_in_the_one_line_style() {
        let text = "# deb https://old.example/debian s main\ndeb [arch=amd64 signed-by=/k.gpg] \
                    https://mirror.example/debian s main\n";
        let expected =
            Source { mirror: "https://mirror.example/debian".to_owned(), keyring: "/k.gpg".to_owned() };
        assert_eq!(from_one_line_style(text), Some(expected));
    }
}
