//! The recipes of `configs/webhook-recipes`, loaded as they stand there, with payloads made from each vendor's public
//! documentation.

use std::path::Path;

use crate::support::{World, expect, payloads, shown_nodes};
use prefix_signals::expression::ExpressionBudget;
use prefix_signals::webhook::{Adapter, AdapterDocument};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recipe {
    webhook_adapters: Vec<AdapterDocument>,
}

/// The only adapter of a recipe.
fn recipe(name: &str) -> Adapter {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/webhook-recipes");
    let text = std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
    let recipe: Recipe = serde_saphyr::from_str(&text).unwrap();
    let [document] = recipe.webhook_adapters.as_slice() else { panic!("{name} has not one adapter") };
    let (adapter, mistakes) = document.build(|_| Some("secret".to_owned()), &mut ExpressionBudget::default());
    assert!(mistakes.is_empty(), "{mistakes:?}");
    adapter.unwrap()
}

#[test]
fn every_recipe_reads_the_payloads_of_its_vendor() {
    let mut used = std::collections::BTreeSet::new();
    for (path, payload) in payloads("payloads/recipes") {
        let name = path.rsplit('/').next().unwrap().split('-').next().unwrap();
        used.insert(name.to_owned());
        let adapter = recipe(name);
        let world = World::of(name).mapping("critical", 0.9);
        let items = adapter.read(&payload, world.context()).unwrap();
        expect(&format!("{path}.expected.json"), &shown_nodes(&items));
    }
    assert_eq!(
        used.into_iter().collect::<Vec<_>>(),
        ["akvorado", "corero", "grafana", "kaspersky", "kentik", "netscout", "ntopng", "radware", "wanguard"]
    );
}
