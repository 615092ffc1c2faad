//! Whoever calls, after the credentials were checked.

use std::collections::BTreeSet;
use std::sync::Arc;

use prefix_core::audit::{Actor, ActorType};
use prefix_core::name::SourceName;

use super::Role;

/// How a principal proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AuthMethod {
    /// Not at all: mode `none`.
    None,
    /// By the shared secret.
    Bearer,
    /// As the detector of a webhook adapter, by the signature of its body, which the handler checks.
    Signature,
}

/// A caller with a role. Extracted from a request that passed the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// What it may do.
    pub(crate) role: Role,
    /// Who it is, for audit and leases: `anonymous`, `bearer-token`, ...
    pub(crate) id: Arc<str>,
    /// How it proved that.
    pub(crate) auth_method: AuthMethod,
    /// The only sources it may report as; `None` = any.
    pub(crate) sources: Option<Arc<BTreeSet<SourceName>>>,
}

impl Principal {
    /// Everyone, in mode `none`.
    pub(crate) fn anonymous() -> Self {
        Self { role: Role::Admin, id: "anonymous".into(), auth_method: AuthMethod::None, sources: None }
    }

    /// Whoever has the shared secret.
    pub(crate) fn shared_secret() -> Self {
        Self {
            role: Role::Operator,
            id: "bearer-token".into(),
            auth_method: AuthMethod::Bearer,
            sources: None,
        }
    }

    /// Whoever may post to a webhook adapter without credentials of the API: its detector, and nobody else.
    pub(crate) fn webhook(adapter: &SourceName, auth_method: AuthMethod) -> Self {
        Self {
            role: Role::Detector,
            id: format!("webhook:{adapter}").into(),
            auth_method,
            sources: Some(Arc::new(BTreeSet::from([adapter.clone()]))),
        }
    }

    /// Who it is, for the audit log.
    pub(crate) fn actor(&self) -> Actor {
        let kind = if self.role == Role::Detector { ActorType::Detector } else { ActorType::Operator };
        Actor { kind, id: Some(self.id.to_string()) }
    }

    /// Whether it may report as this source.
    pub(crate) fn may_report_as(&self, source: &SourceName) -> bool {
        self.sources.as_ref().is_none_or(|sources| sources.contains(source))
    }
}
