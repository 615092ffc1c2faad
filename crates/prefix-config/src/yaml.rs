//! YAML as a [`Node`] that knows the line of each key and value.

use prefix_diagnostics::{Content, ContentVisitor, Format, Member, NO_OFFSET, Node};
use serde::de::{Deserialize, Deserializer, Error, MapAccess};
use serde_saphyr::{DuplicateKeyPolicy, NonFiniteFloatPolicy, Spanned};

/// A text that is no YAML: the line, 0 where the parser cannot say, and what the parser met.
pub(super) type SyntaxError = (u64, String);

/// Reads YAML (of which JSON is a part). No text at all is an empty map.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let read = serde_saphyr::from_str_with_options(text, options(DuplicateKeyPolicy::PassThrough));
    let Located(node) = read.map_err(|error| syntax_error(&error))?;
    Ok(if matches!(node.content, Content::Null) { Node { line: 1, ..Node::empty() } } else { node })
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

/// What the parser says in its own terms, and the same in those of whoever wrote the file.
const PLAIN_WORDS: &[(&str, &str)] = &[
    ("expected mapping start", "expected a map of keys, found nothing"),
    ("expected '-' indicator", "the indentation does not fit the lines before it"),
    ("expected <block end>", "the indentation does not fit the lines before it"),
    (
        "mapping values are not allowed",
        "`: ` for a second time in a value: put it in quotes, or in a line of its own",
    ),
    ("tabs disallowed", "a tab in the indentation: indent with spaces"),
    (
        "unknown anchor",
        "`*` refers to an anchor (`&`) that is not there; text that begins with `*` needs quotes",
    ),
    ("budget breached: Documents", "a second document begins (`---`): a file holds one"),
];

pub(super) fn syntax_error(error: &serde_saphyr::Error) -> SyntaxError {
    let line = error.location().map_or(0, |location| location.line());
    let text = error.without_snippet().to_string();
    // The place is said once, in front of the text.
    let text = text.split(" at line ").next().unwrap_or_default().trim_end_matches('.');
    let plain = PLAIN_WORDS.iter().find(|(said, _)| text.contains(said)).map_or(text, |(_, plain)| plain);
    (line, plain.to_owned())
}

/// Whether the value stands in quotes or in a block of text, so that it is text whatever it looks like.
pub(super) fn is_quoted(node: &Node, source: &str) -> bool {
    let opening = usize::try_from(node.start).ok().and_then(|start| source.as_bytes().get(start));
    // A block of text begins after its mark, but keeps a line end, which plain text never has.
    let block = matches!(&node.content, Content::Text(text) if text.contains('\n'));
    block || opening.is_some_and(|byte| matches!(byte, b'"' | b'\''))
}

/// The parser wraps each value in its location.
#[derive(Clone, Copy)]
struct Yaml;

impl Format for Yaml {
    fn value<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Located::deserialize(deserializer).map(|Located(node)| node)
    }

    fn member<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<Option<Member>, A::Error> {
        let Some(Key(key, line)) = map.next_key()? else { return Ok(None) };
        let Located(value) = map.next_value()?;
        Ok(Some(Member { key, line: if line == 0 { value.line } else { line }, value }))
    }
}

/// A key of a map, as text whatever it looks like, and its line. The parser adds the line to an error that is made while
/// it reads the key.
struct Key(Box<str>, u32);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Located(node) = Located::deserialize(deserializer)?;
        let text = match node.content {
            Content::Text(text) => text,
            Content::Unsigned(number) => number.to_string(),
            Content::Signed(number) => number.to_string(),
            Content::Float(number) => number.to_string(),
            Content::Bool(value) => value.to_string(),
            Content::Null => "null".to_owned(),
            _ => return Err(D::Error::custom("a key must be plain text")),
        };
        Ok(Self(text.into(), node.line))
    }
}

struct Located(Node);

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Bare>::deserialize(deserializer)?;
        let (at, Bare(content)) = (spanned.referenced, spanned.value);
        let start = at.span().byte_offset().and_then(|offset| u32::try_from(offset).ok());
        let line = u32::try_from(at.line()).unwrap_or(u32::MAX);
        Ok(Self(Node { line, start: start.unwrap_or(NO_OFFSET), content }))
    }
}

struct Bare(Content);

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor(Yaml)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use figment::value::Value;
    use prefix_diagnostics::KeyPath;

    use super::*;

    const TEXT: &str = "pop: fra1\nhttp:\n  # where\n  listen: \"127.0.0.1:8080\"\n\nlist:\n  - a\n  - b: 1\n    c: ${X}\n  - {d: -2, e: 1.5, f: no}\n";

    #[test]
    fn every_place_knows_its_line() {
        let node = parse(TEXT).unwrap();
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
        let node = parse(source).unwrap();
        let members = node.as_map().unwrap().members.iter();
        let quoted: Vec<bool> = members.map(|member| is_quoted(&member.value, source)).collect();
        assert_eq!(quoted, [true, false, true, true, false]);
    }

    #[test]
    fn a_key_given_again_is_found_with_both_lines() {
        let node = parse("a: 1\nb:\n  - x: 1\n    y: 2\n    x: 3\na: 2\n").unwrap();
        let repeated: Vec<_> = node
            .repeated_keys(None)
            .into_iter()
            .map(|(path, line, first)| (path.to_string(), line, first))
            .collect();
        assert_eq!(repeated, [("a".to_owned(), 6, 1), ("b[0].x".to_owned(), 5, 3)]);
    }

    #[test]
    fn an_empty_file_is_an_empty_map() {
        for text in ["", "\n\n", "# nothing\n", "---\n", "null"] {
            assert!(parse(text).unwrap().as_map().unwrap().members.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn broken_yaml_names_its_line() {
        let (line, text) = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(line > 0 && !text.contains("line"), "{line} {text}");
    }

    #[test]
    fn a_key_that_is_no_text_names_its_line() {
        for text in ["pop: fra1\n? [a, b]\n: 1\n", "pop: fra1\n? {a: b}\n: 1\n", "a:\n  ? [a, b]\n  : 1\n"] {
            assert_eq!(parse(text).unwrap_err(), (2, "a key must be plain text".to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_the_writer() {
        for (text, line, words) in [
            ("a: b: c\n", 1, "in quotes"),
            ("a:\n  - b: 1\n   c: 2\n", 3, "the indentation does not fit"),
            ("a:\n\t- b\n", 2, "a tab in the indentation"),
            ("a: *b\n", 1, "an anchor (`&`) that is not there"),
            ("a: 1\n---\nb: 2\n", 2, "a second document begins"),
        ] {
            let (at, said) = parse(text).unwrap_err();
            assert!(at == line && said.contains(words), "{text:?}: {at}: {said}");
        }
        for nothing in ["null", "~", "---\n", "&a"] {
            let read: Result<std::collections::BTreeMap<String, u8>, _> =
                serde_saphyr::from_str_with_options(nothing, options(DuplicateKeyPolicy::Error));
            let said = syntax_error(&read.unwrap_err());
            assert_eq!(said, (1, "expected a map of keys, found nothing".to_owned()), "{nothing:?}");
        }
    }

    #[test]
    fn aliases_and_merge_keys_work() {
        let node = parse("base: &b {x: 1}\nuse:\n  <<: *b\n  y: 2\n").unwrap();
        assert_eq!(Value::serialize(&node).unwrap().find_ref("use.x").and_then(Value::to_u128), Some(1));
    }
}
