//! From text to nodes: a serde visitor that keeps the order, the lines and the repeated keys.

use std::collections::HashMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::{Content, Map, Member, NOWHERE, Node};

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        let start = spanned.referenced.span().byte_offset().and_then(|offset| u32::try_from(offset).ok());
        let start = start.unwrap_or(NOWHERE);
        Ok(Self { line: line_number(spanned.referenced.line()), start, content: spanned.value })
    }
}

fn line_number(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        Content::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Unsigned(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Content, E> {
        Ok(u64::try_from(value).map_or(Content::Signed(value), Content::Unsigned))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Float(value))
    }

    #[allow(clippy::cast_precision_loss)] // only numbers beyond 64 bits come here, and no key takes one
    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Content, E> {
        Ok(u64::try_from(value).map_or(Content::Float(value as f64), Content::Unsigned))
    }

    #[allow(clippy::cast_precision_loss)] // as above
    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Content, E> {
        i64::try_from(value).map_or(Ok(Content::Float(value as f64)), |value| self.visit_i64(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Content, E> {
        Ok(Content::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        list.shrink_to_fit();
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut map = Map::default();
        let mut first_lines = HashMap::new();
        while let Some(key) = entries.next_key::<Spanned<Key>>()? {
            let (line, key) = (line_number(key.referenced.line()), key.value.0);
            let value: Node = entries.next_value()?;
            let line = if line == 0 { value.line } else { line };
            if let Some(first) = first_lines.get(&key) {
                map.repeated.push((key, line.into(), *first));
            } else {
                first_lines.insert(key.clone(), line.into());
                map.members.push(Member { key: key.into(), line, value });
            }
        }
        map.members.shrink_to_fit();
        Ok(Content::Map(Box::new(map)))
    }
}

/// A key of a map, as text whatever it looks like.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Content::deserialize(deserializer)? {
            Content::Text(text) => text,
            Content::Unsigned(number) => number.to_string(),
            Content::Signed(number) => number.to_string(),
            Content::Float(number) => number.to_string(),
            Content::Bool(value) => value.to_string(),
            Content::Null => "null".to_owned(),
            Content::List(_) | Content::Map(_) => return Err(de::Error::custom("a key must be plain text")),
        }))
    }
}
