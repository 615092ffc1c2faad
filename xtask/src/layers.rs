//! The arrows between our crates, as data, and a check that there is no other.
//!
//! `docs/architecture.md` says why: arrows point down, adapters never meet, and what decides knows no I/O.

use crate::workspace;
use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What one of our crates may depend on.
struct Layer {
    name: &'static str,
    /// Our crates it may use in its code.
    uses: &'static [&'static str],
    /// Our crates its tests may use besides; the testkit every test may use.
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

const LAYERS: &[Layer] = &[
    Layer { name: "prefix-api-macros", uses: &[], tests_use: &[], purity: Purity::Pure },
    Layer { name: "prefix-core", uses: &[], tests_use: &[], purity: Purity::Pure },
    Layer { name: "prefix-policy", uses: &["prefix-core"], tests_use: &[], purity: Purity::Pure },
    Layer {
        name: "prefix-api-types",
        uses: &["prefix-api-macros", "prefix-core", "prefix-policy"],
        tests_use: &[],
        purity: Purity::Pure,
    },
    Layer { name: "prefix-signals", uses: &["prefix-core"], tests_use: &[], purity: Purity::Pure },
    Layer {
        name: "prefix-engine",
        uses: &["prefix-core", "prefix-policy"],
        tests_use: &[],
        purity: Purity::Ports,
    },
    Layer { name: "prefix-store", uses: &["prefix-core"], tests_use: &[], purity: Purity::Free },
    Layer { name: "prefix-gobgp", uses: &["prefix-core"], tests_use: &[], purity: Purity::Free },
    Layer {
        name: "prefix-api",
        uses: &["prefix-api-types", "prefix-core", "prefix-engine", "prefix-signals"],
        tests_use: &["prefix-policy"],
        purity: Purity::Free,
    },
    Layer { name: "prefix-guard", uses: &["prefix-core"], tests_use: &[], purity: Purity::Ports },
    Layer {
        name: "prefix-config",
        uses: &["prefix-core", "prefix-policy", "prefix-signals", "prefix-store", "prefix-gobgp"],
        tests_use: &[],
        purity: Purity::Free,
    },
    Layer { name: "prefix-client", uses: &["prefix-api-types"], tests_use: &[], purity: Purity::Free },
    Layer {
        name: "prefix-testkit",
        uses: &["prefix-core", "prefix-engine", "prefix-policy"],
        tests_use: &["prefix-client"],
        purity: Purity::Free,
    },
    Layer {
        name: "prefixd",
        uses: &[
            "prefix-core",
            "prefix-policy",
            "prefix-signals",
            "prefix-engine",
            "prefix-store",
            "prefix-gobgp",
            "prefix-config",
            "prefix-guard",
            "prefix-api",
        ],
        tests_use: &["prefix-client"],
        purity: Purity::Free,
    },
    Layer {
        name: "prefixdctl",
        uses: &[
            "prefix-api-types",
            "prefix-core",
            "prefix-client",
            "prefix-config",
            "prefix-gobgp",
            "prefix-guard",
            "prefix-policy",
            "prefix-store",
        ],
        tests_use: &[],
        purity: Purity::Free,
    },
    Layer { name: "xtask", uses: &[], tests_use: &[], purity: Purity::Free },
    Layer {
        name: "xtask-lab",
        uses: &["prefix-core", "prefix-policy", "prefix-testkit"],
        tests_use: &[],
        purity: Purity::Free,
    },
];

const TESTKIT: &str = "prefix-testkit";

/// Crates that do I/O, by which a pure crate would stop being one.
const INPUT_AND_OUTPUT: &[&str] = &["tokio", "futures", "tracing-subscriber", "metrics-exporter-prometheus"];

/// Crates that only adapters know.
const ADAPTERS_ONLY: &[&str] =
    &["actix-web", "diesel", "diesel-async", "reqwest", "tonic", "figment", "clap"];

/// Every arrow that the table does not allow, each as a sentence.
pub(crate) fn violations() -> Result<Vec<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace::root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cannot read the workspace with `cargo metadata`")?;
    Ok(violations_in(&metadata))
}

fn violations_in(metadata: &Metadata) -> Vec<String> {
    let packages = metadata.workspace_packages();
    let ours: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut found = Vec::new();
    for package in &packages {
        match LAYERS.iter().find(|layer| layer.name == package.name.as_str()) {
            Some(layer) => found.extend(forbidden_arrows(layer, package, &ours)),
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

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none of our crates".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_table_has_no_circle() {
        for (index, layer) in LAYERS.iter().enumerate() {
            let before: Vec<&str> = LAYERS[..index].iter().map(|earlier| earlier.name).collect();
            let above: Vec<_> = layer.uses.iter().filter(|used| !before.contains(used)).collect();
            assert!(above.is_empty(), "{} uses {above:?}, which stand below it in the table", layer.name);
        }
    }
}
