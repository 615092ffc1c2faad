//! New secrets: 256 random bits as 43 characters of base64url. Only their SHA-256 is ever stored.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use prefix_core::access::CredentialDigest;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// What every API token begins with, so that scanners for leaked secrets find it.
pub const TOKEN_PREFIX: &str = "pfx_";

/// So much of a token is shown beside its name.
const SHOWN: usize = 8;

/// A secret that was just made, and what is stored of it.
#[derive(Debug)]
pub struct NewSecret {
    /// The secret itself: told once, to whoever asked for it.
    pub secret: SecretString,
    /// What is stored.
    pub digest: CredentialDigest,
    /// The beginning, by which people tell tokens apart.
    pub prefix: String,
}

/// The system has no random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the system has no random bits")]
pub struct NoRandomness;

impl NewSecret {
    /// An API token.
    pub fn token() -> Result<Self, NoRandomness> {
        Ok(Self::of(format!("{TOKEN_PREFIX}{}", random()?)))
    }

    /// A login cookie.
    pub fn cookie() -> Result<Self, NoRandomness> {
        Ok(Self::of(random()?))
    }

    fn of(text: String) -> Self {
        let secret = SecretString::from(text);
        let text = secret.expose_secret();
        Self { digest: CredentialDigest::of(text.as_bytes()), prefix: text[..SHOWN].to_owned(), secret }
    }
}

fn random() -> Result<String, NoRandomness> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).map_err(|_| NoRandomness)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_pfx_and_43_characters_and_never_the_same() {
        let (one, other) = (NewSecret::token().unwrap(), NewSecret::token().unwrap());
        let text = one.secret.expose_secret();
        assert_eq!(text.len(), 47);
        let rest = text.strip_prefix(TOKEN_PREFIX).unwrap();
        assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        assert_eq!(one.prefix, text[..8]);
        assert_eq!(one.digest, CredentialDigest::of(text.as_bytes()));
        assert_ne!(one.digest, other.digest);
        assert!(!format!("{one:?}").contains(rest), "it does not show itself");
    }
}
