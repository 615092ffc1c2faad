//! A document is YAML that remembers the line of every key and value.

use figment::value::{Dict, Empty, Num, Value};
use serde_saphyr::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use super::path::{KeyPath, Segment};

mod json;
mod text;

/// A value with its place in the text. Small, because an inventory has millions of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// 1-based; 0 where no text stands behind it.
    line: u32,
    /// Byte offset of the first character; `u32::MAX` where the parser does not know it.
    start: u32,
    /// What stands there.
    pub(super) content: Content,
}

/// The shapes of a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number from zero on.
    Unsigned(u64),
    /// A negative whole number.
    Signed(i64),
    /// Any other number.
    Float(f64),
    /// Text, quoted or not.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Box<Map>),
}

/// The members of a map, in the order of the text.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Map {
    /// The first member of each key.
    pub(super) members: Vec<Member>,
    /// Key, line of the repetition, line of the first.
    pub(super) repeated: Vec<(String, u64, u64)>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// The key.
    pub(super) key: Box<str>,
    /// Its line; the value may stand below it.
    line: u32,
    /// The value.
    pub(super) value: Node,
}

/// A text that is no YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// 1-based; none where the parser cannot say.
    pub(super) line: Option<u64>,
    /// What the parser met.
    pub(super) text: String,
}

fn number_content(number: Num) -> Content {
    if let Some(value) = number.to_u128().and_then(|value| u64::try_from(value).ok()) {
        Content::Unsigned(value)
    } else if let Some(value) = number.to_i128().and_then(|value| i64::try_from(value).ok()) {
        Content::Signed(value)
    } else {
        Content::Float(number.to_f64().unwrap_or(f64::NAN))
    }
}

impl From<serde_saphyr::Error> for SyntaxError {
    fn from(error: serde_saphyr::Error) -> Self {
        let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
        let text = error.without_snippet().to_string();
        // The place is said once, in front of the text.
        let text = text.split(" at line ").next().unwrap_or_default().trim_end_matches('.').to_owned();
        Self { line, text }
    }
}

/// How YAML is read everywhere: text that looks like a number must be quoted to be text, only `true` and `false`
/// are truth values, and a file may be as large as a provider's whole inventory.
pub(super) fn options(duplicates: DuplicateKeyPolicy) -> serde_saphyr::Options {
    serde_saphyr::options! {
        duplicate_keys: duplicates,
        strict_booleans: true,
        no_schema: true,
        with_snippet: false,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        budget: serde_saphyr::budget! {
            max_events: 400_000_000,
            max_nodes: 200_000_000,
            max_total_scalar_bytes: 2 << 30,
            max_documents: 1,
        },
    }
}

/// Where the parser does not know the offset.
const NOWHERE: u32 = u32::MAX;

