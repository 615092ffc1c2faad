//! From the headers of a request to a principal.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Principal;
use crate::problem::{Kind, Problem};

/// How callers prove who they are.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthMode {
    /// Not at all: everyone is admin. For labs.
    None,
    /// By one shared secret, which must not be empty.
    Bearer {
        /// The secret.
        secret: String,
    },
}

impl AuthMode {
    /// The word of the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bearer { .. } => "bearer",
        }
    }
}

// a secret never gets into a log by way of {:?}
impl std::fmt::Debug for AuthMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Checks credentials.
pub(crate) enum Authenticator {
    /// Everyone gets in.
    Open,
    /// Whoever has the secret gets in. The hash has one length whatever the secret's, so comparing takes one time.
    Secret([u8; 32]),
    /// Everyone is this principal.
    #[cfg(test)]
    Always(Principal),
}

impl Authenticator {
    /// For a mode. An empty secret would let everyone in, so nobody gets in with one.
    pub(crate) fn new(mode: &AuthMode) -> Self {
        match mode {
            AuthMode::None => Self::Open,
            AuthMode::Bearer { secret } => Self::Secret(Sha256::digest(secret.as_bytes()).into()),
        }
    }

    /// Who sent these headers, or that nobody knows.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        match self {
            Self::Open => Ok(Principal::anonymous()),
            Self::Secret(digest) => with_secret(digest, headers),
            #[cfg(test)]
            Self::Always(principal) => Ok(principal.clone()),
        }
    }
}

fn with_secret(expected: &[u8; 32], headers: &HeaderMap) -> Result<Principal, Problem> {
    let mut values = headers.get_all(AUTHORIZATION);
    let given = match (values.next(), values.next()) {
        (Some(value), None) => bearer(value.as_bytes()),
        (None, _) => {
            return Err(refused(
                "credentials are missing; send Authorization: Bearer followed by the secret",
            ));
        }
        (Some(_), Some(_)) => return Err(refused("the header Authorization is given twice; give it once")),
    };
    let Some(given) = given.filter(|given| !given.is_empty()) else {
        return Err(refused("the header Authorization must be Bearer followed by the secret"));
    };
    let digest: [u8; 32] = Sha256::digest(given).into();
    if bool::from(digest.ct_eq(expected)) {
        Ok(Principal::shared_secret())
    } else {
        Err(refused("the secret is not valid"))
    }
}

fn refused(detail: &str) -> Problem {
    Problem::new(Kind::Unauthenticated, detail)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn identify(mode: &AuthMode, values: &[&str]) -> Result<Principal, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        Authenticator::new(mode).identify(&headers)
    }

    #[test]
    fn only_the_secret_opens() {
        let mode = AuthMode::Bearer { secret: "correct horse".into() };
        assert_eq!(identify(&mode, &["Bearer correct horse"]), Ok(Principal::shared_secret()));
        assert_eq!(identify(&mode, &["bearer  correct horse "]), Ok(Principal::shared_secret()));
        for wrong in
            ["Bearer wrong", "Bearer", "Bearer ", "Basic correct horse", "correct horse", "", "Bearer pfx_x"]
        {
            assert_eq!(identify(&mode, &[wrong]).unwrap_err().kind(), Kind::Unauthenticated, "{wrong}");
        }
        assert!(identify(&mode, &[]).is_err());
        assert!(identify(&mode, &["Bearer correct horse", "Bearer correct horse"]).is_err());
    }

    #[test]
    fn an_empty_secret_opens_to_nobody() {
        let mode = AuthMode::Bearer { secret: String::new() };
        for value in ["Bearer ", "Bearer", "Bearer  "] {
            assert!(identify(&mode, &[value]).is_err());
        }
    }

    #[test]
    fn without_authentication_the_header_is_ignored() {
        assert_eq!(identify(&AuthMode::None, &["Bearer pfx_whatever"]), Ok(Principal::anonymous()));
    }

    #[test]
    fn a_secret_never_shows_itself() {
        assert_eq!(format!("{:?}", AuthMode::Bearer { secret: "x".into() }), "bearer");
    }
}
