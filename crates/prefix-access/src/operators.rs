//! Decisions about operators.

use prefix_core::access::{ApiToken, Operator, PasswordHash, Role, Username};
use prefix_core::audit::AuditAction;
use prefix_core::id::{OperatorId, SessionId};
use prefix_core::ports::{AccessChanges, EndedSessions, People, RowChange};
use serde_json::json;

use crate::act::{Act, Change, Refused};

/// An operator to be created.
#[derive(Clone, Debug)]
pub struct NewOperator {
    /// The identifier.
    pub operator_id: OperatorId,
    /// The name.
    pub username: Username,
    /// Viewer, operator or admin.
    pub role: Role,
    /// The password.
    pub password: PasswordHash,
}

fn target(operator: &Operator) -> (&'static str, String) {
    ("operator", operator.operator_id.to_string())
}

fn find(people: &People, id: OperatorId) -> Result<&Operator, Refused> {
    let found = people.operators.iter().find(|one| one.operator_id == id && one.deleted_at.is_none());
    found.ok_or_else(|| Refused::NotFound(format!("there is no operator {id}")))
}

fn is_last_admin(people: &People, id: OperatorId) -> bool {
    let mut admins = people.operators.iter().filter(|operator| operator.is_admin());
    admins.clone().any(|admin| admin.operator_id == id) && admins.all(|admin| admin.operator_id == id)
}

fn changed(before: &Operator, change: impl FnOnce(&mut Operator)) -> RowChange<Operator> {
    let mut after = before.clone();
    change(&mut after);
    RowChange { before: Some(Box::new(before.clone())), after: Box::new(after) }
}

/// Creates an operator.
pub fn create(people: &People, act: &Act, new: NewOperator) -> Result<Change<Operator>, Refused> {
    if let Some(other) = people.operators.iter().find(|other| other.username == new.username) {
        let text = if other.deleted_at.is_some() {
            format!(
                "{} was the name of an operator who is deleted: the audit log still means that one",
                new.username
            )
        } else {
            format!(
                "there is an operator {} already; names that differ in case only are the same",
                other.username
            )
        };
        return Err(Refused::UsernameTaken(text));
    }
    let operator = Operator {
        operator_id: new.operator_id,
        revision: 0,
        username: new.username,
        role: new.role,
        password: Some(new.password),
        created_at: act.now,
        created_by: Some(act.actor.name().to_owned()),
        last_login_at: None,
        addresses: Vec::new(),
        deleted_at: None,
    };
    let details = json!({"username": operator.username, "role": operator.role});
    let audit = vec![act.entry(AuditAction::OperatorCreate, target(&operator), details)];
    let operators = vec![RowChange { before: None, after: Box::new(operator.clone()) }];
    Ok(Change { value: operator, access: AccessChanges { operators, ..AccessChanges::default() }, audit })
}

/// Creates the first admin; of two who try, the second is refused.
pub fn create_first_admin(people: &People, act: &Act, new: NewOperator) -> Result<Change<Operator>, Refused> {
    if people.operators.iter().any(Operator::is_admin) {
        return Err(Refused::AdminExists);
    }
    create(people, act, new)
}

/// Deletes an operator, with the logins and the tokens that the operator made, but for those of detectors: an attack must
/// not go unreported because somebody left.
pub fn delete(people: &People, act: &Act, id: OperatorId) -> Result<Change<()>, Refused> {
    let operator = find(people, id)?;
    if act.operator == Some(id) {
        return Err(Refused::NotAllowed("nobody deletes oneself; let another admin do it".to_owned()));
    }
    if is_last_admin(people, id) {
        return Err(Refused::NotAllowed(format!(
            "{} is the last admin; create another one first",
            operator.username
        )));
    }
    let made = people.tokens.iter().filter(|token| token.creator == Some(id) && token.role != Role::Detector);
    let tokens: Vec<_> = made
        .map(|token| {
            let mut token = token.clone();
            token.revoked_at = Some(act.now);
            token
        })
        .collect();
    let revoked: Vec<_> = tokens.iter().map(|token| token.token_id).collect();
    let details = json!({"username": operator.username, "role": operator.role, "revoked_tokens": revoked});
    let audit = vec![act.entry(AuditAction::OperatorDelete, target(operator), details)];
    let deleted = changed(operator, |operator| {
        operator.deleted_at = Some(act.now);
        operator.password = None;
        operator.addresses = Vec::new();
    });
    let access = AccessChanges {
        operators: vec![deleted],
        tokens,
        ended_sessions: vec![EndedSessions::OfOperator(id, None)],
        ..AccessChanges::default()
    };
    Ok(Change { value: (), access, audit })
}

