//! Corroborating signals (http-api.md §7).

use prefix_core::signal::CorroborationScope;
use prefix_engine::CorroborationReport;

use super::event::vector;
use crate::fields::Fields;
use crate::json::Tree;
use crate::pointer::Pointer;
use crate::problem::FieldError;
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
pub(crate) fn corroboration(tree: &Tree) -> Result<CorroborationDraft, Vec<FieldError>> {
    let mut fields = Fields::open(tree, Pointer::root())?;
    let source = fields.required("source", value::parsed);
    let vector = fields.optional("vector", vector);
    let customer_id = fields.optional("customer_id", value::parsed);
    let pop = fields.optional("pop", value::parsed);
    let service_id = fields.optional("service_id", value::parsed);
    let interface = fields.optional("interface", value::parsed);
    let confidence = fields.optional("confidence", value::confidence);
    let raw_details = fields.optional("raw_details", value::raw);
    fields.finish(|| {
        let (vector, undefined_vector) = match vector {
            Some(Ok(name)) => (Some(name), None),
            Some(Err(text)) => (None, Some(text)),
            None => (None, None),
        };
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
        let read = corroboration(&Tree::parse(text).unwrap()).unwrap();
        assert_eq!(read.undefined_vector, None);
        assert_eq!(read.report.raw_details.as_deref(), Some(r#"{"n": 1.10}"#));
        let scope = &read.report.scope;
        assert_eq!(scope.interface.as_ref().map(InterfaceName::as_str), Some("et-0/0/1"));
        assert_eq!(scope.pop.as_ref().map(Pop::as_str), Some("fra1"));

        let text = r#"{"vector": 1, "customer_id": "", "pop": "FRA", "interface": [], "confidence": 2}"#;
        let errors = corroboration(&Tree::parse(text).unwrap()).unwrap_err();
        let places: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(places, ["/source", "/vector", "/customer_id", "/pop", "/interface", "/confidence"]);
    }

    #[test]
    fn a_text_that_no_vector_can_be_is_kept_for_the_answer() {
        let tree = Tree::parse(r#"{"source": "netflow", "vector": "UDP Flood"}"#).unwrap();
        assert_eq!(corroboration(&tree).unwrap().undefined_vector.as_deref(), Some("UDP Flood"));
    }
}
