//! A document as a tree of values that remember the line of each key and value, and the keys that are given twice.

use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::path::{KeyPath, Segment};

pub(crate) mod json;
pub(crate) mod read;

/// A value with its place in the text. Small, because an inventory has millions of them.
#[derive(Debug, Clone)]
pub struct Node {
    /// 1-based; 0 where no text stands behind it.
    pub line: u32,
    /// Byte offset of the first character; [`NO_OFFSET`] where the parser does not know it.
    pub start: u32,
    /// What stands there.
    pub content: Content,
}

/// Where the parser does not know the offset.
pub const NO_OFFSET: u32 = u32::MAX;

/// The shapes of a value.
#[derive(Debug, Clone)]
pub enum Content {
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
    /// A value whose text is kept as it came, and the same value for checks.
    Raw(Box<(Box<RawValue>, Node)>),
    /// What stood here was taken out; readers pass over it.
    TakenOut,
}

/// The members of a map, in the order of the text.
#[derive(Debug, Clone, Default)]
pub struct Map {
    /// The first member of each key.
    pub members: Vec<Member>,
    /// Key, line of the repetition, line of the first.
    pub repeated: Vec<(String, u32, u32)>,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Member {
    /// The key.
    pub key: Box<str>,
    /// Its line; the value may stand below it.
    pub line: u32,
    /// The value.
    pub value: Node,
}

impl From<Content> for Node {
    /// Without a place in a text.
    fn from(content: Content) -> Self {
        Self { line: 0, start: NO_OFFSET, content }
    }
}

impl Node {
    /// An empty map that no text stands behind.
    pub fn empty() -> Self {
        Content::Map(Box::default()).into()
    }

