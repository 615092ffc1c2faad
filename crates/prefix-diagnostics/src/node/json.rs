//! JSON from outside. It keeps what `serde_json::Value` forgets: members that are given twice, and the text of
//! `raw_details` and of numbers with a fraction or exponent as it came. The depth is bounded, so no input can exhaust the stack.

use std::cell::Cell;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess};
use serde_json::Deserializer as JsonText;
use serde_json::value::RawValue;

use super::read::{ContentVisitor, Format, Value};
use super::{Content, Member, Node};
use crate::diagnostic::Diagnostic;
use crate::path::KeyPath;

/// The deepest nesting of arrays and objects that is read.
pub const MAX_DEPTH: usize = 64;

/// The member whose text is kept as it came.
const RAW_MEMBER: &str = "raw_details";

/// The numbers of a text, in its order, which is the order in which they are read.
struct Numbers<'t> {
    left: Cell<&'t str>,
}

impl<'t> Numbers<'t> {
    fn of(text: &'t str) -> Self {
        Self { left: Cell::new(text) }
    }

    /// The text of the next number. The whole text is valid JSON up to there.
    fn next(&self) -> &'t str {
        let text = self.left.get();
        let (mut at, bytes) = (0, text.as_bytes());
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => at = end_of_string(bytes, at + 1),
                b'-' | b'0'..=b'9' => {
                    let is_part = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                    let length = bytes[at..].iter().take_while(is_part).count();
                    let (number, left) = text[at..].split_at(length);
                    self.left.set(left);
                    return number;
                }
                _ => at += 1,
            }
        }
        self.left.set("");
        ""
    }
}

/// The place behind a string that begins before `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at) {
            None => return at,
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// JSON at some depth.
#[derive(Clone, Copy)]
struct Json<'t> {
    depth: usize,
    // off within raw_details: its text is kept once, as a whole
    keep_raw: bool,
    numbers: &'t Numbers<'t>,
}

impl Json<'_> {
    fn raw(self, text: Box<RawValue>) -> Result<Node, serde_json::Error> {
        let inner = Self { keep_raw: false, ..self };
        let node = Value(inner).deserialize(&mut JsonText::from_str(text.get()))?;
        Ok(Content::Raw(Box::new((text, node))).into())
    }
}

impl Format for Json<'_> {
    fn value<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let content = deserializer.deserialize_any(ContentVisitor(self))?;
        let is_number = matches!(content, Content::Unsigned(_) | Content::Signed(_) | Content::Float(_));
        let text = if is_number { self.numbers.next() } else { "" };
        match content {
            Content::Float(_) if self.keep_raw => {
                let raw = RawValue::from_string(text.to_owned()).map_err(D::Error::custom)?;
                Ok(Content::Raw(Box::new((raw, content.into()))).into())
            }
            content => Ok(content.into()),
        }
    }

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
        let mut deserializer = JsonText::from_str(text);
        let numbers = Numbers::of(text);
        let read = Value(Json { depth: 0, keep_raw: true, numbers: &numbers }).deserialize(&mut deserializer);
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
    fn numbers_with_a_fraction_keep_their_text() {
        let text = r#"{"a\\": "1.0 \" -2", "b": [-1, 1.50, {"c": 1e+03}], "b": 7.70, "raw_details": {"x": [0.10, 5]}, "d": -0.0}"#;
        let tree = Node::from_json_text(text).unwrap();
        let map = tree.as_map().unwrap();
        let written = |node: &Node| match &node.content {
            Content::Raw(raw) => raw.0.get().to_owned(),
            other => panic!("{other:?}"),
        };
        let Content::List(items) = &map.get("b").unwrap().value.content else { panic!("{tree:?}") };
        assert_eq!(written(&items[1]), "1.50");
        assert_eq!(written(&items[2].as_map().unwrap().get("c").unwrap().value), "1e+03");
        assert_eq!(written(&map.get("d").unwrap().value), "-0.0");
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
