//! The environment wins over the file: both are figment providers, merged into one document that knows where each place comes from.

use std::collections::BTreeMap;

use figment::Figment;
use figment::providers::Serialized;
use figment::value::{Dict, Value};
use prefix_diagnostics::{KeyPath, Node, Place};

use super::folder::OTHERS;
use super::{Environment, yaml};

/// Overrides of one document: the keys after `PREFIXD__` and the value as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Overrides(Vec<Override>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Override {
    variable: String,
    words: Vec<String>,
    text: String,
}

impl Overrides {
    /// Those for `document`: `settings` for prefixd.yaml, else the word of the file.
    pub(super) fn of(document: &str, environment: &Environment) -> Self {
        let found = environment.iter().filter_map(|(variable, text)| {
            let words: Vec<String> =
                variable.strip_prefix("PREFIXD__")?.split("__").map(str::to_ascii_lowercase).collect();
            let first = words.first()?.as_str();
            let words = match OTHERS.iter().any(|(_, word)| *word == first) {
                true if first == document => words[1..].to_vec(),
                false if document == "settings" => words,
                _ => return None,
            };
            Some(Override { variable: variable.clone(), words, text: text.clone() })
        });
        Self(found.collect())
    }

    /// Those of these members alone.
    pub(super) fn only(mut self, members: &[&str]) -> Self {
        self.0.retain(|change| change.words.first().is_some_and(|word| members.contains(&word.as_str())));
        self
    }

    /// Their names.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|change| change.variable.as_str())
    }

    /// Whether nothing is overridden.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What the environment did to a document.
#[derive(Default)]
pub(super) struct Overridden {
    /// Overrides that could not be applied: variable and reason.
    pub(super) refused: Vec<(String, String)>,
    origins: BTreeMap<KeyPath, String>,
}

impl Overridden {
    /// The variable that set the place, if one did.
    pub(super) fn variable_of(&self, path: &KeyPath) -> Option<Place> {
        let mut set = self.origins.iter().filter(|(place, _)| place.holds(path));
        set.next_back().map(|(_, variable)| Place::Environment(variable.clone()))
    }
}

/// Lays the overrides over the document.
pub(super) fn merge(document: &mut Node, overrides: &Overrides) -> Overridden {
    let mut overridden = Overridden::default();
    if overrides.is_empty() {
        return overridden;
    }
    let file = Value::serialize(&*document).unwrap_or_else(|_| Value::from(Dict::new()));
    let mut layer = Value::from(Dict::new());
    for Override { variable, words, text } in &overrides.0 {
        let parsed = if text.trim().is_empty() { Ok(Value::from("")) } else { read(text) };
        match parsed.and_then(|value| set(&mut layer, Some(&file), words, &KeyPath::root(), value)) {
            Ok(path) => {
                overridden.origins.insert(path, variable.clone());
            }
            Err(reason) => overridden.refused.push((variable.clone(), reason)),
        }
    }
    // A document that is no map cannot be merged into; it is refused as it stands.
    let merged = Figment::from(Serialized::defaults(&file)).merge(Serialized::defaults(&layer));
    if let (Some(_), Ok(merged)) = (document.as_map(), merged.extract::<Node>()) {
        *document = merged.with_lines_of(document);
    }
    overridden
}

fn read(text: &str) -> Result<Value, String> {
    let node = yaml::parse(text).map_err(|(_, text)| format!("the value is no YAML: {text}"))?;
    Value::serialize(node).map_err(|error| error.to_string())
}

