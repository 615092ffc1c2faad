//! Decisions about API tokens.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use prefix_core::access::{ApiToken, CredentialDigest, Role};
use prefix_core::address::Prefix;
use prefix_core::audit::AuditAction;
use prefix_core::id::TokenId;
use prefix_core::name::{SourceName, TokenName};
use prefix_core::ports::{AccessChanges, People};
use serde_json::json;

use crate::act::{Act, Change, Refused};

/// So many live tokens may have one name: the one in use, and the one that replaces it.
const OF_ONE_NAME: usize = 2;

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The identifier.
    pub token_id: TokenId,
    /// The name.
    pub name: TokenName,
    /// What its holder may do.
    pub role: Role,
    /// The only sources; empty = any.
    pub sources: BTreeSet<SourceName>,
    /// The only addresses; empty = any.
    pub allowed_cidrs: Vec<Prefix>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// SHA-256 of the token.
    pub digest: CredentialDigest,
    /// Its beginning.
    pub prefix: String,
}

/// Makes a token.
pub fn create_token(people: &People, act: &Act, new: NewToken) -> Result<Change<ApiToken>, Refused> {
    let same: Vec<&ApiToken> =
        people.tokens.iter().filter(|token| token.name == new.name && token.is_live(act.now)).collect();
    if let Some(other) = same.iter().find(|other| other.role != new.role || other.sources != new.sources) {
        return Err(Refused::NotAllowed(format!(
            "a live token of the name {} has another role or other sources ({}): tokens of one name are one identity; \
             revoke it, or take another name",
            new.name, other.prefix
        )));
    }
    if same.len() >= OF_ONE_NAME {
        return Err(Refused::NotAllowed(format!(
            "there are {OF_ONE_NAME} live tokens of the name {} already; revoke the older one first",
            new.name
        )));
    }
    let token = ApiToken {
        token_id: new.token_id,
        name: new.name,
        role: new.role,
        sources: new.sources,
        allowed_cidrs: new.allowed_cidrs,
        digest: new.digest,
        prefix: new.prefix,
        created_at: act.now,
        created_by: act.actor.name().to_owned(),
        creator: act.operator,
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    let audit = vec![act.entry(AuditAction::TokenCreate, target(&token), details(&token))];
    let access = AccessChanges { tokens: vec![token.clone()], ..AccessChanges::default() };
    Ok(Change { value: token, access, audit })
}

/// Revokes a token.
pub fn revoke_token(people: &People, act: &Act, id: TokenId) -> Result<Change<()>, Refused> {
    let token = people.tokens.iter().find(|token| token.token_id == id);
    let Some(token) = token else {
        return Err(Refused::NotFound(format!("there is no token {id} that is not revoked")));
    };
    let audit = vec![act.entry(AuditAction::TokenRevoke, target(token), details(token))];
    let revoked = ApiToken { revoked_at: Some(act.now), ..token.clone() };
    let access = AccessChanges { tokens: vec![revoked], ..AccessChanges::default() };
    Ok(Change { value: (), access, audit })
}

fn target(token: &ApiToken) -> (&'static str, String) {
    ("token", token.token_id.to_string())
}

fn details(token: &ApiToken) -> serde_json::Value {
    json!({
        "name": token.name, "role": token.role, "sources": token.sources, "allowed_cidrs": token.allowed_cidrs,
        "expires_at": token.expires_at, "token_prefix": token.prefix,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono::TimeDelta;
    use prefix_core::audit::Actor;

    use super::*;

    pub(crate) fn token(name: &str) -> ApiToken {
        let act = act();
        create_token(&People::default(), &act, new(name, "fnm")).unwrap().value
    }

    fn act() -> Act {
        Act {
            now: DateTime::UNIX_EPOCH,
            actor: Actor::operator("ada"),
            operator: None,
            address: None,
            request_id: String::new(),
        }
    }

    fn new(name: &str, source: &str) -> NewToken {
        NewToken {
            token_id: TokenId::generate(),
            name: name.parse().unwrap(),
            role: Role::Detector,
            sources: BTreeSet::from([source.parse().unwrap()]),
            allowed_cidrs: Vec::new(),
            expires_at: None,
            digest: CredentialDigest::of(name.as_bytes()),
            prefix: "pfx_abcd".into(),
        }
    }

    #[test]
    fn live_tokens_of_one_name_agree_and_are_two_at_most() {
        let mut people = People { tokens: vec![token("fnm")], ..People::default() };
        let other = create_token(&people, &act(), new("fnm", "other"));
        assert!(matches!(other, Err(Refused::NotAllowed(_))));
        let second = create_token(&people, &act(), new("fnm", "fnm")).unwrap().value;
        people.tokens.push(second);
        assert!(matches!(create_token(&people, &act(), new("fnm", "fnm")), Err(Refused::NotAllowed(_))));
        assert!(create_token(&people, &act(), new("other", "other")).is_ok());
        for token in &mut people.tokens {
            token.expires_at = Some(DateTime::UNIX_EPOCH - TimeDelta::seconds(1));
        }
        assert!(create_token(&people, &act(), new("fnm", "other")).is_ok(), "what has expired binds nobody");
    }

    #[test]
    fn a_revoked_token_is_kept_and_raises_the_revision() {
        let people = People { tokens: vec![token("fnm")], ..People::default() };
        let change = revoke_token(&people, &act(), people.tokens[0].token_id).unwrap();
        assert!(change.access.shrinks());
        assert_eq!(change.audit[0].action, "token_revoke");
        assert!(matches!(revoke_token(&people, &act(), TokenId::generate()), Err(Refused::NotFound(_))));
    }
}
