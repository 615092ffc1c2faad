//! Who may do what: roles and permissions are values, and the matrix of http-api.md §2.2 is a function of both.

mod authenticate;
mod certificates;
mod cookie;
mod principal;

pub(crate) use prefix_core::access::Role;

pub use authenticate::AuthMode;
pub(crate) use authenticate::{Authenticator, Sender};
pub use certificates::{CertificateRole, CertificateRoles};
pub(crate) use cookie::LoginCookie;
pub(crate) use principal::{AuthMethod, Principal, PrincipalId};

/// What an endpoint asks of whoever calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Permission {
    /// Nothing, not even credentials.
    Public,
    /// To be somebody, whoever it is.
    Known,
    /// To report attacks.
    Intake,
    /// To see mitigations, events and the configuration.
    Read,
    /// To make and end mitigations.
    Operate,
    /// To see who did what.
    Audit,
    /// To change what prefixd does.
    Administer,
    /// To panic and thaw: as [`Self::Administer`], and besides whatever can be reached while there is no admin.
    KillSwitch,
}

impl Permission {
    /// Whether a role has it.
    pub(crate) fn is_granted_to(self, role: Role) -> bool {
        match self {
            Self::Public | Self::Known => true,
            Self::Intake => role != Role::Viewer,
            Self::Read => role != Role::Detector,
            Self::Operate | Self::Audit => matches!(role, Role::Operator | Role::Admin),
            Self::Administer | Self::KillSwitch => role == Role::Admin,
        }
    }

    /// Whether a principal has it. `has_admin`: storage holds an operator of role admin. Without one the shared secret
    /// is all there is, and the switch must never wait for an account (http-api.md §9).
    pub(crate) fn is_granted_to_principal(self, principal: &Principal, has_admin: bool) -> bool {
        let by_secret = self == Self::KillSwitch && principal.auth_method == AuthMethod::Bearer && !has_admin;
        self.is_granted_to(principal.role) || (by_secret && principal.role == Role::Operator)
    }

    /// The roles that have it, for messages and documents.
    pub(crate) fn roles(self) -> Vec<&'static str> {
        Role::ALL.into_iter().filter(|role| self.is_granted_to(*role)).map(Role::as_str).collect()
    }
}
