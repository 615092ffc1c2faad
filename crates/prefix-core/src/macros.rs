//! Implementations that many types share, written once.

/// Serialises types in their text form: `Serialize` by `Display`, `Deserialize` by `FromStr`. The crate that uses it
/// needs `serde`.
#[macro_export]
macro_rules! serde_as_text {
    ($($type:ty),+ $(,)?) => {$(
        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str> as ::serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(::serde::de::Error::custom)
            }
        }
    )+};
}

/// Conversions of a number type whose constructor checks the range: `TryFrom` by the constructor, and back.
macro_rules! checked_number {
    ($type:ident($number:ty), $new:path, $error:ty) => {
        impl TryFrom<$number> for $type {
            type Error = $error;

            fn try_from(value: $number) -> Result<Self, $error> {
                $new(value)
            }
        }

        impl From<$type> for $number {
            fn from(value: $type) -> Self {
                value.0.into()
            }
        }
    };
}

/// Octets of a fixed number: text and JSON are lower-case hexadecimal digits.
macro_rules! hex_octets {
    ($type:ident($count:literal), $error:ty, $invalid:expr) => {
        impl $type {
            /// The octets.
            pub const fn as_bytes(&self) -> &[u8; $count] {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl std::str::FromStr for $type {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                let mut bytes = [0; $count];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| $invalid(text.to_owned()))?;
                Ok(Self(bytes))
            }
        }

        serde_as_text!($type);
    };
}

/// A closed set of words: each variant with the word that stands for it in API, storage, logs and metrics. The crate that
/// uses it needs `serde`.
#[macro_export]
macro_rules! words {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize)]
        $vis enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every value, in the order of the definition.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word of the contract.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// A section of the configuration: each key with its type and the value that it has where the file does not name it. The
/// crate that uses it needs `serde`.
#[macro_export]
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(<$param:ident = $param_default:ty>)? {
            $($(#[$key_meta:meta])* pub $key:ident: $type:ty = $default:expr),+ $(,)?
        }
    ) => {
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $(#[$meta])*
        pub struct $name $(<$param = $param_default>)? {
            $($(#[$key_meta])* pub $key: $type),+
        }

        impl $(<$param>)? ::core::default::Default for $name $(<$param>)? {
            fn default() -> Self {
                Self { $($key: $default),+ }
            }
        }
    };
}
