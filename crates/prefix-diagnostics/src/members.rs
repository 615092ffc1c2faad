//! The members of an object, read one by one: every error is reported, none ends the reading.

use crate::diagnostic::Diagnostic;
use crate::node::{Content, Map, Node};
use crate::path::KeyPath;

/// A value, or what is wrong with it.
pub type Parsed<T> = Result<T, String>;

/// The members of one object.
pub struct Members<'a> {
    map: &'a Map,
    at: KeyPath,
    errors: Vec<Diagnostic>,
}

impl<'a> Members<'a> {
    /// Opens an object that stands at `at`; anything else is an error. Members given twice are reported at any depth.
    pub fn open(node: &'a Node, at: KeyPath) -> Result<Self, Vec<Diagnostic>> {
        Self::open_but(node, at, None)
    }

    /// Like [`Members::open`], but what is below the member `unread` is left to whoever reads that.
    pub fn open_but(node: &'a Node, at: KeyPath, unread: Option<&str>) -> Result<Self, Vec<Diagnostic>> {
        let mut errors = node.repeated_members(&at, unread);
        match node.as_map() {
            Some(map) => Ok(Self { map, at, errors }),
            None => {
                errors.push(Diagnostic::shape(at, format!("must be an object, not {}", node.kind())));
                Err(errors)
            }
        }
    }

    /// A member that is there and not null.
    fn get(&self, name: &str) -> Option<&'a Node> {
        self.map.get(name).map(|member| &member.value).filter(|node| !matches!(node.content, Content::Null))
    }

    /// Whether a member is there and not null.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A member that may be missing; null counts as missing.
    pub fn optional<T>(&mut self, name: &str, parse: impl FnOnce(&Node) -> Parsed<T>) -> Option<T> {
        parse(self.get(name)?).map_err(|text| self.error(name, text)).ok()
    }

    /// A member that must be there.
    pub fn required<T>(&mut self, name: &str, parse: impl FnOnce(&Node) -> Parsed<T>) -> Option<T> {
        self.require(name);
        self.optional(name, parse)
    }

    fn require(&mut self, name: &str) {
        if !self.has(name) {
            self.error(name, "is required");
        }
    }

    /// An object that may be missing, read like this one; its errors are reported at its members.
    pub fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Members<'_>) -> Option<T>) -> Option<T> {
        let node = self.get(name)?;
        let Some(map) = node.as_map() else {
            self.error(name, format!("must be an object, not {}", node.kind()));
            return None;
        };
        let mut inner = Members { map, at: self.at.key(name), errors: Vec::new() };
        let value = read(&mut inner);
        let sound = inner.errors.is_empty();
        self.errors.extend(inner.errors);
        value.filter(|_| sound)
    }

    /// A list; missing or null is the empty one. Errors are reported at the items. Too long a list is one error.
    pub fn list<T>(&mut self, name: &str, most: usize, mut parse: impl FnMut(&Node) -> Parsed<T>) -> Vec<T> {
        let Some(items) = self.items(name) else { return Vec::new() };
        if items.len() > most {
            self.error(name, format!("has {} items, at most {most} are allowed", items.len()));
            return Vec::new();
        }
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match parse(item) {
                Ok(value) => values.push(value),
                Err(text) => self.errors.push(Diagnostic::shape(self.at.key(name).index(index), text)),
            }
        }
        values
    }

    /// A list that must be there, with 1 to `most` items, unread.
    pub fn required_items(&mut self, name: &str, most: usize) -> &'a [Node] {
        self.require(name);
        match self.items(name) {
            Some(items) if (1..=most).contains(&items.len()) => items,
            Some(items) => {
                self.error(name, format!("has {} items, 1 to {most} are allowed", items.len()));
                &[]
            }
            None => &[],
        }
    }

    fn items(&mut self, name: &str) -> Option<&'a [Node]> {
        let node = self.get(name)?;
        if let Content::List(items) = &node.content {
            return Some(items);
        }
        self.error(name, format!("must be a list, not {}", node.kind()));
        None
    }

    /// Reports an error of a member.
    pub fn error(&mut self, name: &str, text: impl Into<String>) {
        self.errors.push(Diagnostic::shape(self.at.key(name), text));
    }

    /// Ends the reading: `build` gets its values only if there was no error.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Vec<Diagnostic>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        build().ok_or_else(|| vec![Diagnostic::shape(self.at, "is incomplete")])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_reported_with_its_place() {
        let tree = Node::from_json_text(r#"{"a": 1, "a": 2, "list": [1, true, null], "deep": "x"}"#).unwrap();
        let mut fields = Members::open(&tree, KeyPath::root()).unwrap();
        fields.required("missing", |_| Ok(()));
        fields.list("list", 10, |item| match item.content {
            Content::Unsigned(value) => Ok(value),
            _ => Err(format!("must be an integer, not {}", item.kind())),
        });
        fields.list::<()>("deep", 10, |_| Ok(()));
        let errors = fields.finish(|| Some(())).unwrap_err();
        let shown: Vec<_> = errors.iter().map(|e| format!("{} {}", e.pointer(), e.text)).collect();
        assert_eq!(
            shown,
            [
                "/a is given twice; give it once",
                "/missing is required",
                "/list/1 must be an integer, not a boolean",
                "/list/2 must be an integer, not null",
                "/deep must be a list, not a text",
            ]
        );
    }

    #[test]
    fn null_counts_as_missing() {
        let tree = Node::from_json_text(r#"{"a": null}"#).unwrap();
        let mut fields = Members::open(&tree, KeyPath::root()).unwrap();
        assert_eq!(fields.optional("a", |_| Ok(1)), None);
        assert!(fields.finish(|| Some(())).is_ok());
    }
}
