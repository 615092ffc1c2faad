//! A strict serde deserializer over a document whose errors keep their place and their parts.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use crate::node::{Content, Member, Node};
use crate::path::{KeyPath, Segment};

/// What is wrong at one place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Problem {
    /// A key that the document does not know; the place is the key's, or the map's where serde lost the key's.
    UnknownKey {
        /// The key.
        key: String,
        /// What would be known here.
        known: &'static [&'static str],
    },
    /// A required key is absent; the place is the map's.
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A word outside a closed list.
    UnknownWord {
        /// What stands there.
        word: String,
        /// The list.
        known: &'static [&'static str],
    },
    /// A value of another type, or out of its type's range.
    WrongType {
        /// What stands there.
        found: Found,
        /// What was wanted, in serde's terms.
        expected: String,
    },
    /// A complaint of the type itself.
    Refused(String),
}

/// The value that did not fit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    /// In words for people.
    pub(crate) text: String,
    /// Whether the words repeat the value, which may be a secret.
    pub(crate) is_shown: bool,
    /// Whether quotes would make it text.
    pub(crate) lacks_quotes: bool,
}

/// A problem and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DecodeError {
    /// Where.
    pub(crate) path: KeyPath,
    /// What.
    pub(crate) problem: Problem,
}

impl DecodeError {
    fn within(mut self, segment: Segment) -> Self {
        self.path.prepend(segment);
        self
    }
}

impl From<Problem> for DecodeError {
    fn from(problem: Problem) -> Self {
        Self { path: KeyPath::root(), problem }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.path, self.problem)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Problem::Refused(text.to_string()).into()
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Problem::WrongType { found: found.into(), expected: expected.to_string() }.into()
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Problem::UnknownWord { word: word.to_owned(), known }.into()
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Problem::UnknownKey { key: key.to_owned(), known }.into()
    }

    fn missing_field(key: &'static str) -> Self {
        Problem::MissingKey { key }.into()
    }
}

impl From<de::Unexpected<'_>> for Found {
    fn from(found: de::Unexpected<'_>) -> Self {
        use de::Unexpected::{Bool, Float, Map, Option, Seq, Signed, Str, Unit, Unsigned};
        let lacks_quotes = matches!(found, Bool(_) | Unsigned(_) | Signed(_) | Float(_));
        let text = match found {
            Bool(value) => value.to_string(),
            Unsigned(number) => format!("the number {number}"),
            Signed(number) => format!("the number {number}"),
            Float(number) => format!("the number {number}"),
            Str(text) if text.chars().count() > 60 => "a long text".to_owned(),
            Str(text) => format!("the text {text:?}"),
            Unit | Option => "nothing".to_owned(),
            Seq => "a list".to_owned(),
            Map => "a map of keys".to_owned(),
            other => other.to_string(),
        };
        Self { text, is_shown: lacks_quotes || matches!(found, Str(_)), lacks_quotes }
    }
}

/// The deserializer.
#[derive(Clone, Copy)]
pub(super) struct Checked<'a>(&'a Node);

impl<'a> Checked<'a> {
    pub(super) fn new(node: &'a Node) -> Self {
        Self(node)
    }
}

impl<'de> Deserializer<'de> for Checked<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.0.content {
            Content::Text(text) => visitor.visit_str(text),
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Unsigned(number) => visitor.visit_u64(*number),
            Content::Signed(number) => visitor.visit_i64(*number),
            // an integer may be written with a fraction of 0; a key that takes any number takes integers too
            Content::Float(number) => match crate::value::whole(*number) {
                Some(number) => visitor.visit_u64(number),
                None => visitor.visit_f64(*number),
            },
            Content::Null | Content::TakenOut => visitor.visit_unit(),
            Content::Raw(raw) => Checked(&raw.1).deserialize_any(visitor),
            Content::Map(map) => visitor.visit_map(Members::of(&map.members)),
            Content::List(items) => visitor.visit_seq(Elements { items: items.iter().enumerate() }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0.content {
            Content::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.0.content {
            Content::Text(word) => visitor.visit_enum(StrDeserializer::<DecodeError>::new(word)),
            Content::Map(map) => visitor.visit_enum(MapAccessDeserializer::new(Members::of(&map.members))),
            _ => self.deserialize_str(OnlyWords(visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.0.content {
            // serde would read the members by position; a configuration names them.
            Content::List(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &"a map")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

/// Names the type error of a word of a closed list, which serde leaves to the format.
struct OnlyWords<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for OnlyWords<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word")
    }
}

struct Members<'a> {
    members: std::slice::Iter<'a, Member>,
    current: Option<&'a Member>,
}

impl<'a> Members<'a> {
    fn of(members: &'a [Member]) -> Self {
        Self { members: members.iter(), current: None }
    }
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        self.current = self.members.find(|member| !member.value.is_taken_out());
        let Some(member) = self.current else { return Ok(None) };
        let word: StrDeserializer<'_, DecodeError> = (*member.key).into_deserializer();
        seed.deserialize(word).map(Some).map_err(|error| error.within(Segment::Key(member.key.to_string())))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, DecodeError> {
        let Some(member) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let within = |error: DecodeError| error.within(Segment::Key(member.key.to_string()));
        seed.deserialize(Checked(&member.value)).map_err(within)
    }
}

struct Elements<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some((index, item)) = self.items.find(|(_, item)| !item.is_taken_out()) else { return Ok(None) };
        seed.deserialize(Checked(item)).map(Some).map_err(|error| error.within(Segment::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}
