//! JSON from outside. It keeps what `serde_json::Value` forgets: members that are given twice, and the text of
//! `raw_details` as it came. The depth is bounded, so no input can exhaust the stack.

use serde::de::{DeserializeSeed, Error, MapAccess};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::read::{Format, Value};
use super::{Content, Member, Node};
use crate::diagnostic::Diagnostic;
use crate::path::KeyPath;

/// The deepest nesting of arrays and objects that is read.
pub const MAX_DEPTH: usize = 64;

/// The member whose text is kept as it came.
const RAW_MEMBER: &str = "raw_details";

/// JSON at some depth.
#[derive(Clone, Copy)]
struct Json {
    depth: usize,
    // off within raw_details: its text is kept once, as a whole
    keep_raw: bool,
}

impl Json {
    fn raw(self, text: Box<RawValue>) -> Result<Node, serde_json::Error> {
        let inner = Self { keep_raw: false, ..self };
        let node = Value(inner).deserialize(&mut Deserializer::from_str(text.get()))?;
        Ok(Content::Raw(Box::new((text, node))).into())
    }
}

impl Format for Json {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn member<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<Option<Member>, A::Error> {
        let Some(key) = map.next_key::<Box<str>>()? else { return Ok(None) };
        let value = if self.keep_raw && *key == *RAW_MEMBER {
            self.raw(map.next_value()?)
                .map_err(|error| A::Error::custom(format_args!("in {RAW_MEMBER}: {error}")))?
        } else {
            map.next_value_seed(Value(self))?
        };
        Ok(Some(Member { key, line: 0, value }))
    }
}

impl Node {
    /// Reads a text of JSON; the error says what is wrong and where.
    pub fn from_json_text(text: &str) -> Result<Self, String> {
        let mut deserializer = Deserializer::from_str(text);
        let read = Value(Json { depth: 0, keep_raw: true }).deserialize(&mut deserializer);
        let read = read.and_then(|node| deserializer.end().map(|()| node));
        read.map_err(|error| match text.trim() {
            "" => "the body is empty; send a JSON object".to_owned(),
            _ => format!("the body is no JSON: {error}"),
        })
    }

    /// An error for every member of JSON that is given twice, at any depth but not below the member `unread` of this
    /// object. `at` is the place of this value.
    pub fn repeated_members(&self, at: &KeyPath, unread: Option<&str>) -> Vec<Diagnostic> {
        let repeated = self.repeated_keys(unread).into_iter();
        repeated.map(|(path, ..)| Diagnostic::shape(path.below(at), "is given twice; give it once")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(text: &str) -> Vec<String> {
        let errors = Node::from_json_text(text).unwrap().repeated_members(&KeyPath::root(), None);
        errors.iter().map(Diagnostic::pointer).collect()
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
            assert!(Node::from_json_text(&deep(MAX_DEPTH)).is_ok(), "{open}");
            for depth in [MAX_DEPTH + 1, 5_000, 100_000] {
                let message = Node::from_json_text(&deep(depth)).unwrap_err();
                assert!(message.contains("nested deeper than 64"), "{open}: {message}");
            }
            assert!(Node::from_json_text(&open.repeat(5_000)).is_err());
        }
        let raw = format!(r#"{{"raw_details":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
        assert!(Node::from_json_text(&raw).unwrap_err().contains("nested deeper"));
    }

    #[test]
    fn raw_details_keep_their_text() {
        let tree = Node::from_json_text(r#"{"raw_details": {"x" : 1.10, "y":[1e2]} }"#).unwrap();
        let member = tree.as_map().unwrap().get("raw_details").unwrap();
        let Content::Raw(raw) = &member.value.content else { panic!("{tree:?}") };
        assert_eq!(raw.0.get(), r#"{"x" : 1.10, "y":[1e2]}"#);
    }

    #[test]
    fn integers_and_other_numbers_differ() {
        for (text, integer) in
            [("1", true), ("-1", true), ("18446744073709551615", true), ("1.0", false), ("1e3", false)]
        {
            let content = Node::from_json_text(text).unwrap().content;
            assert_eq!(matches!(content, Content::Unsigned(_) | Content::Signed(_)), integer, "{text}");
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
            let message = Node::from_json_text(text).unwrap_err();
            assert!(
                message.starts_with("the body is no JSON: ") && message.contains("column"),
                "{text}: {message}"
            );
        }
        assert!(Node::from_json_text(" \n").unwrap_err().contains("empty"));
    }
}
