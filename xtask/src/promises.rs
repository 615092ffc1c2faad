//! `docs/reliability.md` cannot lie: every test that it names exists and is run, every promise names one, and every fault
//! test with real parts is named.

use crate::workspace;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;

const PAGE: &str = "docs/reliability.md";

/// The tests that the page has to name, each and all.
const FAULT_TESTS: &str = "bins/prefixd/tests/reliability/";

/// The heading of the part in which each line is a promise.
const PROMISES: &str = "## What is promised";

/// What is wrong with the page.
pub(crate) fn violations() -> Result<Vec<String>> {
    let root = workspace::root();
    let page = fs::read_to_string(root.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    let listing = ["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"];
    let listed = workspace::output(workspace::command("git").args(listing))?;
    let files: Vec<&str> = listed.lines().filter(|file| root.join(file).is_file()).collect();
    let mut found = promises_without_a_test(&page);
    let mut named = BTreeSet::new();
    for (line, path, test) in named_tests(&page) {
        let mut holders = Vec::new();
        for file in files.iter().filter(|file| format!("/{file}").ends_with(&format!("/{path}"))) {
            let text = fs::read_to_string(root.join(file))?;
            if tests_of(&text).any(|one| one == test) || is_of_a_contract(file, &text, test) {
                holders.push(*file);
            }
        }
        match holders.as_slice() {
            [file] => drop(named.insert((*file, test))),
            [] => found.push(format!("{PAGE}:{line}: no {path} has a test {test} that is run")),
            several => found.push(format!("{PAGE}:{line}: {test} is in {}", several.join(" and "))),
        }
    }
    for file in files.iter().filter(|file| file.starts_with(FAULT_TESTS)) {
        let text = fs::read_to_string(root.join(file))?;
        let missing = tests_of(&text).filter(|test| !named.contains(&(*file, *test)));
        found.extend(missing.map(|test| format!("{PAGE}: does not name {file}: {test}")));
    }
    Ok(found)
}

/// The tests that a text names in code spans like `engine/leases.rs::a_rule_stays`: line, path, name.
fn named_tests(page: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    page.lines().enumerate().flat_map(|(number, line)| {
        let spans = line.split('`').skip(1).step_by(2);
        spans.filter_map(move |span| {
            let (path, test) = span.split_once(".rs::")?;
            Some((number + 1, &span[..path.len() + ".rs".len()], test))
        })
    })
}

/// The items of the list of promises that name no test.
fn promises_without_a_test(page: &str) -> Vec<String> {
    let Some((_, list)) = page.split_once(PROMISES) else {
        return vec![format!("{PAGE}: no part \"{PROMISES}\"")];
    };
    let list = list.split_once("\n## ").map_or(list, |(list, _)| list);
    let items = list.split("\n- ").skip(1);
    let empty = items.filter(|item| named_tests(item).next().is_none());
    empty
        .map(|item| format!("{PAGE}: a promise without a test: {}", item.lines().next().unwrap_or(item)))
        .collect()
}

/// Whether a contract suite, which every backend runs, holds the test.
fn is_of_a_contract(file: &str, text: &str, test: &str) -> bool {
    file.contains("_contract") && text.contains(&format!("pub async fn {test}("))
}

/// The names of the functions that a test runner runs.
fn tests_of(text: &str) -> impl Iterator<Item = &str> {
    let markers = ["#[test]", "#[tokio::test", "#[actix_web::test"];
    markers.into_iter().flat_map(|marker| text.split(marker).skip(1)).filter_map(|rest| {
        let (attributes, rest) = rest.split_once("fn ")?;
        let name = rest.split_once(['(', '<'])?.0;
        (!attributes.contains("#[ignore")).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promise_names_tests_that_exist() {
        let found = violations().unwrap();
        assert!(found.is_empty(), "\n  {}\n", found.join("\n  "));
    }

    #[test]
    fn a_promise_without_a_test_is_found() {
        let page = format!(
            "{PROMISES}\n\n- Kept: `a/b.rs::kept`.\n- Not kept,\n  on two lines.\n\n## Numbers\n- none\n"
        );
        let found = promises_without_a_test(&page);
        assert_eq!(found, [format!("{PAGE}: a promise without a test: Not kept,")]);
        assert_eq!(named_tests(&page).collect::<Vec<_>>(), [(3, "a/b.rs", "kept")]);
    }

    #[test]
    fn only_tests_that_are_run_count() {
        let ignored = "#[ignore";
        let text = format!(
            "#[test]\nfn one() {{}}\n#[tokio::test(flavor = \"multi_thread\")]\nasync fn two() {{}}\n\
             #[test]\n{ignored} = \"slow\"]\nfn three() {{}}\nfn four() {{}}\n"
        );
        assert_eq!(tests_of(&text).collect::<Vec<_>>(), ["one", "two"]);
    }
}
