//! Who may do what: roles, operators, their logins, and API tokens (http-api.md §2).

mod credential;
mod operator;
mod preferences;

pub use credential::{
    ApiToken, Credential, CredentialDigest, CredentialId, DigestError, HeldCredential, LoginSession,
};
pub use operator::{LoginAddress, Operator, PasswordHash, Username, UsernameError};
pub use preferences::{Preferences, QuietHours};

words! {
    /// What a principal may do.
    pub enum Role {
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

impl Role {
    /// The role of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}
