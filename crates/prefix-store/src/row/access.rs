//! The rows of operators, tokens, sessions and preferences.

use std::collections::BTreeSet;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use prefix_core::access::{
    ApiToken, CredentialDigest, LoginAddress, LoginSession, Operator, PasswordHash, Preferences, Role,
    Username,
};
use prefix_core::address::Prefix;
use prefix_core::id::OperatorId;
use prefix_core::name::{SourceName, TokenName};
use prefix_core::ports::StoreError;
use serde::{Deserialize, Serialize};

use super::define::{record, row};
use super::{corrupt, json, time, without_nul};
use crate::sql_type::{Id, Micros};

record! {
    /// A stored operator.
    OperatorRow of operators { operator_id: Id, revision: i64, doc: String }
}

#[derive(Serialize, Deserialize)]
struct OperatorDocument {
    username: Username,
    role: Role,
    /// The PHC string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    created_at: DateTime<Utc>,
    #[serde(default)]
    created_by: Option<String>,
    #[serde(default)]
    last_login_at: Option<DateTime<Utc>>,
    #[serde(default)]
    addresses: Vec<LoginAddress>,
    #[serde(default)]
    deleted_at: Option<DateTime<Utc>>,
}

impl OperatorRow {
    pub(crate) fn parse(self) -> Result<Operator, StoreError> {
        // what serde says of a document that it cannot read may quote the document
        let doc: OperatorDocument = serde_json::from_str(&self.doc)
            .map_err(|_| corrupt("operators", self.operator_id.0, "the document cannot be read"))?;
        Ok(Operator {
            operator_id: self.operator_id.0.into(),
            revision: self.revision,
            username: doc.username,
            role: doc.role,
            password: doc.password.map(PasswordHash::new),
            created_at: doc.created_at,
            created_by: doc.created_by,
            last_login_at: doc.last_login_at,
            addresses: doc.addresses,
            deleted_at: doc.deleted_at,
        })
    }
}

row! {
    /// A new or changed operator.
    NewOperator of operators {
        Key operator_id: Id,
        Revision revision: i64,
        Once name_key: String,
        Always is_admin: bool,
        Always is_deleted: bool,
        Always doc: String,
    }
}

impl NewOperator {
    pub(crate) fn new(operator: &Operator, revision: i64) -> Result<Self, StoreError> {
        let document = OperatorDocument {
            username: operator.username.clone(),
            role: operator.role,
            password: operator.password.as_ref().map(|hash| hash.expose().to_owned()),
            created_at: operator.created_at,
            created_by: operator.created_by.clone(),
            last_login_at: operator.last_login_at,
            addresses: operator.addresses.clone(),
            deleted_at: operator.deleted_at,
        };
        Ok(Self {
            operator_id: Id(operator.operator_id.as_uuid()),
            revision,
            name_key: operator.username.key(),
            is_admin: operator.is_admin(),
            is_deleted: operator.deleted_at.is_some(),
            doc: json("operator", &document)?,
        })
    }
}

record! {
    /// A stored token.
    TokenRow of tokens { token_id: Id, digest: Vec<u8>, last_used_at: Option<Micros>, doc: String }
}

#[derive(Serialize, Deserialize)]
struct TokenDocument {
    name: TokenName,
    role: Role,
    #[serde(default)]
    sources: BTreeSet<SourceName>,
    #[serde(default)]
    allowed_cidrs: Vec<Prefix>,
    prefix: String,
    created_at: DateTime<Utc>,
    created_by: String,
    #[serde(default)]
    creator: Option<OperatorId>,
    #[serde(default)]
    expires_at: Option<DateTime<Utc>>,
    #[serde(default)]
    revoked_at: Option<DateTime<Utc>>,
}

fn digest(table: &'static str, id: Id, bytes: &[u8]) -> Result<CredentialDigest, StoreError> {
    CredentialDigest::try_from(bytes).map_err(|error| corrupt(table, id.0, error))
}

impl TokenRow {
    pub(crate) fn parse(self) -> Result<ApiToken, StoreError> {
        let id = self.token_id;
        let doc: TokenDocument =
            serde_json::from_str(&self.doc).map_err(|error| corrupt("tokens", id.0, error))?;
        Ok(ApiToken {
            token_id: id.0.into(),
            name: doc.name,
            role: doc.role,
            sources: doc.sources,
            allowed_cidrs: doc.allowed_cidrs,
            digest: digest("tokens", id, &self.digest)?,
            prefix: doc.prefix,
            created_at: doc.created_at,
            created_by: doc.created_by,
            creator: doc.creator,
            expires_at: doc.expires_at,
            last_used_at: self.last_used_at.map(|at| time("tokens", id.0, at)).transpose()?,
            revoked_at: doc.revoked_at,
        })
    }
}

