//! The arrows between our crates, as data, and a check that there are these and no other.
//!
//! `docs/architecture.md` says why: arrows point down, adapters never meet, and what decides knows no I/O.

use crate::workspace;
use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, Package};
use std::fs;

/// What one of our crates depends on.
struct Layer {
    name: &'static str,
    /// Our crates that its code uses: no other is allowed, and none is named in vain.
    uses: &'static [&'static str],
    /// Our crates its tests use besides; the testkit every test may use.
    tests_use: &'static [&'static str],
    purity: Purity,
}

/// Whether a crate may do I/O.
#[derive(PartialEq, Eq)]
enum Purity {
    /// Neither I/O nor an async runtime: what it computes can be tested without a world.
    Pure,
    /// Reaches the world through the ports of the core only: no database, no speaker, no web framework.
    Ports,
    /// An adapter, a program or a tool.
    Free,
}

use Purity::{Free, Ports, Pure};

const fn layer(name: &'static str, purity: Purity, uses: &'static [&'static str]) -> Layer {
    Layer { name, uses, tests_use: &[], purity }
}

const LAYERS: &[Layer] = &[
    layer("prefix-diagnostics", Pure, &[]),
    layer("prefix-api-macros", Pure, &[]),
    layer("prefix-core", Pure, &[]),
    layer("prefix-policy", Pure, &["prefix-diagnostics", "prefix-core"]),
    layer("prefix-api-types", Pure, &["prefix-api-macros", "prefix-core", "prefix-policy"]),
    layer("prefix-signals", Pure, &["prefix-diagnostics", "prefix-core"]),
    layer("prefix-record", Ports, &["prefix-core", "prefix-policy"]),
    layer("prefix-access", Ports, &["prefix-core"]),
    layer("prefix-engine", Ports, &["prefix-access", "prefix-core", "prefix-policy", "prefix-record"]),
    layer("prefix-store", Free, &["prefix-core"]),
    layer("prefix-gobgp", Free, &["prefix-core"]),
    layer("prefix-tls", Free, &[]),
    Layer {
        tests_use: &["prefix-policy"],
        ..layer(
            "prefix-api",
            Free,
            &[
                "prefix-diagnostics",
                "prefix-api-types",
                "prefix-core",
                "prefix-engine",
                "prefix-signals",
                "prefix-tls",
            ],
        )
    },
    layer("prefix-guard", Ports, &["prefix-core"]),
    layer(
        "prefix-config",
        Free,
        &[
            "prefix-diagnostics",
            "prefix-core",
            "prefix-policy",
            "prefix-signals",
            "prefix-store",
            "prefix-gobgp",
            "prefix-tls",
        ],
    ),
    layer(
        "prefix-direct",
        Free,
        &[
            "prefix-diagnostics",
            "prefix-access",
            "prefix-core",
            "prefix-policy",
            "prefix-record",
            "prefix-store",
            "prefix-gobgp",
            "prefix-guard",
            "prefix-config",
        ],
    ),
    layer("prefix-client", Free, &["prefix-api-types"]),
    layer("prefix-testkit", Free, &["prefix-core"]),
    layer(
        "prefix-runtime",
        Free,
        &[
            "prefix-diagnostics",
            "prefix-core",
            "prefix-policy",
            "prefix-signals",
            "prefix-engine",
            "prefix-store",
            "prefix-gobgp",
            "prefix-config",
            "prefix-guard",
            "prefix-api",
            "prefix-tls",
        ],
    ),
    Layer {
        tests_use: &[
            "prefix-diagnostics",
            "prefix-core",
            "prefix-policy",
            "prefix-engine",
            "prefix-config",
            "prefix-api",
            "prefix-client",
        ],
        ..layer("prefixd", Free, &["prefix-runtime"])
    },
    Layer {
        tests_use: &["prefix-core", "prefix-policy", "prefix-store"],
        ..layer("prefixdctl", Free, &["prefix-api-types", "prefix-client", "prefix-config", "prefix-direct"])
    },
    layer("xtask", Free, &[]),
    layer("xtask-lab", Free, &["prefix-core", "prefix-policy", "prefix-testkit"]),
];

const TESTKIT: &str = "prefix-testkit";

/// Crates that do I/O, by which a pure crate would stop being one.
const INPUT_AND_OUTPUT: &[&str] = &["tokio", "futures", "tracing-subscriber", "metrics-exporter-prometheus"];

/// Crates that only adapters know.
const ADAPTERS_ONLY: &[&str] =
    &["actix-web", "diesel", "diesel-async", "reqwest", "tonic", "figment", "clap"];

/// The page that shows the table to people.
const PAGE: &str = "docs/architecture.md";

/// Every arrow that the table does not allow, every arrow of the table that is none, and what the page says otherwise,
/// each as a sentence.
pub(crate) fn violations() -> Result<Vec<String>> {
    let page =
        fs::read_to_string(workspace::root().join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    let mut found = violations_in(&workspace::metadata()?);
    found.extend(LAYERS.iter().filter_map(|layer| missing_row(layer, &page)));
    Ok(found)
}

fn violations_in(metadata: &Metadata) -> Vec<String> {
    let packages = metadata.workspace_packages();
    let ours: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut found = Vec::new();
    for package in &packages {
        match LAYERS.iter().find(|layer| layer.name == package.name.as_str()) {
            Some(layer) => {
                found.extend(forbidden_arrows(layer, package, &ours));
                found.extend(unused_arrows(layer, package));
            }
            None => found.push(format!(
                "{} has no layer: say in the table of xtask/src/layers.rs what it may depend on",
                package.name
            )),
        }
    }
    found
}

fn forbidden_arrows(layer: &Layer, package: &Package, ours: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for dependency in &package.dependencies {
        let (from, to) = (layer.name, dependency.name.as_str());
        let in_tests = dependency.kind == DependencyKind::Development;
        if ours.contains(&to) {
            let allowed = layer.uses.contains(&to)
                || (in_tests && (to == TESTKIT || layer.tests_use.contains(&to) || to == from));
            if !allowed {
                let what = if in_tests { "the tests of " } else { "" };
                found.push(format!(
                    "{what}{from} must not depend on {to}: {from} may use {}",
                    list(layer.uses)
                ));
            }
        } else if !in_tests {
            let pure = layer.purity == Purity::Pure && INPUT_AND_OUTPUT.contains(&to);
            let ported = layer.purity != Purity::Free && ADAPTERS_ONLY.contains(&to);
            if pure {
                found.push(format!("{from} must not depend on {to}: it computes, and does no I/O"));
            } else if ported {
                found.push(format!(
                    "{from} must not depend on {to}: adapters do, behind a port of prefix-core"
                ));
            }
        }
    }
    found
}

/// What the table allows and the manifest does not use: sooner or later somebody takes it for a wish.
fn unused_arrows(layer: &Layer, package: &Package) -> Vec<String> {
    let is_used = |name: &str, in_tests: bool| {
        let mut dependencies = package.dependencies.iter();
        dependencies.any(|one| one.name == name && (one.kind == DependencyKind::Development) == in_tests)
    };
    let code = layer
        .uses
        .iter()
        .filter(|name| !is_used(name, false))
        .map(|name| (layer.name.to_owned(), name, "does"));
    let tests = layer.tests_use.iter().filter(|name| !is_used(name, true));
    let tests = tests.map(|name| (format!("the tests of {}", layer.name), name, "do"));
    code.chain(tests)
        .map(|(from, to, verb)| {
            format!("{from} may depend on {to}, and {verb} not: remove it from the table of layers")
        })
        .collect()
}

/// The row of the page that the table asks for, if the page has another or none. The tasks are told in one row that says
/// nothing of arrows.
fn missing_row(layer: &Layer, page: &str) -> Option<String> {
    if layer.name.starts_with("xtask") {
        return None;
    }
    let folder = if layer.name.starts_with("prefix-") { "crates" } else { "bins" };
    let begin = format!("| `{folder}/{}` |", layer.name);
    let names: Vec<&str> = layer.uses.iter().map(|name| name.trim_start_matches("prefix-")).collect();
    let knows = if names.is_empty() { "nothing of ours".to_owned() } else { names.join(", ") };
    let end = format!("| {knows} |");
    let is_there = page.lines().any(|line| line.starts_with(&begin) && line.ends_with(&end));
    (!is_there).then(|| format!("{PAGE}: the row of {} must end with `{end}`", layer.name))
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none of our crates".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cargo_metadata::MetadataCommand;

    #[test]
    fn all_arrows_point_down() {
        let found = violations().unwrap();
        assert!(found.is_empty(), "\n  {}\n", found.join("\n  "));
    }

    #[test]
    fn a_forbidden_arrow_is_found() {
        // A workspace that is ours but for one arrow: the core knows the store.
        let text = include_str!("layers/upward.json");
        let metadata: Metadata = MetadataCommand::parse(text).unwrap();
        let found = violations_in(&metadata);
        let expected = [
            "prefix-core must not depend on prefix-store: prefix-core may use none of our crates",
            "prefix-core must not depend on tokio: it computes, and does no I/O",
            "stranger has no layer: say in the table of xtask/src/layers.rs what it may depend on",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_arrow_that_nobody_uses_is_found() {
        let metadata: Metadata = MetadataCommand::parse(include_str!("layers/upward.json")).unwrap();
        let packages = metadata.workspace_packages();
        let store = packages.iter().find(|package| package.name.as_str() == "prefix-store").unwrap();
        let layer = Layer {
            name: "prefix-store",
            uses: &["prefix-core", "prefix-policy"],
            tests_use: &["prefix-client"],
            purity: Purity::Free,
        };
        let expected = [
            "prefix-store may depend on prefix-policy, and does not: remove it from the table of layers",
            "the tests of prefix-store may depend on prefix-client, and do not: remove it from the table of layers",
        ];
        assert_eq!(unused_arrows(&layer, store), expected);
    }

    #[test]
    fn the_page_shows_the_arrows_of_the_table() {
        let layer = Layer {
            name: "prefix-engine",
            uses: &["prefix-core", "prefix-policy"],
            tests_use: &[],
            purity: Purity::Ports,
        };
        assert_eq!(missing_row(&layer, "| `crates/prefix-engine` | use cases | core, policy |\n"), None);
        let expected = "docs/architecture.md: the row of prefix-engine must end with `| core, policy |`";
        assert_eq!(
            missing_row(&layer, "| `crates/prefix-engine` | use cases | core |\n"),
            Some(expected.to_owned())
        );
    }

    #[test]
    fn the_table_has_no_circle() {
        for (index, layer) in LAYERS.iter().enumerate() {
            let before: Vec<&str> = LAYERS[..index].iter().map(|earlier| earlier.name).collect();
            let above: Vec<_> = layer.uses.iter().filter(|used| !before.contains(used)).collect();
            assert!(above.is_empty(), "{} uses {above:?}, which stand below it in the table", layer.name);
        }
    }
}
