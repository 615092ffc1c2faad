//! Logins, operators, tokens and preferences (http-api.md §2.1 and §8). No mistake repeats a password.

use prefix_core::access::{Preferences, QuietHours, Role, Username};
use prefix_core::name::SourceName;
use prefix_diagnostics::{Diagnostic, KeyPath, Members, Node, Parsed};
use prefix_engine::{Password, TokenRequest};

use crate::value;

/// The most sources or prefixes of a token.
const MOST: usize = 100;
/// The most types of alerts that are muted.
const MOST_MUTED: usize = 100;

/// An operator to be created.
#[derive(Debug)]
pub(crate) struct NewOperator {
    /// The name.
    pub(crate) username: Username,
    /// Not detector.
    pub(crate) role: Role,
    /// The password.
    pub(crate) password: Password,
}

/// Reads `{username, password}`.
pub(crate) fn login(node: &Node) -> Result<(String, Password), Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    let username = members.required("username", |node| value::text(node).map(str::to_owned));
    let password = members.required("password", |node| secret(node).map(Password::given));
    members.finish(|| Some((username?, password?)))
}

/// Reads `{username, password, role}`; `least` characters make a password.
pub(crate) fn operator(node: &Node, least: usize) -> Result<NewOperator, Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    let username = members.required("username", value::parsed);
    let password = members.required("password", |node| new_password(node, least));
    let role = members.required("role", role_of_person);
    members.finish(|| Some(NewOperator { username: username?, role: role?, password: password? }))
}

/// Reads `{role}`.
pub(crate) fn role(node: &Node) -> Result<Role, Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    let role = members.required("role", role_of_person);
    members.finish(|| role)
}

/// Reads `{new_password, current_password?}`.
pub(crate) fn password(node: &Node, least: usize) -> Result<(Password, Option<Password>), Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    let new = members.required("new_password", |node| new_password(node, least));
    let current = members.optional("current_password", |node| secret(node).map(Password::given));
    members.finish(|| Some((new?, current)))
}

/// Reads `{name, role, sources[]?, allowed_cidrs[]?, expires_at?}`.
pub(crate) fn token(node: &Node) -> Result<TokenRequest, Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    let name = members.required("name", value::parsed);
    let role = members.required("role", |node| value::one_of(value::text(node)?, &words(&Role::ALL)));
    let sources: Vec<SourceName> = members.list("sources", MOST, value::parsed);
    let allowed_cidrs = members.list("allowed_cidrs", MOST, value::prefix);
    let expires_at = members.optional("expires_at", value::time);
    match role {
        Some(Role::Detector) if sources.is_empty() => {
            members
                .error("sources", "is required for the role detector: name the sources that it reports as");
        }
        Some(Role::Viewer) if !sources.is_empty() => {
            members.error("sources", "is not for the role viewer, which reports nothing");
        }
        _ => {}
    }
    members.finish(|| {
        let sources = sources.into_iter().collect();
        Some(TokenRequest { name: name?, role: role?, sources, allowed_cidrs, expires_at })
    })
}

/// Reads `{muted_events[], quiet_hours_start, quiet_hours_end}`.
pub(crate) fn preferences(node: &Node) -> Result<Preferences, Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    let muted_events = members.list("muted_events", MOST_MUTED, value::free_text);
    let start = members.optional("quiet_hours_start", hour);
    let end = members.optional("quiet_hours_end", hour);
    if members.has("quiet_hours_start") != members.has("quiet_hours_end") {
        members.error("quiet_hours_end", "and quiet_hours_start belong together: both hours, or neither");
    }
    let quiet_hours = start.zip(end).map(|(start, end)| QuietHours { start, end });
    members.finish(|| Some(Preferences { muted_events, quiet_hours }))
}

/// A text that no message repeats.
fn secret(node: &Node) -> Parsed<&str> {
    value::text(node).map_err(|_| "must be a text".to_owned())
}

fn new_password(node: &Node, least: usize) -> Parsed<Password> {
    Password::new(secret(node)?, least).map_err(|problem| problem.to_string())
}

fn words(roles: &[Role]) -> Vec<(&'static str, Role)> {
    roles.iter().map(|role| (role.as_str(), *role)).collect()
}

fn role_of_person(node: &Node) -> Parsed<Role> {
    value::one_of(value::text(node)?, &words(&[Role::Viewer, Role::Operator, Role::Admin]))
}

fn hour(node: &Node) -> Parsed<u8> {
    value::integer(node, 0..=23)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::from_json_text(text).unwrap()
    }

    fn said(errors: Result<impl std::fmt::Debug, Vec<Diagnostic>>) -> Vec<String> {
        errors.unwrap_err().into_iter().map(|e| format!("{} {}", e.pointer(), e.text)).collect()
    }

    #[test]
    fn no_mistake_repeats_a_password() {
        for text in [
            r#"{"username": "ada", "password": "planted", "role": "admin"}"#,
            r#"{"username": "ada", "password": ["planted-secret"], "role": "admin"}"#,
            r#"{"username": "a b", "password": 4711, "role": "detector", "pasword": "planted"}"#,
        ] {
            let said = said(operator(&node(text), 12));
            assert!(said.iter().all(|line| !line.contains("planted") && !line.contains("4711")), "{said:?}");
        }
    }

    #[test]
    fn the_token_of_a_detector_has_sources_and_that_of_a_viewer_none() {
        let token = |role: &str, sources: &str| {
            token(&node(&format!(r#"{{"name": "x", "role": "{role}", "sources": {sources}}}"#)))
        };
        assert!(said(token("detector", "[]"))[0].starts_with("/sources"));
        assert!(said(token("viewer", r#"["fnm"]"#))[0].starts_with("/sources"));
        assert!(token("operator", r#"["fnm"]"#).is_ok() && token("admin", "[]").is_ok());
        assert!(said(token("root", "[]"))[0].starts_with("/role"));
    }

    #[test]
    fn quiet_hours_are_two_hours_or_none() {
        assert!(preferences(&node("{}")).is_ok());
        let both = preferences(&node(r#"{"quiet_hours_start": 22, "quiet_hours_end": 6}"#)).unwrap();
        assert_eq!(both.quiet_hours, Some(QuietHours { start: 22, end: 6 }));
        for bad in [r#"{"quiet_hours_start": 22}"#, r#"{"quiet_hours_start": 24, "quiet_hours_end": 0}"#] {
            assert!(preferences(&node(bad)).is_err(), "{bad}");
        }
    }
}
