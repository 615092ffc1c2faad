//! A body of the API, shown without a change of content or order.

use crate::exit::Failure;
use crate::output::paint::{is_obeyed, printable_json};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Any JSON, members in the order of the text.
#[derive(Debug, Clone, PartialEq)]
enum Ordered {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Ordered>),
    Object(Vec<(String, Ordered)>),
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Object(members) => {
                let mut object = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    object.serialize_entry(name, value)?;
                }
                object.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Ordered;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Ordered, E> {
                Ok(Ordered::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Ordered, E> {
                Ok(Ordered::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Ordered, E> {
                Ok(Ordered::Number(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Ordered, E> {
                Ok(Ordered::Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Ordered, E> {
                Ok(serde_json::Number::from_f64(value).map_or(Ordered::Null, Ordered::Number))
            }

            fn visit_str<E>(self, value: &str) -> Result<Ordered, E> {
                Ok(Ordered::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ordered, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Ordered::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Ordered, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    members.push(member);
                }
                Ok(Ordered::Object(members))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

fn read(body: &[u8]) -> Result<Ordered, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::General(format!("the answer is no JSON: {error}")))
}

/// The same JSON, one member a line.
pub(crate) fn indented(body: &[u8]) -> Result<String, Failure> {
    if body.is_empty() {
        return Ok(String::new());
    }
    serde_json::to_string_pretty(&read(body)?)
        .map(|text| printable_json(&text))
        .map_err(|error| Failure::General(format!("cannot write JSON: {error}")))
}

/// The same content as YAML. If it contains what a terminal obeys, in the form of JSON, which is YAML too and has an
/// escape for each such character.
pub(crate) fn yaml(body: &[u8]) -> Result<String, Failure> {
    let text = serde_saphyr::to_string(&read(body)?)
        .map_err(|error| Failure::General(format!("cannot write YAML: {error}")))?;
    let is_harmful = |letter: char| is_obeyed(letter) && letter != '\n';
    if text.chars().any(is_harmful) { indented(body).map(|json| json + "\n") } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] =
        br#"{"zebra":1,"apple":[true,null,0.5,9223372036854775807],"text":"no","empty":[],"port":"53"}"#;

    #[test]
    fn the_order_of_the_server_is_kept() {
        let text = indented(BODY).unwrap();
        assert!(text.find("zebra").unwrap() < text.find("apple").unwrap(), "{text}");
        assert!(text.contains("9223372036854775807"));
    }

    #[test]
    fn no_format_lets_a_name_command_the_terminal() {
        let body = serde_json::json!({"reason": "\u{1b}[2J\u{9b}31m\u{7f}\u{202e}txt.exe\u{2069}", "b\u{85}\u{202d}": "a\tb\nc"});
        let bytes = body.to_string().into_bytes();
        for text in [indented(&bytes).unwrap(), yaml(&bytes).unwrap()] {
            assert!(!text.chars().any(|letter| is_obeyed(letter) && letter != '\n'), "{text:?}");
            let back: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(back, body, "{text}");
        }
    }

    #[test]
    fn yaml_reads_back_as_the_same_content() {
        let text = yaml(BODY).unwrap();
        let back: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(back, serde_json::from_slice::<serde_json::Value>(BODY).unwrap(), "{text}");
        assert!(text.find("zebra").unwrap() < text.find("apple").unwrap());
    }
}
