//! `${VAR}` in a value stands for an environment variable, so that secrets and sites stay out of the files.

use prefix_diagnostics::{Content, KeyPath, Node};

use super::Environment;
use super::substituted::Substituted;
use super::yaml;

/// What became of the variables of a document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Interpolated {
    /// What could not be replaced: its place, and why.
    pub(super) mistakes: Vec<(KeyPath, String)>,
    /// What was put in from the environment.
    pub(super) substituted: Vec<Substituted>,
}

/// Replaces variables in every value of the document.
///
/// Unquoted values are read again as YAML scalars afterwards, so `${POOL}` can be a number; quoted ones stay text.
/// A variable never adds structure: its text cannot become a list or a map.
pub(super) fn interpolate(node: &mut Node, source: &str, environment: &Environment) -> Interpolated {
    let mut done = Interpolated::default();
    node.for_each(&mut |node, path| {
        let Content::Text(text) = &node.content else { return };
        if !text.contains("${") {
            return;
        }
        let mut variables = Vec::new();
        let replaced = replace(text, environment, &mut variables);
        done.substituted.extend(variables.into_iter().map(|variable| Substituted {
            value: environment.get(&variable).cloned().unwrap_or_default(),
            variable,
            path: path.clone(),
        }));
        match replaced {
            Ok(replaced) if yaml::is_quoted(node, source) => node.content = Content::Text(replaced),
            Ok(replaced) => node.content = scalar(replaced),
            Err(mistake) => done.mistakes.push((path.clone(), mistake)),
        }
    });
    done
}

/// Reads a text as an unquoted YAML scalar.
fn scalar(text: String) -> Content {
    match yaml::parse(&text).map(|node| node.content) {
        Ok(Content::List(_) | Content::Map(_)) | Err(_) => Content::Text(text),
        Ok(content) => content,
    }
}

/// Every place where a variable stands.
pub(super) fn references(node: &mut Node) -> Vec<KeyPath> {
    let is_variable = |text: &str| text.match_indices("${").any(|(at, _)| !text[..at].ends_with('$'));
    let mut found = Vec::new();
    node.for_each(&mut |node, path| {
        if matches!(&node.content, Content::Text(text) if is_variable(text)) {
            found.push(path.clone());
        }
    });
    found
}

/// The variables of the environment that the document needs.
pub(super) fn variables(node: &mut Node, environment: &Environment) -> Vec<String> {
    let mut variables = Vec::new();
    node.for_each(&mut |node, _| {
        if let Content::Text(text) = &node.content {
            // what cannot be replaced is said by whoever replaces it
            let _ = replace(text, environment, &mut variables);
        }
    });
    variables
}

/// The text with every variable replaced; `used` gets the names of those that the environment gave a value for.
fn replace(text: &str, environment: &Environment, used: &mut Vec<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end =
            inner.find('}').ok_or("\"${\" has no closing \"}\" (write \"$${\" for a literal \"${\")")?;
        let (name, fallback) = match inner[..end].split_once(":-") {
            Some((name, fallback)) => (name, Some(fallback)),
            None => (&inner[..end], None),
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(format!(
                "{name:?} is not the name of an environment variable (write \"$${{\" for a literal \"${{\")"
            ));
        }
        match (environment.get(name).filter(|value| !value.is_empty() || fallback.is_none()), fallback) {
            (Some(value), _) => {
                out.push_str(value);
                used.push(name.to_owned());
            }
            (None, Some(fallback)) => out.push_str(fallback),
            (None, None) => {
                return Err(format!(
                    "environment variable {name} is not set (a fallback is written ${{{name}:-value}})"
                ));
            }
        }
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        [("SITE", "fra1"), ("POOL", "12"), ("EMPTY", ""), ("TRICK", "[a, b]"), ("WORD", "true")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn variables_fallbacks_and_literals_are_replaced() {
        for (text, replaced) in [
            ("pop-${SITE}-${POOL}", "pop-fra1-12"),
            ("${MISSING:-x}", "x"),
            ("${MISSING:-}", ""),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY}", ""),
            ("${SITE:-x}", "fra1"),
            ("$${SITE}", "${SITE}"),
            ("$SITE $$ {}", "$SITE $$ {}"),
            ("a$${x}${SITE}", "a${x}fra1"),
        ] {
            assert_eq!(replace(text, &environment(), &mut Vec::new()).as_deref(), Ok(replaced), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_said() {
        for (text, part) in [
            ("${MISSING}", "environment variable MISSING is not set"),
            ("${SITE", "no closing"),
            ("${}", "\"\" is not the name"),
            ("${A B}", "\"A B\" is not the name"),
        ] {
            let mistake = replace(text, &environment(), &mut Vec::new()).unwrap_err();
            assert!(mistake.contains(part), "{mistake}");
        }
    }

    #[test]
    fn unquoted_values_take_the_type_of_their_text_and_quoted_ones_stay_text() {
        let source = "a: ${POOL}\nb: \"${POOL}\"\nc:\n  - ${WORD}\nd: ${TRICK}\ne: ${SITE}\n";
        let mut node = yaml::parse(source).unwrap();
        assert_eq!(interpolate(&mut node, source, &environment()).mistakes, []);
        let json = serde_json::to_string(&figment::value::Value::serialize(&node).unwrap()).unwrap();
        assert_eq!(json, r#"{"a":12,"b":"12","c":[true],"d":"[a, b]","e":"fra1"}"#);
    }

    #[test]
    fn every_unset_variable_is_found_with_its_place() {
        let source = "a: ${NO}\nb: [x, '${NOT}']\n";
        let mut node = yaml::parse(source).unwrap();
        let places: Vec<_> = interpolate(&mut node, source, &environment())
            .mistakes
            .into_iter()
            .map(|(path, _)| path.to_string())
            .collect();
        assert_eq!(places, ["a", "b[1]"]);
    }
}
