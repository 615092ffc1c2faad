//! Corroborating signals (http-api.md §7).

use prefix_core::signal::CorroborationScope;
use prefix_diagnostics::{Diagnostic, KeyPath, Members, Node};
use prefix_engine::CorroborationReport;

use super::event::vector;
use crate::value;

/// A corroborating signal as it was sent.
#[derive(Debug)]
pub(crate) struct CorroborationDraft {
    /// The signal; without its vector if `undefined_vector` is set.
    pub(crate) report: CorroborationReport,
    /// A text that no vector can have as its name.
    pub(crate) undefined_vector: Option<String>,
}

/// Reads one.
pub(crate) fn corroboration(node: &Node) -> Result<CorroborationDraft, Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?.tolerant();
    let source = members.required("source", value::parsed);
    let vector = members.optional("vector", vector);
    let customer_id = members.optional("customer_id", value::parsed);
    let pop = members.optional("pop", value::parsed);
    let service_id = members.optional("service_id", value::parsed);
    let interface = members.optional("interface", value::parsed);
    let confidence = members.optional("confidence", value::confidence);
    let raw_details = members.optional("raw_details", value::raw);
    members.finish(|| {
        let undefined_vector = vector.as_ref().and_then(|read| read.as_ref().err().cloned());
        let vector = vector.and_then(Result::ok);
        let scope = CorroborationScope { vector, customer_id, pop, service_id, interface };
        let report = CorroborationReport { source: source?, scope, confidence, raw_details };
        Some(CorroborationDraft { report, undefined_vector })
    })
}

#[cfg(test)]
mod tests {
    use prefix_core::name::{InterfaceName, Pop};

    use super::*;

    #[test]
    fn every_member_is_read_and_every_mistake_has_its_place() {
        let text = r#"{"source": "netflow", "vector": "udp_flood", "customer_id": "acme", "pop": "fra1",
            "service_id": "dns", "interface": "et-0/0/1", "confidence": 0.5, "raw_details": {"n": 1.10}, "new": 1}"#;
        let read = corroboration(&Node::from_json_text(text).unwrap()).unwrap();
        assert_eq!(read.undefined_vector, None);
        assert_eq!(read.report.raw_details.as_deref(), Some(r#"{"n": 1.10}"#));
        let scope = &read.report.scope;
        assert_eq!(scope.interface.as_ref().map(InterfaceName::as_str), Some("et-0/0/1"));
        assert_eq!(scope.pop.as_ref().map(Pop::as_str), Some("fra1"));

        let text = r#"{"vector": 1, "customer_id": "", "pop": "FRA", "interface": [], "confidence": 2}"#;
        let errors = corroboration(&Node::from_json_text(text).unwrap()).unwrap_err();
        let places: Vec<_> = errors.iter().map(Diagnostic::pointer).collect();
        assert_eq!(places, ["/source", "/vector", "/customer_id", "/pop", "/interface", "/confidence"]);
    }

    #[test]
    fn a_text_that_no_vector_can_be_is_kept_for_the_answer() {
        let tree = Node::from_json_text(r#"{"source": "netflow", "vector": "UDP Flood"}"#).unwrap();
        assert_eq!(corroboration(&tree).unwrap().undefined_vector.as_deref(), Some("UDP Flood"));
    }
}