row! {
    /// A token to put.
    NewToken<'a> of tokens put if ("", "") {
        Key token_id: Id,
        Once digest: &'a [u8],
        Always is_revoked: bool,
        Always doc: String,
    }
}

impl<'a> NewToken<'a> {
    pub(crate) fn new(token: &'a ApiToken) -> Result<Self, StoreError> {
        let document = TokenDocument {
            name: token.name.clone(),
            role: token.role,
            sources: token.sources.clone(),
            allowed_cidrs: token.allowed_cidrs.clone(),
            prefix: token.prefix.clone(),
            created_at: token.created_at,
            created_by: token.created_by.clone(),
            creator: token.creator,
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
        };
        Ok(Self {
            token_id: Id(token.token_id.as_uuid()),
            digest: token.digest.as_bytes(),
            is_revoked: token.revoked_at.is_some(),
            doc: json("token", &document)?,
        })
    }
}

record! {
    /// A stored session, with its operator.
    SessionRow of sessions {
        session_id: Id,
        operator_id: Id,
        digest: Vec<u8>,
        last_seen_at: Micros,
        expires_at: Micros,
        doc: String,
    }
    and { operator_revision: i64, operator_doc: String }
}

#[derive(Serialize, Deserialize)]
struct SessionDocument {
    created_at: DateTime<Utc>,
    #[serde(default)]
    address: Option<IpAddr>,
    #[serde(default)]
    user_agent: Option<String>,
}

impl SessionRow {
    pub(crate) fn parse(self) -> Result<(LoginSession, Operator), StoreError> {
        let id = self.session_id;
        let doc: SessionDocument =
            serde_json::from_str(&self.doc).map_err(|error| corrupt("sessions", id.0, error))?;
        let session = LoginSession {
            session_id: id.0.into(),
            operator_id: self.operator_id.0.into(),
            digest: digest("sessions", id, &self.digest)?,
            created_at: doc.created_at,
            last_seen_at: time("sessions", id.0, self.last_seen_at)?,
            expires_at: time("sessions", id.0, self.expires_at)?,
            address: doc.address,
            user_agent: doc.user_agent,
        };
        let (revision, doc) = (self.operator_revision, self.operator_doc);
        Ok((session, OperatorRow { operator_id: self.operator_id, revision, doc }.parse()?))
    }
}

row! {
    /// A new session.
    NewSession<'a> of sessions {
        Key session_id: Id,
        Once operator_id: Id,
        Once digest: &'a [u8],
        Always last_seen_at: Micros,
        Once expires_at: Micros,
        Once doc: String,
    }
}

impl<'a> NewSession<'a> {
    pub(crate) fn new(session: &'a LoginSession) -> Result<Self, StoreError> {
        let document = SessionDocument {
            created_at: session.created_at,
            address: session.address,
            user_agent: session.user_agent.clone(),
        };
        Ok(Self {
            session_id: Id(session.session_id.as_uuid()),
            operator_id: Id(session.operator_id.as_uuid()),
            digest: session.digest.as_bytes(),
            last_seen_at: session.last_seen_at.into(),
            expires_at: session.expires_at.into(),
            doc: json("session", &document)?,
        })
    }
}

record! {
    /// What a principal prefers.
    PreferencesRow of preferences { principal: String, doc: String }
}

impl PreferencesRow {
    pub(crate) fn parse(self) -> Result<Preferences, StoreError> {
        serde_json::from_str(&self.doc).map_err(|error| corrupt("preferences", &self.principal, error))
    }
}

row! {
    /// Preferences to put.
    NewPreferences<'a> of preferences put if ("", "") {
        Key principal: &'a str,
        Always doc: String,
    }
}

impl<'a> NewPreferences<'a> {
    pub(crate) fn new(principal: &'a str, preferences: &Preferences) -> Result<Self, StoreError> {
        Ok(Self { principal: without_nul("a principal", principal)?, doc: json("preferences", preferences)? })
    }
}