/// Puts `new` at `words` below `layer`, which covers `file` in the merge; returns the place it now has.
fn set(
    layer: &mut Value,
    file: Option<&Value>,
    words: &[String],
    at: &KeyPath,
    new: Value,
) -> Result<KeyPath, String> {
    let Some((word, rest)) = words.split_first() else {
        *layer = new;
        return Ok(at.clone());
    };
    if let Value::Array(_, items) = layer {
        let index: usize =
            word.parse().map_err(|_| format!("{at} is a list, its elements are numbers, not {word:?}"))?;
        match index.cmp(&items.len()) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => items.push(Value::from(Dict::new())),
            std::cmp::Ordering::Greater => {
                return Err(format!("{at} has {} elements, {index} would leave a gap", items.len()));
            }
        }
        return set(&mut items[index], None, rest, &at.index(index), new);
    }
    if !matches!(layer, Value::Dict(..)) {
        *layer = Value::from(Dict::new());
    }
    let Value::Dict(_, members) = layer else { return Err(format!("{at} cannot be set")) };
    let known = match file {
        Some(Value::Dict(_, dict)) => dict.iter().find(|(key, _)| key.eq_ignore_ascii_case(word)),
        _ => None,
    };
    let key = known.map_or(word, |(key, _)| key).clone();
    let path = at.key(&key);
    let file = known.map(|(_, value)| value);
    let fresh = || match file {
        // Merging replaces lists whole, so the layer needs the elements that stay.
        Some(Value::Array(tag, items)) => Value::Array(*tag, items.clone()),
        _ if rest.first().is_some_and(|word| word == "0") => Value::from(Vec::<Value>::new()),
        _ => Value::from(Dict::new()),
    };
    set(members.entry(key).or_insert_with(fresh), file, rest, &path, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
pop: fra1
http: {listen: '127.0.0.1:8080', rate_limit: {burst: 5}}
bgp:
  neighbors:
    - {name: edge1, address: 192.0.2.1}
    - {name: edge2, address: 192.0.2.2}
sources: {FastNetMon: {weight: 1}}
";

    /// The merged document, and what became of the overrides.
    struct Merged {
        value: Value,
        overridden: Overridden,
    }

    fn merged(document: &str, variables: &[(&str, &str)]) -> Merged {
        let environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut node = yaml::parse(FILE).unwrap();
        let overridden = merge(&mut node, &Overrides::of(document, &environment));
        Merged { value: Value::serialize(&node).unwrap(), overridden }
    }

    fn json(value: &Value, path: &str) -> String {
        value.find_ref(path).map(|value| serde_json::to_string(value).unwrap()).unwrap_or_default()
    }

    #[test]
    fn the_environment_wins_over_the_file_and_spares_what_stands_beside() {
        let merged = merged(
            "settings",
            &[("PREFIXD__HTTP__LISTEN", "0.0.0.0:80"), ("PREFIXD__QUOTAS__MAX_NEW_PER_MINUTE", "7")],
        );
        assert_eq!(json(&merged.value, "http"), r#"{"listen":"0.0.0.0:80","rate_limit":{"burst":5}}"#);
        assert_eq!(json(&merged.value, "quotas"), r#"{"max_new_per_minute":7}"#);
        assert_eq!(merged.overridden.refused, []);
    }

    #[test]
    fn list_elements_are_set_by_number_and_the_next_one_is_added() {
        let merged = merged(
            "settings",
            &[
                ("PREFIXD__BGP__NEIGHBORS__0__ADDRESS", "192.0.2.9"),
                ("PREFIXD__BGP__NEIGHBORS__2", "{name: edge3}"),
                ("PREFIXD__SAFELIST__PREFIXES__0", "192.0.2.0/24"),
            ],
        );
        assert_eq!(
            json(&merged.value, "bgp.neighbors"),
            r#"[{"address":"192.0.2.9","name":"edge1"},{"address":"192.0.2.2","name":"edge2"},{"name":"edge3"}]"#
        );
        assert_eq!(json(&merged.value, "safelist"), r#"{"prefixes":["192.0.2.0/24"]}"#);
    }

    #[test]
    fn values_are_read_as_yaml() {
        let merged =
            merged("settings", &[("PREFIXD__A", "[1, x]"), ("PREFIXD__B", "'7'"), ("PREFIXD__C", "")]);
        assert_eq!(
            ["a", "b", "c"].map(|path| json(&merged.value, path)),
            [r#"[1,"x"]"#.to_owned(), r#""7""#.to_owned(), r#""""#.to_owned()]
        );
    }

    #[test]
    fn the_first_word_chooses_the_file() {
        let variables =
            [("PREFIXD__CORRELATION__MIN_SOURCES", "2"), ("PREFIXD__POP", "x"), ("PREFIXD_API_TOKEN", "y")];
        let correlation = merged("correlation", &variables);
        assert_eq!(json(&correlation.value, "min_sources"), "2");
        assert_eq!(json(&correlation.value, "pop"), r#""fra1""#);
        assert_eq!(json(&merged("settings", &variables).value, "pop"), r#""x""#);
        assert_eq!(json(&merged("settings", &variables).value, "correlation"), "");
    }

    #[test]
    fn keys_keep_the_case_of_the_file() {
        let merged = merged("settings", &[("PREFIXD__SOURCES__FASTNETMON__WEIGHT", "3")]);
        assert_eq!(json(&merged.value, "sources"), r#"{"FastNetMon":{"weight":3}}"#);
    }

    #[test]
    fn what_cannot_be_set_is_said_with_its_variable() {
        let merged = merged(
            "settings",
            &[
                ("PREFIXD__BGP__NEIGHBORS__5__NAME", "x"),
                ("PREFIXD__BGP__NEIGHBORS__FIRST", "x"),
                ("PREFIXD__POP", "["),
            ],
        );
        let refused: Vec<_> = merged
            .overridden
            .refused
            .iter()
            .map(|(variable, reason)| format!("{variable}: {reason}"))
            .collect();
        assert_eq!(
            refused[0],
            "PREFIXD__BGP__NEIGHBORS__5__NAME: bgp.neighbors has 2 elements, 5 would leave a gap"
        );
        assert_eq!(
            refused[1],
            "PREFIXD__BGP__NEIGHBORS__FIRST: bgp.neighbors is a list, its elements are numbers, not \"first\""
        );
        assert!(refused[2].starts_with("PREFIXD__POP: the value is no YAML"), "{}", refused[2]);
    }

    #[test]
    fn a_place_remembers_its_variable() {
        let merged = merged("settings", &[("PREFIXD__HTTP", "{listen: x}"), ("PREFIXD__HTTP__LISTEN", "y")]);
        let place = |path| merged.overridden.variable_of(&KeyPath::dotted(path));
        assert_eq!(place("http.listen"), Some(Place::Environment("PREFIXD__HTTP__LISTEN".to_owned())));
        assert_eq!(place("http.other"), Some(Place::Environment("PREFIXD__HTTP".to_owned())));
        assert_eq!(place("pop"), None);
    }
}
