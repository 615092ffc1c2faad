//! Where secrets are named: shown to few, and kept by whoever cannot see them.

use prefix_diagnostics::{Diagnostic, KeyPath};
use serde_json::Value;

use super::super::correlation::CorrelationKeys;

/// Stands for a secret that is not shown.
pub const HIDDEN: &str = "***";

/// The key whose value is hidden, wherever it stands.
const KEY: &str = "secret_env";

/// Hides each secret of a document, or of a part of it.
pub fn hide_secrets(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide_secrets),
        Value::Object(members) => {
            for (key, value) in members {
                if key == KEY && !value.is_null() {
                    *value = HIDDEN.into();
                } else {
                    hide_secrets(value);
                }
            }
        }
        _ => {}
    }
}

/// Puts what runs in place of each `***`, by the name of its adapter. Says where there is nothing to keep.
pub(super) fn keep(body: &mut Value, running: &CorrelationKeys) -> Vec<Diagnostic> {
    let mut unknown = Vec::new();
    let Some(adapters) = body.get_mut("webhook_adapters").and_then(Value::as_array_mut) else {
        return unknown;
    };
    for (index, adapter) in adapters.iter_mut().enumerate() {
        if adapter.pointer("/auth/secret_env").and_then(Value::as_str) != Some(HIDDEN) {
            continue;
        }
        let name = adapter.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let known = running.webhook_adapters.iter().find(|known| known.name == name);
        match (known.and_then(|known| known.auth.secret_env.clone()), adapter.pointer_mut("/auth/secret_env")) {
            (Some(secret), Some(place)) => *place = secret.into(),
            _ => unknown.push(Diagnostic::error(
                KeyPath::from("webhook_adapters").index(index).key("auth").key(KEY),
                format!("\"***\" keeps the secret of the adapter {name:?}, but none with this name and a secret runs: write the name of its variable"),
            )),
        }
    }
    unknown
}
