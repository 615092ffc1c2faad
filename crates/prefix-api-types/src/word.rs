//! Enums that stay open: the words of the API that this version knows, and `Other` for those it does not.

/// Defines an open enum with its words, `Display`, serde, and its schema for the OpenAPI document.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident from $domain:path {
        $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+
    }) => {
        $crate::word::words! {
            $(#[$doc])* pub enum $name { $($(#[$variant_doc])* $variant = $word,)+ }
        }

        #[cfg(feature = "domain")]
        impl From<$domain> for $name {
            fn from(word: $domain) -> Self {
                match word {
                    $(<$domain>::$variant => Self::$variant,)+
                }
            }
        }
    };
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A word of a newer server.
            Other(String),
        }

        impl $name {
            /// Every word this version knows.
            pub const WORDS: &'static [&'static str] = &[$($word,)+];

            /// The word of the API.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }

            #[cfg(feature = "openapi")]
            #[allow(dead_code, reason = "most words are documented as text with an example")]
            pub(crate) fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $crate::word::schema(Self::WORDS, false)
            }

            #[cfg(feature = "openapi")]
            #[allow(dead_code, reason = "most words are documented as text with an example")]
            pub(crate) fn nullable_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $crate::word::schema(Self::WORDS, true)
            }
        }

        impl Default for $name {
            /// No word at all: what another server leaves out.
            fn default() -> Self {
                Self::Other(String::new())
            }
        }


        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str> as serde::Deserialize<'de>>::deserialize(deserializer)?;
                Ok(Self::from(word.as_ref()))
            }
        }
    };
}

pub(crate) use words;

/// A text that is one of these words, or null.
#[cfg(feature = "openapi")]
pub(crate) fn schema(words: &[&str], nullable: bool) -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

    let mut values: Vec<serde_json::Value> = words.iter().map(|word| (*word).into()).collect();
    let mut kind = SchemaType::Type(Type::String);
    if nullable {
        values.push(serde_json::Value::Null);
        kind = SchemaType::from_iter([Type::String, Type::Null]);
    }
    ObjectBuilder::new().schema_type(kind).enum_values(Some(values)).into()
}

#[cfg(test)]
mod tests {
    use crate::PeerState;

    #[test]
    fn an_unknown_word_is_kept_as_it_is() {
        let state: PeerState = serde_json::from_str("\"confederated\"").unwrap();
        assert_eq!(state, PeerState::Other("confederated".to_owned()));
        assert_eq!(serde_json::to_string(&state).unwrap(), "\"confederated\"");
        assert_eq!(PeerState::from("established"), PeerState::Established);
        assert_eq!(PeerState::WORDS[0], "idle");
    }
}