/// Gives an operator another role, which ends the operator's logins, and those of the operator's tokens that may more.
pub fn change_role(
    people: &People,
    act: &Act,
    id: OperatorId,
    role: Role,
) -> Result<Change<Operator>, Refused> {
    let operator = find(people, id)?;
    if operator.role == role {
        let value = operator.clone();
        return Ok(Change { value, access: AccessChanges::default(), audit: Vec::new() });
    }
    if is_last_admin(people, id) {
        return Err(Refused::NotAllowed(format!(
            "{} is the last admin; create another one first",
            operator.username
        )));
    }
    let above = people.tokens.iter().filter(|token| {
        token.creator == Some(id)
            && token.revoked_at.is_none()
            && token.role > role
            && token.role != Role::Detector
    });
    let tokens: Vec<_> = above.map(|token| ApiToken { revoked_at: Some(act.now), ..token.clone() }).collect();
    let revoked: Vec<_> = tokens.iter().map(|token| token.token_id).collect();
    let details = json!({
        "username": operator.username, "before": operator.role, "after": role, "revoked_tokens": revoked,
    });
    let audit = vec![act.entry(AuditAction::RoleChange, target(operator), details)];
    let change = changed(operator, |operator| operator.role = role);
    let mut value = (*change.after).clone();
    value.revision += 1;
    let access = AccessChanges {
        operators: vec![change],
        tokens,
        ended_sessions: vec![EndedSessions::OfOperator(id, None)],
        ..AccessChanges::default()
    };
    Ok(Change { value, access, audit })
}

