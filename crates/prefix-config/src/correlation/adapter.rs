//! `webhook_adapters[]`: how a detector's own JSON becomes an event. What an adapter is, prefix-signals knows; here its
//! mistakes find their place in the file, and its secret in the environment.

use std::collections::BTreeSet;

pub use prefix_signals::webhook::AdapterDocument as AdapterKeys;
use prefix_signals::webhook::Adapters;

use crate::Environment;
use crate::finding::Remark;
use crate::path::KeyPath;

/// Compiles the adapters that are enabled, and says what is wrong with any of them.
pub fn build(adapters: &[AdapterKeys], environment: &Environment) -> (Adapters, Vec<Remark>) {
    let (mut compiled, mut remarks, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, document) in adapters.iter().enumerate() {
        let place = format!("webhook_adapters[{index}]");
        let root = KeyPath::dotted("webhook_adapters").index(index);
        let (adapter, mistakes) = document.build(|variable| environment.get(variable).cloned());
        for mistake in mistakes {
            let path = mistake.path.into_iter().fold(root.clone(), |path, key| path.key(key));
            let text = format!("{place}.{}", mistake.text);
            remarks.push(if mistake.is_warning {
                Remark::warning(path, text)
            } else {
                Remark::error(path, text)
            });
        }
        if !names.insert(&document.name) {
            let text = format!("{place}.name: {:?} is the name of another adapter", document.name);
            remarks.push(Remark::error(root.key("name"), text));
        }
        compiled.extend(adapter.filter(|_| document.enabled));
    }
    (compiled.into_iter().collect(), remarks)
}
