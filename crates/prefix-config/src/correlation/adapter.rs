//! `webhook_adapters[]`: how a detector's own JSON becomes an event. prefix-signals compiles an adapter; here its diagnostics
//! get their place in the file, and its secret comes from the environment.

use std::collections::BTreeSet;

use prefix_diagnostics::{Diagnostic, KeyPath};
use prefix_signals::expression::ExpressionBudget;
use prefix_signals::webhook::{AdapterDocument, Adapters};

use crate::Environment;

/// Compiles the adapters that are enabled, and says what is wrong with any of them. Their expressions have one budget.
pub fn build(adapters: &[AdapterDocument], environment: &Environment) -> (Adapters, Vec<Diagnostic>) {
    let (mut compiled, mut found, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut budget = ExpressionBudget::default();
    for (index, document) in adapters.iter().enumerate() {
        let at = KeyPath::from("webhook_adapters").index(index);
        let (adapter, mut diagnostics) =
            document.build(|variable| environment.get(variable).cloned(), &mut budget);
        if !names.insert(&document.name) {
            let text = format!("name: {:?} is the name of another adapter", document.name);
            diagnostics.push(Diagnostic::error("name", text));
        }
        found.extend(diagnostics.into_iter().map(|diagnostic| Diagnostic {
            path: diagnostic.path.below(&at),
            text: format!("{at}.{}", diagnostic.text),
            ..diagnostic
        }));
        compiled.extend(adapter.filter(|_| document.enabled));
    }
    (compiled.into_iter().collect(), found)
}
