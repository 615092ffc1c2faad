//! Operators: people with a login.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Role;
use crate::id::OperatorId;

/// The text is no user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UsernameError {
    /// Other characters, or too many.
    #[error("must be 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'")]
    Form,
    /// The name of something that is no person.
    #[error("is reserved: the audit log calls something else so")]
    Reserved,
}

/// The name of an operator: `[A-Za-z0-9_-]{1,64}`, and none of those by which the audit log means something else. Names
/// that differ only in case are the same name.
#[derive(Clone, Debug, Eq)]
pub struct Username(Arc<str>);

impl Username {
    /// Names in the audit log that are nobody's.
    pub const RESERVED: [&'static str; 4] = ["anonymous", "bearer-token", "guard", "system"];

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What names are compared by.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for Username {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl FromStr for Username {
    type Err = UsernameError;

    fn from_str(text: &str) -> Result<Self, UsernameError> {
        let ok = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !(1..=64).contains(&text.len()) || !text.bytes().all(ok) {
            return Err(UsernameError::Form);
        }
        if Self::RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(text)) {
            return Err(UsernameError::Reserved);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(Username);

/// A password as argon2id made it (PHC string). It shows itself to nobody by accident.
#[derive(Clone, Debug)]
pub struct PasswordHash(SecretString);

impl PasswordHash {
    /// Of a PHC string.
    pub fn new(phc: String) -> Self {
        Self(phc.into())
    }

    /// The PHC string: for the database, and for whoever verifies a password.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

/// From where an operator logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginAddress {
    /// The address of the client.
    pub address: IpAddr,
    /// When it was used last.
    pub at: DateTime<Utc>,
}

/// A person with a login.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// The identifier.
    pub operator_id: OperatorId,
    /// Grows with each change of the row.
    pub revision: i64,
    /// The name.
    pub username: Username,
    /// What the operator may do; never detector.
    pub role: Role,
    /// The password; `None` once the operator is deleted.
    pub password: Option<PasswordHash>,
    /// When the operator was created.
    pub created_at: DateTime<Utc>,
    /// By whom, as the audit log names it.
    pub created_by: Option<String>,
    /// When a password was last accepted.
    pub last_login_at: Option<DateTime<Utc>>,
    /// The newest addresses of logins, at most [`Operator::ADDRESSES`].
    pub addresses: Vec<LoginAddress>,
    /// When the operator was deleted: the row stays, so that nobody gets the name.
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Operator {
    /// So many addresses of logins are remembered.
    pub const ADDRESSES: usize = 16;
    /// How long an address of a login counts as known.
    pub const ADDRESS_KNOWN: TimeDelta = TimeDelta::days(30);

    /// True if there is a login of role admin.
    pub fn is_admin(&self) -> bool {
        self.deleted_at.is_none() && self.role == Role::Admin
    }

    /// True if the operator logged in from this address lately.
    pub fn knows(&self, address: IpAddr, now: DateTime<Utc>) -> bool {
        let is_recent = |known: &LoginAddress| now - known.at < Self::ADDRESS_KNOWN;
        self.addresses.iter().any(|known| known.address == address && is_recent(known))
    }

    /// The same operator after a login.
    #[must_use]
    pub fn logged_in(mut self, address: Option<IpAddr>, now: DateTime<Utc>) -> Self {
        self.last_login_at = Some(now);
        if let Some(address) = address {
            self.addresses.retain(|known| known.address != address && now - known.at < Self::ADDRESS_KNOWN);
            self.addresses.insert(0, LoginAddress { address, at: now });
            self.addresses.truncate(Self::ADDRESSES);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_nobody_elses_by_case_and_none_of_the_audit_log() {
        let name = |text: &str| text.parse::<Username>();
        assert_eq!(name("Ada"), name("aDA"));
        assert_ne!(name("ada"), name("ada_"));
        for reserved in ["anonymous", "BEARER-token", "Guard", "system"] {
            assert_eq!(name(reserved), Err(UsernameError::Reserved));
        }
        for bad in ["", "a b", "ädä", "token:x", "a@b", &"x".repeat(65)] {
            assert_eq!(name(bad), Err(UsernameError::Form), "{bad}");
        }
    }

    #[test]
    fn a_password_hash_does_not_show_itself() {
        let shown = format!("{:?}", PasswordHash::new("$argon2id$planted".into()));
        assert!(!shown.contains("planted"), "{shown}");
    }

    #[test]
    fn the_newest_addresses_are_known_for_thirty_days() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(100);
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut operator = Operator {
            operator_id: OperatorId::generate(),
            revision: 0,
            username: "ada".parse().unwrap(),
            role: Role::Viewer,
            password: None,
            created_at: now,
            created_by: None,
            last_login_at: None,
            addresses: Vec::new(),
            deleted_at: None,
        };
        for last in 0..20 {
            operator = operator.logged_in(Some(address(last)), now);
        }
        assert_eq!(operator.addresses.len(), Operator::ADDRESSES);
        assert!(operator.knows(address(19), now) && !operator.knows(address(0), now));
        assert!(!operator.knows(address(19), now + TimeDelta::days(30)));
    }
}
