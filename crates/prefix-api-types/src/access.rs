//! Logins, operators, sessions, tokens and preferences (http-api.md §2 and §8).

use std::fmt;

use chrono::{DateTime, Utc};
use prefix_api_macros::wire;
use serde::{Deserialize, Serialize};

use crate::lenient::{Always, IfAny};
use crate::word::words;
use crate::{OperatorId, SessionId, TokenId};

words! {
    /// What a principal may do.
    pub enum AccessRole from prefix_core::access::Role {
        /// Reports attacks and sees nothing.
        Detector = "detector",
        /// Sees everything and changes nothing.
        Viewer = "viewer",
        /// Works on mitigations.
        Operator = "operator",
        /// May do everything.
        Admin = "admin",
    }
}

/// A password or token on its way. It is written as it is, and shows itself to nobody by accident.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Who wants to log in.
#[wire(body)]
pub struct NewLogin {
    /// The name, in any case.
    #[schema(example = "ada")]
    pub username: String,
    pub password: Secret,
}

/// Who is logged in.
#[wire(as = LoginAnswer)]
pub struct LoggedIn {
    pub operator_id: Always<OperatorId>,
    pub username: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(example = "operator")]
    pub role: Always<AccessRole>,
}

/// Who asks.
#[wire(as = MeAnswer)]
pub struct Me {
    /// The operator; null for whoever is no login.
    pub operator_id: Option<OperatorId>,
    /// As the audit log names them: a user name, `token:NAME`, `bearer-token`, `anonymous`.
    pub username: String,
    /// `detector`, `viewer`, `operator` or `admin`.
    #[schema(example = "operator")]
    pub role: Always<AccessRole>,
    /// `none`, `bearer`, `session`, `token` or `mtls`.
    #[schema(example = "session")]
    pub auth_method: String,
    /// The only sources that may be reported as; empty = any.
    pub sources: Vec<String>,
}

/// A person with a login.
#[wire]
pub struct Operator {
    pub operator_id: Always<OperatorId>,
    pub username: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(example = "operator")]
    pub role: Always<AccessRole>,
    pub created_at: Always<DateTime<Utc>>,
    pub created_by: IfAny<String>,
    pub last_login_at: IfAny<DateTime<Utc>>,
}

/// Every operator.
#[wire(as = OperatorsAnswer)]
pub struct Operators {
    /// Oldest first.
    pub operators: Vec<Operator>,
    pub count: u64,
}

/// An operator to be created.
#[wire(body)]
pub struct NewOperator {
    /// Other than every name that there is or was, regardless of case.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "ada")]
    pub username: String,
    /// At least `http.auth.password_min_length` characters, at most 256, and none of the most common ones.
    pub password: Secret,
    /// `viewer`, `operator` or `admin`.
    #[schema(example = "operator")]
    pub role: AccessRole,
}

/// Another role.
#[wire(body)]
pub struct NewRole {
    /// `viewer`, `operator` or `admin`.
    #[schema(example = "operator")]
    pub role: AccessRole,
}

/// Another password.
#[wire(body)]
pub struct NewPassword {
    /// At least `http.auth.password_min_length` characters, at most 256, and none of the most common ones.
    pub new_password: Secret,
    /// The one before: required for one's own.
    pub current_password: Option<Secret>,
}

/// A login that is not over.
#[wire]
pub struct Session {
    /// It is not the cookie.
    pub session_id: Always<SessionId>,
    pub operator_id: Always<OperatorId>,
    pub username: String,
    pub created_at: Always<DateTime<Utc>>,
    /// Within a minute.
    pub last_seen_at: Always<DateTime<Utc>>,
    /// Without a further request.
    pub expires_at: Always<DateTime<Utc>>,
    /// From where.
    pub address: IfAny<String>,
    /// With which program.
    pub user_agent: IfAny<String>,
    /// Whether it is the one of this request.
    pub current: bool,
}

/// Sessions.
#[wire(as = SessionsAnswer)]
pub struct Sessions {
    /// Oldest first.
    pub sessions: Vec<Session>,
    pub count: u64,
}

/// A token for programs, without the secret.
#[wire]
pub struct ApiToken {
    pub token_id: Always<TokenId>,
    /// Its identity: tokens of one name are one.
    pub name: String,
    /// `detector`, `viewer`, `operator` or `admin`.
    #[schema(example = "detector")]
    pub role: Always<AccessRole>,
    /// The only sources that its holder may report as; empty = any.
    pub sources: Vec<String>,
    /// The only prefixes it is accepted from; empty = any.
    pub allowed_cidrs: Vec<String>,
    /// The first characters of the token.
    #[schema(example = "pfx_aB3d")]
    pub token_prefix: String,
    pub created_at: Always<DateTime<Utc>>,
    pub created_by: String,
    pub expires_at: IfAny<DateTime<Utc>>,
    /// Within a minute.
    pub last_used_at: IfAny<DateTime<Utc>>,
    pub revoked_at: IfAny<DateTime<Utc>>,
}

/// Every token.
#[wire(as = TokensAnswer)]
pub struct ApiTokens {
    /// Oldest first.
    pub tokens: Vec<ApiToken>,
    pub count: u64,
}

/// A token to be made.
#[wire(body)]
pub struct NewApiToken {
    /// Its identity in correlation, audit and limits. Two live tokens may bear one name, if role and sources agree.
    #[schema(min_length = 1, max_length = 128, example = "fastnetmon-fra1")]
    pub name: String,
    /// `detector`, `viewer`, `operator` or `admin`.
    #[schema(example = "detector")]
    pub role: AccessRole,
    /// The only sources that its holder may report as: required for a detector, not for a viewer.
    pub sources: Vec<String>,
    /// The only prefixes it is accepted from.
    pub allowed_cidrs: Vec<String>,
    /// When it ends; `http.auth.token_max_age_days` bounds it, and is its default.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A new token with its secret.
#[wire(as = TokenAnswer)]
pub struct ApiTokenCreated {
    #[serde(flatten)]
    pub about: ApiToken,
    /// The token, shown this once; missing in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

/// What a user interface leaves out for a principal.
#[wire]
#[derive(Default)]
pub struct Preferences {
    /// Types of alerts.
    pub muted_events: Vec<String>,
    /// The hour (UTC) from which only the most urgent is shown.
    pub quiet_hours_start: Option<u8>,
    /// The hour at which that ends.
    pub quiet_hours_end: Option<u8>,
}

/// The same as it is set: both hours, or none.
#[wire(body)]
#[derive(Default)]
pub struct NewPreferences {
    /// Types of alerts.
    pub muted_events: Vec<String>,
    /// 0 to 23.
    #[schema(minimum = 0, maximum = 23)]
    pub quiet_hours_start: Option<u8>,
    /// 0 to 23.
    #[schema(minimum = 0, maximum = 23)]
    pub quiet_hours_end: Option<u8>,
}
