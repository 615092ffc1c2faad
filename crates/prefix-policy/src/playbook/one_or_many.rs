//! A key that takes one value or a list of them, kept as it was written.

use std::fmt;
use std::marker::PhantomData;

use prefix_diagnostics::KeyPath;
use serde::Serialize;
use serde::de::value::{SeqAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// One value or a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// Written as `key: value`.
    One(T),
    /// Written as `key: [value, value]`.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// The values.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    /// The values with their places, if the key stands at `at`: the key's for a single value, its position in a list.
    pub(crate) fn placed(&self, at: &KeyPath) -> impl Iterator<Item = (KeyPath, &T)> {
        let many = matches!(self, Self::Many(_));
        let values = self.as_slice().iter().enumerate();
        values.map(move |(position, value)| (if many { at.index(position) } else { at.clone() }, value))
    }
}

impl<T: PartialEq> OneOrMany<T> {
    /// True if the value is one of these.
    pub fn contains(&self, value: &T) -> bool {
        self.as_slice().contains(value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(StrDeserializer::<E>::new(text)).map(OneOrMany::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(items)).map(OneOrMany::Many)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_and_a_list_are_read_and_written_as_they_came() {
        for json in [r#""a""#, r#"["a","b"]"#, "[]"] {
            let read: OneOrMany<String> = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
        assert!(serde_json::from_str::<OneOrMany<String>>("1").is_err());
    }
}
