//! Reading a document from any format of serde: one visitor for every kind of value, which keeps the order and notices
//! repeated keys.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Content, Map, Member, Node};

/// How a format hands out the values within a list or a map.
pub trait Format: Copy {
    /// The format one level deeper.
    fn deeper<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    /// Reads one value with its place.
    fn value<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(ContentVisitor(self)).map(Node::from)
    }

    /// Reads the next member of a map.
    fn member<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<Option<Member>, A::Error> {
        let Some(key) = map.next_key::<Box<str>>()? else { return Ok(None) };
        let value = map.next_value_seed(Value(self))?;
        Ok(Some(Member { key, line: 0, value }))
    }
}

/// Values that already are in memory: without lines, and as deep as they are.
#[derive(Clone, Copy)]
struct InMemory;

impl Format for InMemory {}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        InMemory.value(deserializer)
    }
}

/// One value of a format.
pub(super) struct Value<F>(pub(super) F);

impl<'de, F: Format> DeserializeSeed<'de> for Value<F> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.0.value(deserializer)
    }
}

/// Takes what stands at a place.
#[derive(Clone, Copy)]
pub struct ContentVisitor<F>(pub F);

/// A method of a visitor for each scalar that becomes content as it is.
macro_rules! scalars {
    ($($visit:ident($($value:ident: $type:ty)?) -> $content:expr;)*) => {
        $(fn $visit<E: Error>(self $(, $value: $type)?) -> Result<Content, E> {
            Ok($content)
        })*
    };
}

impl<'de, F: Format> Visitor<'de> for ContentVisitor<F> {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    scalars! {
        visit_unit() -> Content::Null;
        visit_none() -> Content::Null;
        visit_bool(value: bool) -> Content::Bool(value);
        visit_u64(value: u64) -> Content::Unsigned(value);
        visit_i64(value: i64) -> u64::try_from(value).map_or(Content::Signed(value), Content::Unsigned);
        visit_f64(value: f64) -> Content::Float(value);
        visit_str(value: &str) -> Content::Text(value.to_owned());
        visit_string(value: String) -> Content::Text(value);
    }

    #[allow(clippy::cast_precision_loss)] // only numbers beyond 64 bits come here, and no key takes one
    fn visit_u128<E: Error>(self, value: u128) -> Result<Content, E> {
        Ok(u64::try_from(value).map_or(Content::Float(value as f64), Content::Unsigned))
    }

    #[allow(clippy::cast_precision_loss)] // as above
    fn visit_i128<E: Error>(self, value: i128) -> Result<Content, E> {
        i64::try_from(value).map_or(Ok(Content::Float(value as f64)), |value| self.visit_i64(value))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let inner = self.0.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Value(inner))? {
            list.push(item);
        }
        list.shrink_to_fit();
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let inner = self.0.deeper()?;
        let mut map = Map::default();
        let mut first_lines = HashMap::new();
        while let Some(member) = inner.member(&mut entries)? {
            if let Some(first) = first_lines.get(&member.key) {
                map.repeated.push((member.key.into(), member.line, *first));
            } else {
                first_lines.insert(member.key.clone(), member.line);
                map.members.push(member);
            }
        }
        map.members.shrink_to_fit();
        Ok(Content::Map(Box::new(map)))
    }
}
