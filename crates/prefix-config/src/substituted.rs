//! Values that came from the environment in place of `${VAR}`. Any of them may be a secret, so no message repeats one: it
//! names the variable, which also says where the value is to be mended.

use prefix_diagnostics::{Diagnostic, KeyPath};

/// A shorter value, in characters, is only looked for in messages about its own place: elsewhere the same letters mean
/// something else.
const LONG: usize = 6;
/// So many characters at the beginning of a value are recognised when a message shows only its head.
const HEAD: usize = 8;

/// A value that was put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Substituted {
    /// Where.
    pub(super) path: KeyPath,
    /// The name of the variable.
    pub(super) variable: String,
    /// Its value.
    pub(super) value: String,
}

/// The diagnostic with the name of its variable in place of each value.
pub(super) fn hide(substituted: &[Substituted], diagnostic: Diagnostic) -> Diagnostic {
    let mut text = diagnostic.text;
    for Substituted { path, variable, value } in substituted {
        let is_near = path.holds(&diagnostic.path) || diagnostic.path.holds(path);
        if value.is_empty() || !(is_near || value.chars().count() >= LONG) {
            continue;
        }
        let shown = format!("${{{variable}}}");
        // as it is, and as it stands in quotes
        text = without(&text, value, &shown);
        text = without(&text, &value.escape_debug().to_string(), &shown);
    }
    Diagnostic { text, ..diagnostic }
}

/// The text with `instead` in place of the value, or of a head of it that is long enough.
fn without(text: &str, value: &str, instead: &str) -> String {
    let head = value.char_indices().nth(HEAD).map_or(value, |(end, _)| &value[..end]);
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(head) {
        clean.push_str(&rest[..at]);
        clean.push_str(instead);
        let same = rest[at..].chars().zip(value.chars()).take_while(|(one, other)| one == other);
        rest = &rest[at + same.map(|(letter, _)| letter.len_utf8()).sum::<usize>()..];
    }
    clean + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str, text: &str, value: &str) -> String {
        let known = [Substituted {
            path: KeyPath::dotted("storage.url"),
            variable: "SECRET".to_owned(),
            value: value.to_owned(),
        }];
        hide(&known, Diagnostic::error(KeyPath::dotted(path), text)).text
    }

    #[test]
    fn a_value_of_the_environment_is_named_and_not_shown() {
        for (path, text, value, expected) in [
            ("storage.url", "found the text \"hunter22x\"", "hunter22x", "found the text \"${SECRET}\""),
            (
                "storage.url",
                "not \"postgres://u:hunter22...",
                "hunter22-and-more",
                "not \"postgres://u:${SECRET}...",
            ),
            ("storage.url", "not \"a\\\"b\"", "a\"b", "not \"${SECRET}\""),
            ("storage", "must not be 12", "12", "must not be ${SECRET}"),
            ("pop", "must be at most 12", "12", "must be at most 12"),
            ("pop", "not \"hunter22x\" twice hunter22x", "hunter22x", "not \"${SECRET}\" twice ${SECRET}"),
            ("pop", "hunter2 is another", "hunter22x", "hunter2 is another"),
        ] {
            assert_eq!(said(path, text, value), expected);
        }
    }
}
