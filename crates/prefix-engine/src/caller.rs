//! On whose behalf something is done.

use std::net::IpAddr;

use prefix_core::access::HeldCredential;
use prefix_core::audit::Actor;
use prefix_core::id::OperatorId;
use prefix_core::name::Identity;
use prefix_policy::use_cases::Author;

/// A repeatable request: the header, and what it must be equal in to count as the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Stable identity of the principal, e.g. `token:NAME` or `bearer-token`.
    pub principal: String,
    /// Path of the endpoint.
    pub path: String,
    /// The header's value, 1 to 255 printable ASCII characters.
    pub key: String,
    /// SHA-256 of the request's body.
    pub body_hash: [u8; 32],
}

/// Who asks, and how the answer is wanted.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who, for audit and leases.
    pub actor: Actor,
    /// Who counts in correlation for everything this caller reports; `None` = each source for itself.
    pub identity: Option<Identity>,
    /// The stored credential that it is done with: nothing is stored once that has ended.
    pub held: Option<HeldCredential>,
    /// The operator, if a person is logged in.
    pub operator: Option<OperatorId>,
    /// The operator who made the token, if it is one: a person is an operator with all tokens it made.
    pub on_behalf: Option<OperatorId>,
    /// From where, as far as is known.
    pub address: Option<IpAddr>,
    /// The request, for audit and log.
    pub request_id: String,
    /// Run every check, change nothing.
    pub dry_run: bool,
    /// Answer a repetition with the first answer.
    pub idempotency: Option<IdempotencyKey>,
}

impl Caller {
    /// The daemon itself.
    pub fn system() -> Self {
        Self {
            actor: Actor::SYSTEM,
            identity: None,
            held: None,
            operator: None,
            on_behalf: None,
            address: None,
            request_id: String::new(),
            dry_run: false,
            idempotency: None,
        }
    }

    /// The same, as what becomes of reports wants to know it.
    pub(crate) fn author(&self) -> Author<'_> {
        Author {
            actor: &self.actor,
            request_id: &self.request_id,
            address: self.address,
            identity: self.identity.as_ref(),
        }
    }
}
