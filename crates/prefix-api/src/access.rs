//! Who may do what: roles and permissions are values, and the matrix of http-api.md §2.2 is a function of both.

mod authenticate;
mod principal;

pub use authenticate::AuthMode;
pub(crate) use authenticate::Authenticator;
pub(crate) use principal::{AuthMethod, Principal};

/// What a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Reports attacks and sees nothing.
    Detector,
    /// Sees everything and changes nothing.
    Viewer,
    /// Works on mitigations.
    Operator,
    /// May do everything.
    Admin,
}

impl Role {
    /// Every role.
    pub(crate) const ALL: [Self; 4] = [Self::Detector, Self::Viewer, Self::Operator, Self::Admin];

    /// The word of the contract.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Detector => "detector",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// What an endpoint asks of whoever calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Permission {
    /// Nothing, not even credentials.
    Public,
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
            Self::Public => true,
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
