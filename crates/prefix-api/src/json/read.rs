//! Reading: one visitor for every kind of value, which counts the depth and notices repetitions.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{MAX_DEPTH, Object, RAW_MEMBER, Tree};

/// Reads one value.
pub(super) fn tree<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
    Reader { depth: 0, keep_raw: true }.deserialize(deserializer)
}

#[derive(Clone, Copy)]
struct Reader {
    depth: usize,
    // off within raw_details: its text is kept once, as a whole
    keep_raw: bool,
}

impl Reader {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn raw(self, text: Box<RawValue>) -> Result<Tree, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text.get());
        let tree = Self { keep_raw: false, ..self }.deserialize(&mut deserializer)?;
        Ok(Tree::Raw(text, Box::new(tree)))
    }
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Bool)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Integer(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Integer(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let inner = self.deeper()?;
        let mut object = Object::default();
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = if inner.keep_raw && name == RAW_MEMBER {
                inner
                    .raw(map.next_value()?)
                    .map_err(|error| A::Error::custom(format_args!("in {RAW_MEMBER}: {error}")))?
            } else {
                map.next_value_seed(inner)?
            };
            if seen.insert(name.clone()) {
                object.members.push((name, value));
            } else {
                object.repeated.push(name);
            }
        }
        Ok(Tree::Object(object))
    }
}
