//! Stored credentials: API tokens and login sessions. The secret itself is never stored, only its SHA-256.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

use super::{Operator, Role};
use crate::address::Prefix;
use crate::id::{OperatorId, SessionId, TokenId};
use crate::name::{SourceName, TokenName};

/// The octets are no SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a digest has 32 octets")]
pub struct DigestError;

/// SHA-256 of the secret of a credential. The secret has 256 random bits, so that no slow hash is needed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialDigest([u8; 32]);

impl CredentialDigest {
    /// Of a secret.
    pub fn of(secret: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(secret).into())
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for CredentialDigest {
    type Error = DigestError;

    fn try_from(bytes: &[u8]) -> Result<Self, DigestError> {
        bytes.try_into().map(Self).map_err(|_| DigestError)
    }
}

impl fmt::Debug for CredentialDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialDigest")
    }
}

/// Identifies a stored credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CredentialId {
    /// An API token.
    Token(TokenId),
    /// A login.
    Session(SessionId),
}

/// A stored credential as its caller holds it: at this access revision it was live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldCredential {
    /// Which one.
    pub id: CredentialId,
    /// The access revision at which it was checked.
    pub revision: i64,
}

/// A token for programs.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiToken {
    /// The identifier.
    pub token_id: TokenId,
    /// The name: its identity in correlation, audit and limits.
    pub name: TokenName,
    /// What its holder may do.
    pub role: Role,
    /// The only sources that its holder may report as; empty = any. Never empty for a detector.
    pub sources: BTreeSet<SourceName>,
    /// The only prefixes it is accepted from; empty = any.
    pub allowed_cidrs: Vec<Prefix>,
    /// SHA-256 of the token.
    pub digest: CredentialDigest,
    /// The beginning of the token, by which people tell tokens apart.
    pub prefix: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// By whom, as the audit log names it.
    pub created_by: String,
    /// The operator who made it, if it was one: it ends with them, unless it is a detector's.
    pub creator: Option<OperatorId>,
    /// From then on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was used last, within a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ApiToken {
    /// True if it is neither revoked nor expired.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// True if it is accepted from this address.
    pub fn is_allowed_from(&self, address: Option<IpAddr>) -> bool {
        self.allowed_cidrs.is_empty()
            || address.is_some_and(|address| {
                let address = address.to_canonical();
                self.allowed_cidrs.iter().any(|prefix| prefix.contains(address.into()))
            })
    }
}

/// A login, from one browser or one prefixdctl.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginSession {
    /// The identifier.
    pub session_id: SessionId,
    /// Who logged in.
    pub operator_id: OperatorId,
    /// SHA-256 of the cookie.
    pub digest: CredentialDigest,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was used last, within a minute.
    pub last_seen_at: DateTime<Utc>,
    /// It ends then, however much it is used.
    pub expires_at: DateTime<Utc>,
    /// From where.
    pub address: Option<IpAddr>,
    /// With which program.
    pub user_agent: Option<String>,
}

impl LoginSession {
    /// It ends after so long in any case.
    pub const LIFETIME: TimeDelta = TimeDelta::days(7);

    /// True if it is not over, and was used within `idle`.
    pub fn is_live(&self, now: DateTime<Utc>, idle: TimeDelta) -> bool {
        now < self.expires_at && now - self.last_seen_at < idle
    }
}

/// A stored credential.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    /// An API token.
    Token(Box<ApiToken>),
    /// A login.
    Login(Box<LoginSession>, Box<Operator>),
}

impl Credential {
    /// Its identifier.
    pub fn id(&self) -> CredentialId {
        match self {
            Self::Token(token) => CredentialId::Token(token.token_id),
            Self::Login(session, _) => CredentialId::Session(session.session_id),
        }
    }

    /// What it is found by.
    pub fn digest(&self) -> CredentialDigest {
        match self {
            Self::Token(token) => token.digest,
            Self::Login(session, _) => session.digest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_idle_and_in_any_case() {
        let start = DateTime::UNIX_EPOCH;
        let session = LoginSession {
            session_id: SessionId::generate(),
            operator_id: OperatorId::generate(),
            digest: CredentialDigest::of(b"x"),
            created_at: start,
            last_seen_at: start,
            expires_at: start + LoginSession::LIFETIME,
            address: None,
            user_agent: None,
        };
        let idle = TimeDelta::hours(8);
        assert!(session.is_live(start + TimeDelta::minutes(479), idle));
        assert!(!session.is_live(start + idle, idle));
        let busy = LoginSession { last_seen_at: start + TimeDelta::days(7), ..session };
        assert!(!busy.is_live(start + TimeDelta::days(7), idle));
    }
}