    /// The members, if it is a map.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.content {
            Content::Map(map) => Some(map),
            _ => None,
        }
    }

    /// What kind of value it is, for messages about JSON.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Null | Content::TakenOut => "null",
            Content::Bool(_) => "a boolean",
            Content::Unsigned(_) | Content::Signed(_) => "an integer",
            Content::Float(_) => "a number",
            Content::Text(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "an object",
            Content::Raw(raw) => raw.1.kind(),
        }
    }

    fn child(&self, segment: &Segment) -> Option<(&Self, u32)> {
        match (&self.content, segment) {
            (Content::Map(map), Segment::Key(key)) => map.get(key).map(|member| (&member.value, member.line)),
            (Content::List(items), Segment::Index(index)) => items.get(*index).map(|item| (item, item.line)),
            _ => None,
        }
    }

    /// The line of the place, or of the nearest place around it that the text knows.
    pub fn line_of(&self, path: &KeyPath) -> u64 {
        let (mut node, mut line) = (self, self.line);
        for segment in path.segments() {
            let Some((next, at)) = node.child(segment) else { break };
            (node, line) = (next, if at == 0 { line } else { at });
        }
        line.into()
    }

    /// The place in the document as it was written, for a place in what is left of it.
    pub fn as_written(&self, path: &KeyPath) -> KeyPath {
        let (mut node, mut written) = (Some(self), KeyPath::root());
        for segment in path.segments() {
            let segment = match (segment, node.map(|node| &node.content)) {
                (Segment::Index(index), Some(Content::List(items))) => {
                    let mut left = items.iter().enumerate().filter(|(_, item)| !item.is_taken_out());
                    Segment::Index(left.nth(*index).map_or(*index, |(position, _)| position))
                }
                (segment, _) => segment.clone(),
            };
            node = node.and_then(|node| node.child(&segment)).map(|(next, _)| next);
            written = written.child(segment);
        }
        written
    }

    /// Whether [`Self::take_out`] was here.
    pub fn is_taken_out(&self) -> bool {
        matches!(self.content, Content::TakenOut)
    }

    /// Takes the value of a place out; false if it is not there.
    pub fn take_out(&mut self, path: &KeyPath) -> bool {
        let mut node = self;
        for segment in path.segments() {
            let next = match (&mut node.content, segment) {
                (Content::Map(map), Segment::Key(key)) => {
                    map.members.iter_mut().find(|member| *member.key == **key).map(|member| &mut member.value)
                }
                (Content::List(items), Segment::Index(index)) => items.get_mut(*index),
                _ => None,
            };
            let Some(next) = next else { return false };
            node = next;
        }
        let was_there = !node.is_taken_out();
        node.content = Content::TakenOut;
        was_there
    }

    /// Takes the member of a map out, as a document of its own that begins at its key.
    pub fn take_member(&mut self, key: &str) -> Option<Self> {
        let Content::Map(map) = &mut self.content else { return None };
        let index = map.members.iter().position(|member| *member.key == *key)?;
        let Member { line, value, .. } = map.members.remove(index);
        Some(Self { line, ..value })
    }

    /// Forgets every member of a map but these, repetitions included.
    pub fn keep_members(&mut self, keys: &[&str]) {
        let Content::Map(map) = &mut self.content else { return };
        map.members.retain(|member| keys.contains(&&*member.key));
        map.repeated.retain(|(key, ..)| keys.contains(&key.as_str()));
    }

    /// These values on the lines of `model`, as far as the same places are there.
    #[must_use]
    pub fn with_lines_of(mut self, model: &Self) -> Self {
        self.line = model.line;
        match (&mut self.content, &model.content) {
            (Content::List(items), Content::List(models)) => {
                for (item, model) in items.iter_mut().zip(models) {
                    *item = std::mem::replace(item, Content::Null.into()).with_lines_of(model);
                }
            }
            (Content::Map(map), Content::Map(models)) => {
                for member in &mut map.members {
                    let Some(model) = models.get(&member.key) else { continue };
                    let value = std::mem::replace(&mut member.value, Content::Null.into());
                    (member.line, member.value) = (model.line, value.with_lines_of(&model.value));
                }
            }
            _ => {}
        }
        self
    }

    /// Calls `visit` for each value with its place, the outer ones first.
    pub fn for_each(&mut self, visit: &mut dyn FnMut(&mut Self, &KeyPath)) {
        self.walk(&KeyPath::root(), visit);
    }

    fn walk(&mut self, path: &KeyPath, visit: &mut dyn FnMut(&mut Self, &KeyPath)) {
        visit(self, path);
        match &mut self.content {
            Content::List(items) => {
                items.iter_mut().enumerate().for_each(|(index, item)| item.walk(&path.index(index), visit));
            }
            Content::Map(map) => {
                let members = map.members.iter_mut();
                members.for_each(|member| member.value.walk(&path.key(&*member.key), visit));
            }
            _ => {}
        }
    }

    /// Every key that is given more than once: its place, its line, and the line of the first. What is below the member
    /// `unread` of this map is left to whoever reads that.
    pub fn repeated_keys(&self, unread: Option<&str>) -> Vec<(KeyPath, u64, u64)> {
        let mut found = Vec::new();
        self.collect_repeated(unread, &mut found);
        found
    }

    fn collect_repeated(&self, unread: Option<&str>, found: &mut Vec<(KeyPath, u64, u64)>) {
        // paths grow from their ends, so that a document without repetitions costs none
        let below = |node: &Self, found: &mut Vec<_>, segment: &dyn Fn() -> Segment| {
            let before = found.len();
            node.collect_repeated(None, found);
            found[before..].iter_mut().for_each(|(path, ..): &mut (KeyPath, _, _)| path.prepend(segment()));
        };
        match &self.content {
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    below(item, found, &|| Segment::Index(index));
                }
            }
            Content::Map(map) => {
                let repeated = map.repeated.iter();
                found.extend(repeated.map(|(key, line, first)| {
                    (KeyPath::root().key(key), u64::from(*line), u64::from(*first))
                }));
                for member in map.members.iter().filter(|member| Some(&*member.key) != unread) {
                    below(&member.value, found, &|| Segment::Key(member.key.to_string()));
                }
            }
            Content::Raw(raw) => raw.1.collect_repeated(None, found),
            _ => {}
        }
    }
}

impl Map {
    /// The first member with this key.
    pub fn get(&self, key: &str) -> Option<&Member> {
        self.members.iter().find(|member| *member.key == *key)
    }
}

/// The values alone.
impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.content {
            Content::Null | Content::TakenOut => serializer.serialize_unit(),
            Content::Bool(value) => serializer.serialize_bool(*value),
            Content::Unsigned(number) => serializer.serialize_u64(*number),
            Content::Signed(number) => serializer.serialize_i64(*number),
            Content::Float(number) => serializer.serialize_f64(*number),
            Content::Text(text) => serializer.serialize_str(text),
            Content::List(items) => serializer.collect_seq(items),
            Content::Map(map) => {
                serializer.collect_map(map.members.iter().map(|member| (&member.key, &member.value)))
            }
            Content::Raw(raw) => raw.1.serialize(serializer),
        }
    }
}
