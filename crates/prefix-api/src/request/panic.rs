//! The kill switch (http-api.md §9).

use prefix_core::id::PanicId;
use prefix_core::name::Pop;
use prefix_diagnostics::{Diagnostic, KeyPath, Members, Node, Parsed};
use prefix_engine::PanicRequest;

use crate::value;

/// Reads `{reason, pop?, customer_id?}`.
pub(crate) fn panic(node: &Node) -> Result<PanicRequest, Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    let reason = members.required("reason", value::free_text);
    let pop = members.optional("pop", pop);
    let customer_id = members.optional("customer_id", value::parsed);
    members.finish(|| Some(PanicRequest { reason: reason?, pop: pop.flatten(), customer_id }))
}

/// Reads `{reason, panic_id?}`.
pub(crate) fn thaw(node: &Node) -> Result<(String, Option<PanicId>), Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    let reason = members.required("reason", value::free_text);
    let panic_id = members.optional("panic_id", value::id);
    members.finish(|| Some((reason?, panic_id)))
}

/// `all` is every pop, as in the lists: nobody who writes it means to freeze a place of that name and nothing else.
fn pop(node: &Node) -> Parsed<Option<Pop>> {
    if value::text(node)? == "all" { Ok(None) } else { value::parsed(node).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(errors: Result<impl std::fmt::Debug, Vec<Diagnostic>>) -> Vec<String> {
        errors.unwrap_err().into_iter().map(|error| error.pointer()).collect()
    }

    #[test]
    fn a_panic_has_a_reason_and_may_have_a_scope() {
        let read = |text: &str| panic(&Node::from_json_text(text).unwrap());
        let everything = PanicRequest { reason: "a wrong rule".into(), pop: None, customer_id: None };
        assert_eq!(read(r#"{"reason": "a wrong rule"}"#).as_ref(), Ok(&everything));
        assert_eq!(read(r#"{"reason": "a wrong rule", "pop": "all", "customer_id": null}"#), Ok(everything));
        let some = read(r#"{"reason": "x", "pop": "ams1", "customer_id": "acme"}"#).unwrap();
        assert_eq!(some.pop.unwrap().as_str(), "ams1");
        assert_eq!(places(read("{}")), ["/reason"]);
        assert_eq!(
            places(read(r#"{"reason": " ", "pop": "AMS 1", "customer_id": 5}"#)),
            ["/reason", "/pop", "/customer_id"]
        );
    }

    #[test]
    fn a_thaw_has_a_reason_and_may_name_one_panic() {
        let read = |text: &str| thaw(&Node::from_json_text(text).unwrap());
        assert_eq!(read(r#"{"reason": "over"}"#).unwrap(), ("over".to_owned(), None));
        assert_eq!(places(read(r#"{"panic_id": "5"}"#)), ["/reason", "/panic_id"]);
    }
}
