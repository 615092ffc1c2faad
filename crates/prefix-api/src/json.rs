//! JSON from outside, read into a tree that keeps what `serde_json::Value` forgets: members given twice, and the
//! text of `raw_details` as it came.
//!
//! The depth is bounded, so no input can exhaust the stack.

mod read;

use serde_json::value::RawValue;

use crate::pointer::Pointer;
use crate::problem::FieldError;

/// The deepest nesting of arrays and objects that is read.
pub(crate) const MAX_DEPTH: usize = 64;

/// The member whose text is kept as it came.
const RAW_MEMBER: &str = "raw_details";

/// A JSON value.
#[derive(Debug)]
pub(crate) enum Tree {
    Null,
    Bool,
    /// A number without fraction and exponent.
    Integer(i128),
    /// Any other number.
    Float(f64),
    Text(String),
    List(Vec<Tree>),
    Object(Object),
    /// The value of `raw_details`: its text, and its tree for the checks.
    Raw(Box<RawValue>, Box<Tree>),
}

/// An object: each member once, in the order of the text.
#[derive(Debug, Default)]
pub(crate) struct Object {
    members: Vec<(String, Tree)>,
    repeated: Vec<String>,
}

impl Object {
    /// The value of a member.
    pub(crate) fn get(&self, name: &str) -> Option<&Tree> {
        self.members.iter().find_map(|(member, value)| (member == name).then_some(value))
    }
}

impl Tree {
    /// Reads a text of JSON; the error says what is wrong and where.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let tree = read::tree(&mut deserializer).map_err(|error| explain(&error, text))?;
        deserializer.end().map_err(|error| explain(&error, text))?;
        Ok(tree)
    }

    /// What kind of value it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Raw(_, tree) => tree.kind(),
        }
    }

    /// Reports every member that is given twice, at any depth but not below the member `unread` of this object.
    pub(crate) fn report_repeated(
        &self,
        at: &Pointer<'_>,
        unread: Option<&str>,
        errors: &mut Vec<FieldError>,
    ) {
        match self {
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.report_repeated(&at.index(index), None, errors);
                }
            }
            Self::Object(object) => {
                for name in &object.repeated {
                    errors.push(at.member(name).error("is given twice; give it once"));
                }
                for (name, value) in object.members.iter().filter(|(name, _)| Some(name.as_str()) != unread) {
                    value.report_repeated(&at.member(name), None, errors);
                }
            }
            Self::Raw(_, tree) => tree.report_repeated(at, None, errors),
            Self::Null | Self::Bool | Self::Integer(_) | Self::Float(_) | Self::Text(_) => {}
        }
    }
}

fn explain(error: &serde_json::Error, text: &str) -> String {
    if text.trim().is_empty() {
        return "the body is empty; send a JSON object".to_owned();
    }
    format!("the body is no JSON: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(text: &str) -> Vec<String> {
        let mut errors = Vec::new();
        Tree::parse(text).unwrap().report_repeated(&Pointer::root(), None, &mut errors);
        errors.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn members_given_twice_are_found_wherever_they_are() {
        let text = r#"{"a": 1, "a": 2, "b": [{"c~": 1, "\u0063~": 2}], "raw_details": {"d/e": 0, "d/e": 0, "d/e": 0}}"#;
        assert_eq!(repeated(text), ["/a", "/b/0/c~0", "/raw_details/d~1e", "/raw_details/d~1e"]);
        assert!(repeated(r#"{"a": {"a": {"b": 1}}, "b": 1}"#).is_empty());
    }

    #[test]
    fn nesting_is_bounded_everywhere() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"{"raw_details":"#, "}")] {
            let deep = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert!(Tree::parse(&deep(MAX_DEPTH)).is_ok(), "{open}");
            for depth in [MAX_DEPTH + 1, 5_000, 100_000] {
                let message = Tree::parse(&deep(depth)).unwrap_err();
                assert!(message.contains("nested deeper than 64"), "{open}: {message}");
            }
            assert!(Tree::parse(&open.repeat(5_000)).is_err());
        }
        let raw = format!(r#"{{"raw_details":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
        assert!(Tree::parse(&raw).unwrap_err().contains("nested deeper"));
    }

    #[test]
    fn raw_details_keep_their_text() {
        let tree = Tree::parse(r#"{"raw_details": {"x" : 1.10, "y":[1e2]} }"#).unwrap();
        let Tree::Object(object) = &tree else { panic!("{tree:?}") };
        let Some(Tree::Raw(text, _)) = object.get("raw_details") else { panic!("{tree:?}") };
        assert_eq!(text.get(), r#"{"x" : 1.10, "y":[1e2]}"#);
    }

    #[test]
    fn integers_and_other_numbers_differ() {
        for (text, integer) in
            [("1", true), ("-1", true), ("18446744073709551615", true), ("1.0", false), ("1e3", false)]
        {
            assert_eq!(matches!(Tree::parse(text).unwrap(), Tree::Integer(_)), integer, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        for text in [
            "{",
            "{\"a\":NaN}",
            "[1,]",
            "{} {}",
            "\u{feff}{}",
            "{'a':1}",
            "01",
            "\"\u{0}\"",
            "\"\\ud800\"",
            "1e999",
        ] {
            let message = Tree::parse(text).unwrap_err();
            assert!(
                message.starts_with("the body is no JSON: ") && message.contains("column"),
                "{text}: {message}"
            );
        }
        assert!(Tree::parse(" \n").unwrap_err().contains("empty"));
    }
}
