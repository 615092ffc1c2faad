//! Client certificates and what their holders may do (configuration.md §2.1).

use std::collections::BTreeSet;
use std::sync::Arc;

use prefix_core::access::Role;
use prefix_core::name::SourceName;
use prefix_tls::{CertificateMatch, ServerTls};

use super::{AuthMethod, Principal, PrincipalId};
use crate::connections::PeerCertificate;
use crate::problem::{Kind, Problem};

/// What holders of certificates that match may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRole {
    /// Which certificates.
    pub matches: CertificateMatch,
    /// Their role.
    pub role: Role,
    /// The only sources that they may report as; empty = any.
    pub sources: BTreeSet<SourceName>,
}

/// Who gets in by a certificate, first match first.
#[derive(Clone, Debug)]
pub struct CertificateRoles {
    /// What certificates are checked against.
    pub tls: Arc<ServerTls>,
    /// The roles, in the order of the configuration.
    pub roles: Vec<CertificateRole>,
}

impl CertificateRoles {
    /// Whose certificate this is. No header says it: only the handshake of this connection does.
    pub(super) fn identify(&self, shown: Option<&PeerCertificate>) -> Result<Principal, Problem> {
        let shown = shown.ok_or_else(|| {
            let text = "this connection has shown no client certificate, which http.auth.mode mtls asks for";
            Problem::new(Kind::Unauthenticated, text)
        })?;
        let certificate = shown
            .trusted(&self.tls)
            .map_err(|refused| Problem::new(Kind::Unauthenticated, refused.to_string()))?;
        let found = self.roles.iter().find_map(|role| Some((role, role.matches.name_in(certificate)?)));
        let Some((role, name)) = found else {
            let text = format!(
                "no element of http.auth.mtls_roles matches this certificate ({})",
                certificate.names()
            );
            return Err(Problem::new(Kind::Forbidden, text));
        };
        Ok(Principal {
            role: role.role,
            id: PrincipalId::Certificate(name.into()),
            auth_method: AuthMethod::Mtls,
            sources: (!role.sources.is_empty()).then(|| Arc::new(role.sources.clone())),
            held: None,
            on_behalf: None,
        })
    }
}
