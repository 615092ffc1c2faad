//! The kill switch (http-api.md §9).

use prefix_core::id::PanicId;
use prefix_core::name::{CustomerId, Pop};

use crate::fields::{Fields, Parsed};
use crate::json::Tree;
use crate::pointer::Pointer;
use crate::problem::FieldError;
use crate::value;

/// What is to be frozen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Panic {
    /// Why.
    pub(crate) reason: String,
    /// At this pop only.
    pub(crate) pop: Option<Pop>,
    /// Of this customer only.
    pub(crate) customer_id: Option<CustomerId>,
}

/// What is to be thawed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Thaw {
    /// Why.
    pub(crate) reason: String,
    /// Only this one.
    pub(crate) panic_id: Option<PanicId>,
}

/// Reads `{reason, pop?, customer_id?}`.
pub(crate) fn panic(tree: &Tree) -> Result<Panic, Vec<FieldError>> {
    let mut fields = Fields::open(tree, Pointer::root())?;
    let reason = fields.required("reason", value::free_text);
    let pop = fields.optional("pop", pop);
    let customer_id = fields.optional("customer_id", value::parsed);
    fields.finish(|| Some(Panic { reason: reason?, pop: pop.flatten(), customer_id }))
}

/// Reads `{reason, panic_id?}`.
pub(crate) fn thaw(tree: &Tree) -> Result<Thaw, Vec<FieldError>> {
    let mut fields = Fields::open(tree, Pointer::root())?;
    let reason = fields.required("reason", value::free_text);
    let panic_id = fields.optional("panic_id", value::id);
    fields.finish(|| Some(Thaw { reason: reason?, panic_id }))
}

/// `all` is every pop, as in the lists: nobody who writes it means to freeze a place of that name and nothing else.
fn pop(tree: &Tree) -> Parsed<Option<Pop>> {
    if value::text(tree)? == "all" { Ok(None) } else { value::parsed(tree).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(errors: Result<impl std::fmt::Debug, Vec<FieldError>>) -> Vec<String> {
        errors.unwrap_err().into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn a_panic_has_a_reason_and_may_have_a_scope() {
        let read = |text: &str| panic(&Tree::parse(text).unwrap());
        let everything = Panic { reason: "a wrong rule".into(), pop: None, customer_id: None };
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
        let read = |text: &str| thaw(&Tree::parse(text).unwrap());
        assert_eq!(read(r#"{"reason": "over"}"#).unwrap().panic_id, None);
        assert_eq!(places(read(r#"{"panic_id": "5"}"#)), ["/reason", "/panic_id"]);
    }
}