impl Node {
    /// Reads YAML (of which JSON is a part). No text at all is an empty map.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let node: Self = serde_saphyr::from_str_with_options(text, options(DuplicateKeyPolicy::PassThrough))?;
        Ok(if node.content == Content::Null { Self { line: 1, ..Self::empty() } } else { node })
    }

    /// An empty map that no text stands behind.
    pub(super) fn empty() -> Self {
        Self { line: 0, start: NOWHERE, content: Content::Map(Box::default()) }
    }

    /// The line of the place, or of the nearest place around it that the text knows.
    pub(super) fn line_of(&self, path: &KeyPath) -> u64 {
        let (mut node, mut line) = (self, self.line);
        for segment in path.segments() {
            let step = match (&node.content, segment) {
                (Content::Map(map), Segment::Key(key)) => map.get(key).map(|m| (&m.value, m.line)),
                (Content::List(items), Segment::Index(index)) => {
                    items.get(*index).map(|item| (item, item.line))
                }
                _ => None,
            };
            match step {
                Some((next, at)) => (node, line) = (next, if at == 0 { line } else { at }),
                None => break,
            }
        }
        line.into()
    }

    /// Takes the member of a map out, as a document of its own that begins at its key.
    pub(super) fn take_member(&mut self, key: &str) -> Option<Self> {
        let Content::Map(map) = &mut self.content else { return None };
        let index = map.members.iter().position(|member| *member.key == *key)?;
        let Member { line, value, .. } = map.members.remove(index);
        Some(Self { line, ..value })
    }

    /// Forgets every member of a map but these, repetitions included.
    pub(super) fn keep_members(&mut self, keys: &[&str]) {
        let Content::Map(map) = &mut self.content else { return };
        map.members.retain(|member| keys.contains(&&*member.key));
        map.repeated.retain(|(key, ..)| keys.contains(&key.as_str()));
    }

    /// Removes a place; false if it is not there.
    pub(super) fn remove(&mut self, path: &[Segment]) -> bool {
        let (Some((segment, rest)), content) = (path.split_first(), &mut self.content) else { return false };
        match (content, segment) {
            (Content::Map(map), Segment::Key(key)) => {
                let Some(index) = map.members.iter().position(|member| *member.key == **key) else {
                    return false;
                };
                if rest.is_empty() {
                    map.members.remove(index);
                    return true;
                }
                map.members[index].value.remove(rest)
            }
            (Content::List(items), Segment::Index(index)) if *index < items.len() => {
                if rest.is_empty() {
                    items.remove(*index);
                    return true;
                }
                items[*index].remove(rest)
            }
            _ => false,
        }
    }

    /// The values of `value` on the lines of `self`, as far as the same places are there.
    pub(super) fn with_values(&self, value: &Value) -> Self {
        Self::from_value(value, Some(self))
    }

    fn from_value(value: &Value, model: Option<&Self>) -> Self {
        let content = match value {
            Value::String(_, text) => Content::Text(text.clone()),
            Value::Char(_, character) => Content::Text(character.to_string()),
            Value::Bool(_, value) => Content::Bool(*value),
            Value::Num(_, number) => number_content(*number),
            Value::Empty(..) => Content::Null,
            Value::Array(_, items) => {
                let models = match model.map(|model| &model.content) {
                    Some(Content::List(models)) => models.as_slice(),
                    _ => &[],
                };
                let items = items.iter().enumerate();
                Content::List(items.map(|(index, item)| Self::from_value(item, models.get(index))).collect())
            }
            Value::Dict(_, dict) => {
                let models = match model.map(|model| &model.content) {
                    Some(Content::Map(map)) => Some(map),
                    _ => None,
                };
                let members = dict.iter().map(|(key, value)| {
                    let model = models.and_then(|map| map.get(key));
                    let line = model.map_or(0, |member| member.line);
                    let value = Self::from_value(value, model.map(|member| &member.value));
                    Member { key: key.as_str().into(), line, value }
                });
                Content::Map(Box::new(Map { members: members.collect(), repeated: Vec::new() }))
            }
        };
        Self { line: model.map_or(0, |model| model.line), start: NOWHERE, content }
    }

    /// Whether the value stands in quotes or in a block of text, so that it is text whatever it looks like.
    pub(super) fn is_quoted(&self, source: &str) -> bool {
        let opening = usize::try_from(self.start).ok().and_then(|start| source.as_bytes().get(start));
        // A block of text begins after its mark, but keeps a line end, which plain text never has.
        let block = matches!(&self.content, Content::Text(text) if text.contains('\n'));
        block || opening.is_some_and(|byte| matches!(byte, b'"' | b'\''))
    }

    /// The value without its lines, as the merge layer wants it.
    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::from(Empty::Unit),
            Content::Bool(value) => Value::from(*value),
            Content::Unsigned(value) => Value::from(*value),
            Content::Signed(value) => Value::from(*value),
            Content::Float(value) => Value::from(*value),
            Content::Text(value) => Value::from(value.as_str()),
            Content::List(items) => Value::from(items.iter().map(Self::to_value).collect::<Vec<_>>()),
            Content::Map(map) => {
                let members =
                    map.members.iter().map(|member| (member.key.to_string(), member.value.to_value()));
                Value::from(members.collect::<Dict>())
            }
        }
    }

    /// Every key that is given more than once: its place, its line, and the line of the first.
    pub(super) fn repeated_keys(&self) -> Vec<(KeyPath, u64, u64)> {
        let mut found = Vec::new();
        self.collect_repeated(&KeyPath::root(), &mut found);
        found
    }

    fn collect_repeated(&self, path: &KeyPath, found: &mut Vec<(KeyPath, u64, u64)>) {
        match &self.content {
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.collect_repeated(&path.index(index), found);
                }
            }
            Content::Map(map) => {
                found.extend(map.repeated.iter().map(|(key, line, first)| (path.key(key), *line, *first)));
                for member in &map.members {
                    member.value.collect_repeated(&path.key(&*member.key), found);
                }
            }
            _ => {}
        }
    }
}

impl Map {
    /// The first member with this key.
    pub(super) fn get(&self, key: &str) -> Option<&Member> {
        self.members.iter().find(|member| *member.key == *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "pop: fra1\nhttp:\n  # where\n  listen: \"127.0.0.1:8080\"\n\nlist:\n  - a\n  - b: 1\n    c: ${X}\n  - {d: -2, e: 1.5, f: no}\n";

    #[test]
    fn every_place_knows_its_line() {
        let node = Node::parse(TEXT).unwrap();
        for (path, line) in [
            ("pop", 1),
            ("http", 2),
            ("http.listen", 4),
            ("list", 6),
            ("list.0", 7),
            ("list.1", 8),
            ("list.1.b", 8),
            ("list.1.c", 9),
            ("list.2.f", 10),
            ("http.missing", 2),
            ("list.7", 6),
        ] {
            assert_eq!(node.line_of(&KeyPath::dotted(path)), line, "{path}");
        }
    }

    #[test]
    fn quoted_text_is_told_from_plain_text() {
        let source = "a: \"${X}\"\nb: ${X}\nc: |\n  ${X}\nd: '${X}'\nü: ${X}\n";
        let node = Node::parse(source).unwrap();
        let Content::Map(map) = &node.content else { panic!("{node:?}") };
        let quoted: Vec<bool> = map.members.iter().map(|member| member.value.is_quoted(source)).collect();
        assert_eq!(quoted, [true, false, true, true, false]);
    }

    #[test]
    fn a_key_given_again_is_found_with_both_lines() {
        let node = Node::parse("a: 1\nb:\n  - x: 1\n    y: 2\n    x: 3\na: 2\n").unwrap();
        let repeated: Vec<_> = node
            .repeated_keys()
            .into_iter()
            .map(|(path, line, first)| (path.to_string(), line, first))
            .collect();
        assert_eq!(repeated, [("a".to_owned(), 6, 1), ("b[0].x".to_owned(), 5, 3)]);
    }

    #[test]
    fn an_empty_file_is_an_empty_map() {
        for text in ["", "\n\n", "# nothing\n", "---\n", "null"] {
            assert_eq!(Node::parse(text).unwrap().content, Content::Map(Box::default()), "{text:?}");
        }
    }

    #[test]
    fn broken_yaml_names_its_line() {
        let error = Node::parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.line.is_some(), "{error:?}");
        assert!(!error.text.contains("line"), "{error:?}");
    }

    #[test]
    fn aliases_and_merge_keys_work() {
        let node = Node::parse("base: &b {x: 1}\nuse:\n  <<: *b\n  y: 2\n").unwrap();
        assert_eq!(node.to_value().find_ref("use.x").and_then(Value::to_u128), Some(1));
    }
}