/// Gives an operator another password, which ends the operator's logins but for `spared`. `verified`: the password that
/// was proved to be known; it must still be that one.
pub fn change_password(
    people: &People,
    act: &Act,
    id: OperatorId,
    password: PasswordHash,
    verified: Option<&PasswordHash>,
    spared: Option<SessionId>,
) -> Result<Change<()>, Refused> {
    let operator = find(people, id)?;
    if verified.is_some() && operator.password.as_ref() != verified {
        return Err(Refused::NotAllowed(
            "the password was changed meanwhile; log in with the new one".to_owned(),
        ));
    }
    let audit = vec![act.entry(
        AuditAction::PasswordChange,
        target(operator),
        json!({"username": operator.username}),
    )];
    let access = AccessChanges {
        operators: vec![changed(operator, |operator| operator.password = Some(password))],
        ended_sessions: vec![EndedSessions::OfOperator(id, spared)],
        ..AccessChanges::default()
    };
    Ok(Change { value: (), access, audit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::tests::token;
    use chrono::DateTime;
    use prefix_core::audit::Actor;

    pub(crate) fn act(operator: Option<OperatorId>) -> Act {
        Act {
            now: DateTime::UNIX_EPOCH,
            actor: Actor::operator("ada"),
            operator,
            address: Some("192.0.2.1".parse().unwrap()),
            request_id: "r-1".into(),
        }
    }

    fn new(name: &str, role: Role) -> NewOperator {
        let operator_id = OperatorId::generate();
        NewOperator {
            operator_id,
            username: name.parse().unwrap(),
            role,
            password: PasswordHash::new("planted".into()),
        }
    }

    fn people(names: &[(&str, Role)]) -> People {
        let mut people = People::default();
        for (name, role) in names {
            let operator = create(&people, &act(None), new(name, *role)).unwrap().value;
            people.operators.push(operator);
        }
        people
    }

    #[test]
    fn every_act_says_who_from_where_by_which_request_and_no_secret() {
        let change = create(&People::default(), &act(None), new("ada", Role::Admin)).unwrap();
        let entry = &change.audit[0];
        assert_eq!(entry.action, "operator_create");
        assert_eq!(entry.details["request_id"], "r-1");
        assert_eq!(entry.details["address"], "192.0.2.1");
        assert!(!format!("{change:?}").contains("planted"));
    }

    #[test]
    fn a_name_is_taken_by_the_living_and_the_deleted() {
        let mut people = people(&[("ada", Role::Admin), ("bob", Role::Admin)]);
        let deleted = delete(&people, &act(None), people.operators[1].operator_id).unwrap();
        people.operators[1] = (*deleted.access.operators[0].after).clone();
        for name in ["ADA", "bob"] {
            let refused = create(&people, &act(None), new(name, Role::Viewer)).unwrap_err();
            assert!(matches!(refused, Refused::UsernameTaken(_)), "{name}");
        }
    }

    #[test]
    fn the_last_admin_stays() {
        let people = people(&[("ada", Role::Admin), ("bob", Role::Viewer)]);
        let (ada, bob) = (people.operators[0].operator_id, people.operators[1].operator_id);
        let is_refused = |result: Result<_, Refused>| matches!(result, Err(Refused::NotAllowed(_)));
        assert!(is_refused(delete(&people, &act(None), ada)));
        assert!(is_refused(change_role(&people, &act(None), ada, Role::Viewer).map(drop).map(|()| Change {
            value: (),
            access: AccessChanges::default(),
            audit: Vec::new()
        })));
        assert!(is_refused(delete(&people, &act(Some(bob)), bob)), "nobody deletes oneself");
        assert!(delete(&people, &act(Some(ada)), bob).is_ok());
        let unknown = delete(&people, &act(Some(ada)), OperatorId::generate());
        assert!(matches!(unknown, Err(Refused::NotFound(_))));
    }

    #[test]
    fn only_one_is_the_first_admin() {
        let nobody = people(&[("bob", Role::Operator)]);
        assert!(create_first_admin(&nobody, &act(None), new("ada", Role::Admin)).is_ok());
        let somebody = people(&[("ada", Role::Admin)]);
        let late = create_first_admin(&somebody, &act(None), new("eve", Role::Admin));
        assert_eq!(late.unwrap_err(), Refused::AdminExists);
    }

    #[test]
    fn who_is_deleted_takes_own_tokens_along_but_for_those_of_detectors() {
        let mut people = people(&[("ada", Role::Admin), ("bob", Role::Admin)]);
        let bob = people.operators[1].operator_id;
        let mut tokens = ["a", "b", "c"].map(token);
        tokens[0].creator = Some(bob);
        tokens[1].creator = Some(bob);
        tokens[1].role = Role::Operator;
        people.tokens = tokens.to_vec();
        let change = delete(&people, &act(None), bob).unwrap();
        let revoked: Vec<_> = change.access.tokens.iter().map(|token| token.token_id).collect();
        assert_eq!(revoked, [tokens[1].token_id]);
        assert!(change.access.shrinks());
        assert_eq!(change.access.operators[0].after.password, None);
    }

    #[test]
    fn who_becomes_less_keeps_no_token_that_may_more() {
        let mut people = people(&[("ada", Role::Admin), ("bob", Role::Admin)]);
        let bob = people.operators[1].operator_id;
        let mut tokens = ["a", "b", "c", "d"].map(token);
        for (token, role) in
            tokens.iter_mut().zip([Role::Admin, Role::Operator, Role::Viewer, Role::Detector])
        {
            (token.creator, token.role) = (Some(bob), role);
        }
        people.tokens = tokens.to_vec();
        let change = change_role(&people, &act(None), bob, Role::Operator).unwrap();
        let revoked: Vec<_> = change.access.tokens.iter().map(|token| token.token_id).collect();
        assert_eq!(revoked, [tokens[0].token_id]);
        assert!(change.access.shrinks());
    }

    #[test]
    fn a_password_that_changed_meanwhile_is_not_replaced() {
        let people = people(&[("ada", Role::Admin)]);
        let id = people.operators[0].operator_id;
        let other = PasswordHash::new("other".into());
        let late = change_password(&people, &act(Some(id)), id, other.clone(), Some(&other), None);
        assert!(matches!(late, Err(Refused::NotAllowed(_))));
        let spared = SessionId::generate();
        let done = change_password(&people, &act(Some(id)), id, other, None, Some(spared)).unwrap();
        assert_eq!(done.access.ended_sessions, [EndedSessions::OfOperator(id, Some(spared))]);
    }
}
