//! Whether the vectors that webhook adapters name exist.

use prefix_core::name::VectorName;
use prefix_diagnostics::{Diagnostic, KeyPath};
use prefix_policy::PlaybooksDocument;
use prefix_policy::Vectors;

use super::CorrelationKeys;

/// A vector that an adapter names, and where.
struct Named<'a> {
    at: KeyPath,
    adapter: &'a str,
    vector: &'a VectorName,
}

/// Vectors that nobody defines, with paths into playbooks.yaml, where they would be.
pub(crate) fn missing_in_playbooks(keys: &CorrelationKeys, document: &PlaybooksDocument) -> Vec<Diagnostic> {
    let missing = missing(keys, document).into_iter();
    missing.map(|named| Diagnostic::warning("vectors", text(&named))).collect()
}

/// The same with paths into correlation.yaml.
pub(crate) fn missing_for_adapters(keys: &CorrelationKeys, running: &PlaybooksDocument) -> Vec<Diagnostic> {
    let missing = missing(keys, running).into_iter();
    missing.map(|named| Diagnostic::warning(named.at.clone(), text(&named))).collect()
}

fn missing<'a>(keys: &'a CorrelationKeys, document: &PlaybooksDocument) -> Vec<Named<'a>> {
    let defined = Vectors::with_own(document.vectors.clone());
    let adapters = keys.webhook_adapters.iter().enumerate().filter(|(_, adapter)| adapter.enabled);
    let named = adapters.flat_map(|(index, adapter)| {
        let root = KeyPath::from("webhook_adapters").index(index);
        let mapped = adapter.vector_map.iter().map({
            let root = root.clone();
            move |(word, vector)| (root.key("vector_map").key(word), vector)
        });
        let otherwise = adapter.default_vector.iter().map(move |vector| (root.key("default_vector"), vector));
        let named = mapped.chain(otherwise);
        named.map(|(at, vector)| Named { at, adapter: &adapter.name, vector })
    });
    named.filter(|named| defined.get(named.vector).is_none()).collect()
}

fn text(Named { adapter, vector, .. }: &Named<'_>) -> String {
    format!(
        "webhook adapter \"{adapter}\" names the vector \"{vector}\", which is not defined: its events would be refused; \
         define it under vectors in playbooks.yaml, or map to another one"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(enabled: bool) -> CorrelationKeys {
        let adapter = json!({
            "name": "radware", "enabled": enabled, "auth": {"type": "none"}, "fields": {"victim_ip": "$.ip"},
            "vector_map": {"UDP": "udp_flood", "SIP": "sip_flood"}, "default_vector": "unknwon",
        });
        CorrelationKeys {
            webhook_adapters: vec![serde_json::from_value(adapter).unwrap()],
            ..CorrelationKeys::default()
        }
    }

    fn document(vectors: &serde_json::Value) -> PlaybooksDocument {
        serde_json::from_value(json!({"playbooks": [], "vectors": vectors})).unwrap()
    }

    #[test]
    fn a_vector_that_an_adapter_names_and_nobody_defines_is_told() {
        let found = missing_for_adapters(&keys(true), &document(&json!({})));
        let places: Vec<String> = found.iter().map(|warning| warning.path.to_string()).collect();
        assert_eq!(places, ["webhook_adapters[0].vector_map.SIP", "webhook_adapters[0].default_vector"]);
        assert!(found[0].text.contains("\"sip_flood\", which is not defined"), "{}", found[0].text);
        let own = document(&json!({"sip_flood": {"protocol": "udp", "dst_ports": [5060]}}));
        assert_eq!(missing_for_adapters(&keys(true), &own).len(), 1);
        assert_eq!(missing_in_playbooks(&keys(true), &own).len(), 1);
        assert!(missing_for_adapters(&keys(false), &own).is_empty(), "one that is off is not asked");
    }
}
