//! Whoever calls, after the credentials were checked. Kind and name together are who it is, for audit, rate limits,
//! idempotency and correlation alike: two kinds never meet in one.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use prefix_core::access::HeldCredential;
use prefix_core::audit::{Actor, ActorType};
use prefix_core::id::OperatorId;
use prefix_core::name::{Identity, SourceName, TokenName};

use super::Role;

/// How a principal proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AuthMethod {
    /// Not at all: mode `none`.
    None,
    /// By the shared secret.
    Bearer,
    /// By the cookie of a login.
    Session,
    /// By an API token.
    Token,
    /// By a client certificate.
    Mtls,
    /// As the detector of a webhook adapter, by the signature of its body, which the handler checks.
    Signature,
}

impl AuthMethod {
    /// The word of `GET /v1/auth/me`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bearer => "bearer",
            Self::Session => "session",
            Self::Token => "token",
            Self::Mtls => "mtls",
            Self::Signature => "signature",
        }
    }
}

/// Who it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PrincipalId {
    /// Everyone, in mode `none`.
    Anonymous,
    /// Whoever has the shared secret.
    SharedSecret,
    /// A person.
    Operator(OperatorId, Arc<str>),
    /// A token, by its name: one that replaces another is the same.
    Token(TokenName),
    /// Holders of a client certificate, by the name that it was matched by.
    Certificate(Arc<str>),
    /// A webhook adapter.
    Webhook(SourceName),
}

impl PrincipalId {
    /// As the audit log names it. Names of operators have no colon, and none of these words.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Anonymous => "anonymous".into(),
            Self::SharedSecret => "bearer-token".into(),
            Self::Operator(_, name) => Cow::Borrowed(&**name),
            Self::Token(name) => format!("token:{name}").into(),
            Self::Certificate(name) => format!("cert:{name}").into(),
            Self::Webhook(source) => format!("webhook:{source}").into(),
        }
    }

    /// What rate limits, idempotency and preferences know it by.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Operator(id, _) => format!("operator:{id}"),
            other => other.name().into_owned(),
        }
    }

    /// Whom it counts as in correlation, whatever sources it reports as; `None` = each source for itself.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match self {
            Self::Anonymous | Self::SharedSecret | Self::Webhook(_) => None,
            Self::Operator(..) | Self::Token(_) | Self::Certificate(_) => self.key().parse().ok(),
        }
    }

    /// The operator, if it is one.
    pub(crate) fn operator(&self) -> Option<OperatorId> {
        match self {
            Self::Operator(id, _) => Some(*id),
            _ => None,
        }
    }
}

/// A caller with a role. Extracted from a request that passed the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// What it may do.
    pub(crate) role: Role,
    /// Who it is.
    pub(crate) id: PrincipalId,
    /// How it proved that.
    pub(crate) auth_method: AuthMethod,
    /// The only sources it may report as; `None` = any.
    pub(crate) sources: Option<Arc<BTreeSet<SourceName>>>,
    /// The operator who made the token that it is.
    pub(crate) on_behalf: Option<OperatorId>,
    /// The stored credential, if it has one.
    pub(crate) held: Option<HeldCredential>,
}

impl Principal {
    /// Everyone, in mode `none`.
    pub(crate) fn anonymous() -> Self {
        Self {
            role: Role::Admin,
            id: PrincipalId::Anonymous,
            auth_method: AuthMethod::None,
            sources: None,
            held: None,
            on_behalf: None,
        }
    }

    /// Whoever has the shared secret.
    pub(crate) fn shared_secret() -> Self {
        Self {
            role: Role::Operator,
            id: PrincipalId::SharedSecret,
            auth_method: AuthMethod::Bearer,
            sources: None,
            held: None,
            on_behalf: None,
        }
    }

    /// Whoever may post to a webhook adapter without credentials of the API: its detector, and nobody else.
    pub(crate) fn webhook(adapter: &SourceName, auth_method: AuthMethod) -> Self {
        Self {
            role: Role::Detector,
            id: PrincipalId::Webhook(adapter.clone()),
            auth_method,
            sources: Some(Arc::new(BTreeSet::from([adapter.clone()]))),
            held: None,
            on_behalf: None,
        }
    }

    /// Who it is, for the audit log.
    pub(crate) fn actor(&self) -> Actor {
        let kind = if self.role == Role::Detector { ActorType::Detector } else { ActorType::Operator };
        Actor { kind, id: Some(self.id.name().into_owned()) }
    }

    /// Whether it may report as this source.
    pub(crate) fn may_report_as(&self, source: &SourceName) -> bool {
        self.sources.as_ref().is_none_or(|sources| sources.contains(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_kinds_never_meet_in_one_key() {
        let id = OperatorId::generate();
        let all = [
            PrincipalId::Anonymous,
            PrincipalId::SharedSecret,
            PrincipalId::Operator(id, "fnm".into()),
            PrincipalId::Token("fnm".parse().unwrap()),
            PrincipalId::Token(format!("operator:{id}").parse().unwrap()),
            PrincipalId::Certificate("fnm".into()),
            PrincipalId::Webhook("fnm".parse().unwrap()),
        ];
        let keys: BTreeSet<_> = all.iter().map(PrincipalId::key).collect();
        assert_eq!(keys.len(), all.len());
        let names: BTreeSet<_> = all.iter().map(|id| id.name().into_owned()).collect();
        assert_eq!(names.len(), all.len());
    }
}
