//! From the headers of a request to a principal.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use prefix_core::access::{Credential, CredentialDigest};
use prefix_engine::{Engine, KnownCredential, TOKEN_PREFIX};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{AuthMethod, CertificateRoles, LoginCookie, Principal, PrincipalId};
use crate::connections::PeerCertificate;
use crate::problem::{Kind, Problem};

/// How callers prove who they are.
#[derive(Clone, Debug)]
pub enum AuthMode {
    /// Not at all: everyone is admin. For labs.
    None,
    /// By one shared secret, which must not be empty; besides by logins and API tokens.
    Bearer {
        /// The secret.
        secret: SecretString,
    },
    /// By logins and API tokens.
    Credentials,
    /// By client certificates; API tokens need one beside them.
    Mtls(CertificateRoles),
}

impl AuthMode {
    /// The word of the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bearer { .. } => "bearer",
            Self::Credentials => "credentials",
            Self::Mtls(_) => "mtls",
        }
    }

    /// Whether everyone gets in.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// Checks credentials.
pub(crate) enum Authenticator {
    /// Everyone gets in.
    Open,
    /// Whoever has a stored credential gets in, or the shared secret. The hash has one length whatever the secret's, so
    /// comparing takes one time.
    Stored(Option<[u8; 32]>),
    /// Whoever has a client certificate gets in.
    Certificates(CertificateRoles),
    /// Everyone is this principal.
    #[cfg(test)]
    Always(Principal),
}

/// What is known of whoever sent a request.
#[derive(Clone, Copy)]
pub(crate) struct Sender<'a> {
    /// The headers.
    pub(crate) headers: &'a HeaderMap,
    /// The address of the client.
    pub(crate) address: Option<IpAddr>,
    /// How the cookie is named.
    pub(crate) cookie: &'a LoginCookie,
    /// The client certificate of the connection.
    pub(crate) certificate: Option<&'a PeerCertificate>,
}

/// Characters of a token, and of the secret in a cookie.
const TOKEN_LENGTH: usize = 47;
const COOKIE_LENGTH: usize = 43;

impl Authenticator {
    /// For a mode. An empty secret would let everyone in, so nobody gets in with one.
    pub(crate) fn new(mode: &AuthMode) -> Self {
        match mode {
            AuthMode::None => Self::Open,
            AuthMode::Bearer { secret } => {
                Self::Stored(Some(Sha256::digest(secret.expose_secret().as_bytes()).into()))
            }
            AuthMode::Credentials => Self::Stored(None),
            AuthMode::Mtls(roles) => Self::Certificates(roles.clone()),
        }
    }

    /// Who sent this, or that nobody knows. Any `Authorization` header decides alone.
    pub(crate) async fn identify(&self, engine: &Engine, sender: Sender<'_>) -> Result<Principal, Problem> {
        match self {
            Self::Open => Ok(Principal::anonymous()),
            #[cfg(test)]
            Self::Always(principal) => Ok(principal.clone()),
            Self::Stored(secret) => match authorization(sender.headers)? {
                Some(given) => by_authorization(*secret, given, engine, sender.address).await,
                None => by_cookie(engine, sender).await,
            },
            Self::Certificates(roles) => {
                let given = authorization(sender.headers)?;
                let holder = roles.identify(sender.certificate);
                match given {
                    None => holder,
                    // what the certificate alone may do does not matter beside a token, that it is trusted does
                    Some(given) => match holder {
                        Err(problem) if problem.kind() == Kind::Unauthenticated => Err(problem),
                        _ => by_authorization(None, given, engine, sender.address).await,
                    },
                }
            }
        }
    }
}

/// What follows `Bearer`, if there is such a header.
fn authorization(headers: &HeaderMap) -> Result<Option<&[u8]>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION);
    let given = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => bearer(value.as_bytes()),
        (Some(_), Some(_)) => return Err(refused("the header Authorization is given twice; give it once")),
    };
    match given.filter(|given| !given.is_empty()) {
        Some(given) => Ok(Some(given)),
        None => Err(refused("the header Authorization must be Bearer followed by a token, or by the secret")),
    }
}

async fn by_authorization(
    secret: Option<[u8; 32]>,
    given: &[u8],
    engine: &Engine,
    address: Option<IpAddr>,
) -> Result<Principal, Problem> {
    if let Some(secret) = secret {
        let digest: [u8; 32] = Sha256::digest(given).into();
        if bool::from(digest.ct_eq(&secret)) {
            return Ok(Principal::shared_secret());
        }
    }
    // what cannot be a token costs nobody a look at storage
    if given.len() != TOKEN_LENGTH || !given.starts_with(TOKEN_PREFIX.as_bytes()) {
        return Err(refused("the token is not valid"));
    }
    match engine.credential(CredentialDigest::of(given)).await? {
        Some(KnownCredential { credential, held }) => match &*credential {
            Credential::Token(token) if token.is_allowed_from(address) => Ok(Principal {
                role: token.role,
                id: PrincipalId::Token(token.name.clone()),
                auth_method: AuthMethod::Token,
                sources: (!token.sources.is_empty()).then(|| Arc::new(token.sources.clone())),
                held: Some(held),
                on_behalf: token.creator,
            }),
            Credential::Token(_) => Err(refused("the token is not valid from this address")),
            Credential::Login(..) => Err(refused("the token is not valid")),
        },
        None => Err(refused("the token is not valid: it is unknown, expired or revoked")),
    }
}

async fn by_cookie(engine: &Engine, sender: Sender<'_>) -> Result<Principal, Problem> {
    let missing = "credentials are missing; log in, or send Authorization: Bearer followed by a token";
    if !sender.cookie.is_sent(sender.headers) {
        return Err(refused(missing));
    }
    let over = || refused("the login is over; log in again");
    let value = sender.cookie.value(sender.headers).filter(|value| value.len() == COOKIE_LENGTH);
    let digest = CredentialDigest::of(value.ok_or_else(over)?.as_bytes());
    let Some(KnownCredential { credential, held }) = engine.credential(digest).await? else {
        return Err(over());
    };
    let Credential::Login(_, operator) = &*credential else { return Err(over()) };
    Ok(Principal {
        role: operator.role,
        id: PrincipalId::Operator(operator.operator_id, operator.username.as_str().into()),
        auth_method: AuthMethod::Session,
        sources: None,
        held: Some(held),
        on_behalf: None,
    })
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

    #[test]
    fn a_header_is_bearer_and_there_once() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            authorization(&headers).map(|given| given.map(<[u8]>::to_vec))
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["bearer  correct horse "]), Ok(Some(b"correct horse".to_vec())));
        for wrong in [&["Bearer"][..], &["Bearer "], &["Basic x"], &["x"], &[""], &["Bearer x", "Bearer x"]] {
            assert_eq!(of(wrong).unwrap_err().kind(), Kind::Unauthenticated, "{wrong:?}");
        }
    }

    #[test]
    fn a_secret_never_shows_itself() {
        let shown = format!("{:?}", AuthMode::Bearer { secret: "planted".into() });
        assert!(!shown.contains("planted"), "{shown}");
    }
}
