//! Rules that no compiler checks: how files are named, opened and kept small, and that nothing names a
//! person's machine.

use crate::workspace;
use anyhow::Result;
use std::fs;
use std::path::Path;

/// Lines from which a file is a question to ask.
const LONG: usize = 500;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Rules broken.
    pub(crate) errors: Vec<String>,
    /// Questions to ask.
    pub(crate) warnings: Vec<String>,
}

/// Looks through every file that git knows or would add.
pub(crate) fn check() -> Result<Findings> {
    let root = workspace::root();
    let mut findings = Findings::default();
    let listing = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = workspace::output(workspace::command("git").args(listing))?;
    let personal = personal_paths(root);
    for name in listed.lines() {
        let Ok(text) = fs::read_to_string(root.join(name)) else {
            // A picture, or a file deleted but not yet committed.
            continue;
        };
        let path = Path::new(name);
        file(path, &text, &personal, &mut findings);
    }
    Ok(findings)
}

fn file(path: &Path, text: &str, personal: &[String], findings: &mut Findings) {
    let name = path.display();
    for (number, line) in text.lines().enumerate() {
        if let Some(found) = personal.iter().find(|personal| line.contains(personal.as_str())) {
            findings
                .errors
                .push(format!("{name}:{}: names a folder of someone's machine: {found}", number + 1));
        }
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => rust(path, text, findings),
        Some("toml") if path.ends_with("Cargo.toml") && !inherits_lints(text) => {
            findings.errors.push(format!("{name}: add `[lints]` with `workspace = true`"));
        }
        _ => {}
    }
}

fn rust(path: &Path, text: &str, findings: &mut Findings) {
    let name = path.display();
    // Below `tests`, another name would make it a test program of its own.
    let in_tests = path.components().any(|part| part.as_os_str() == "tests");
    if path.ends_with("mod.rs") && !in_tests {
        findings.errors.push(format!("{name}: name the file after its module, beside its folder"));
    }
    if !text.trim_start().starts_with("//!") {
        findings.errors.push(format!("{name}: open it with `//!` and the one idea that it holds"));
    }
    let lines = text.lines().count();
    if lines > LONG {
        findings.warnings.push(format!("{name}: {lines} lines: does it hold one idea?"));
    }
}

/// The root manifest holds the lints that the others inherit.
fn inherits_lints(manifest: &str) -> bool {
    manifest.contains("[workspace.lints") || manifest.contains("[lints]\nworkspace = true")
}

/// Homes of people, and where this checkout is.
fn personal_paths(root: &Path) -> Vec<String> {
    let mut found: Vec<String> = [&["", "root", ""], &["", "home", ""], &["", "Users", ""]]
        .map(|parts| parts.join("/"))
        .into_iter()
        .collect();
    // A checkout right below the root, like `/build`, would be found in paths that have nothing to do with it.
    if root.components().count() > 2 {
        found.push(format!("{}/", root.display()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_keeps_the_rules() {
        let findings = check().unwrap();
        assert!(findings.errors.is_empty(), "\n  {}\n", findings.errors.join("\n  "));
    }

    fn errors(name: &str, text: &str) -> usize {
        let mut findings = Findings::default();
        file(Path::new(name), text, &personal_paths(Path::new("/srv/checkout")), &mut findings);
        findings.errors.len()
    }

    #[test]
    fn each_rule_is_noticed_when_broken() {
        assert_eq!(errors("a/src/b.rs", "//! An idea.\n"), 0);
        assert_eq!(errors("a/src/b.rs", "fn main() {}\n"), 1);
        assert_eq!(errors("a/src/b/mod.rs", "//! An idea.\n"), 1);
        assert_eq!(errors("a/Cargo.toml", "[package]\n"), 1);
        assert_eq!(errors("a/Cargo.toml", "[lints]\nworkspace = true\n"), 0);
        assert_eq!(errors("a.md", "see /srv/checkout/x\n"), 1);
        assert_eq!(errors("a.md", &format!("see {}someone/x\n", ["", "home", ""].join("/"))), 1);
    }
}
