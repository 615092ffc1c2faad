//! What a password must be (http-api.md §8): long enough, not too long, and not one that everybody tries first. There are
//! no rules about its composition.

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use crate::common::is_common;

/// The longest password, in characters.
const LONGEST: usize = 256;

/// Why a text cannot be a new password. None of them repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PasswordProblem {
    /// Too short.
    #[error("must have at least {least} characters, and has {found}")]
    TooShort {
        /// `http.auth.password_min_length`.
        least: usize,
        /// Characters after NFC.
        found: usize,
    },
    /// Too long.
    #[error("must have at most 256 characters")]
    TooLong,
    /// Everybody tries it.
    #[error("is one of the most common passwords; choose one that nobody else has")]
    Common,
}

/// A password in the Unicode form NFC: the same whatever keyboard it was typed on.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

impl Password {
    /// As it was given at a login. One that is too long is cut where it cannot be right any more.
    pub fn given(text: &str) -> Self {
        Self(text.nfc().take(LONGEST + 1).collect::<String>().into())
    }

    /// A new one of at least so many characters.
    pub fn new(text: &str, least: usize) -> Result<Self, PasswordProblem> {
        let normal = Self::given(text);
        let found = normal.expose().chars().count();
        if found < least {
            return Err(PasswordProblem::TooShort { least, found });
        }
        if found > LONGEST {
            return Err(PasswordProblem::TooLong);
        }
        if is_common(normal.expose()) {
            return Err(PasswordProblem::Common);
        }
        Ok(normal)
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters_after_normalisation() {
        assert!(Password::new("correct horse battery", 12).is_ok());
        let composed = Password::given("p\u{e4}sswort");
        assert_eq!(composed.expose(), Password::given("pa\u{308}sswort").expose());
        assert_eq!(
            Password::new("a\u{308}a\u{308}", 3).unwrap_err(),
            PasswordProblem::TooShort { least: 3, found: 2 }
        );
        assert!(Password::new(&"ab".repeat(128), 12).is_ok());
        assert_eq!(Password::new(&"abc".repeat(86), 12).unwrap_err(), PasswordProblem::TooLong);
    }

    #[test]
    fn what_everybody_tries_is_refused_and_never_shown() {
        for common in ["password1234", "Password1234", "123456789012", "administrator"] {
            let problem = Password::new(common, 12).unwrap_err();
            assert_eq!(problem, PasswordProblem::Common, "{common}");
            assert!(!problem.to_string().contains(common));
        }
        assert!(!format!("{:?}", Password::given("planted-secret")).contains("planted"));
    }
}
