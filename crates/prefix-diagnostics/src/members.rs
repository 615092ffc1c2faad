//! The members of an object, read one by one: every error is reported, none ends the reading, and a member that nobody
//! asked for is an error unless the reader says otherwise: whoever wrote it meant something by it.

use crate::diagnostic::Diagnostic;
use crate::node::{Content, Map, Node};
use crate::path::KeyPath;
use crate::suggest::did_you_mean;

/// A value, or what is wrong with it.
pub type Parsed<T> = Result<T, String>;

/// The members of one object.
pub struct Members<'a> {
    map: &'a Map,
    at: KeyPath,
    errors: Vec<Diagnostic>,
    /// Every name that was asked for, there or not.
    known: Vec<&'static str>,
    /// Members that nobody asked for are passed over.
    tolerant: bool,
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
            Some(map) => Ok(Self { map, at, errors, known: Vec::new(), tolerant: false }),
            None => {
                errors.push(Diagnostic::shape(at, format!("must be an object, not {}", node.kind())));
                Err(errors)
            }
        }
    }

    /// Passes over members that nobody asks for, here and below: for what detectors send, which is more than is read.
    #[must_use]
    pub fn tolerant(mut self) -> Self {
        self.tolerant = true;
        self
    }

    /// A member that may be there and is not read here.
    pub fn accept(&mut self, name: &'static str) {
        self.known.push(name);
    }

    /// A member that is there and not null.
    fn get(&mut self, name: &'static str) -> Option<&'a Node> {
        self.accept(name);
        self.map.get(name).map(|member| &member.value).filter(|node| !matches!(node.content, Content::Null))
    }

    /// Whether a member is there and not null.
    pub fn has(&mut self, name: &'static str) -> bool {
        self.get(name).is_some()
    }

    /// A member that may be missing; null counts as missing.
    pub fn optional<T>(&mut self, name: &'static str, parse: impl FnOnce(&Node) -> Parsed<T>) -> Option<T> {
        parse(self.get(name)?).map_err(|text| self.error(name, text)).ok()
    }

    /// A member that must be there.
    pub fn required<T>(&mut self, name: &'static str, parse: impl FnOnce(&Node) -> Parsed<T>) -> Option<T> {
        self.require(name);
        self.optional(name, parse)
    }

    fn require(&mut self, name: &'static str) {
        if !self.has(name) {
            self.error(name, "is required");
        }
    }

    /// An object that may be missing, read like this one; its errors are reported at its members.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Members<'_>) -> Option<T>,
    ) -> Option<T> {
        let node = self.get(name)?;
        let Some(map) = node.as_map() else {
            self.error(name, format!("must be an object, not {}", node.kind()));
            return None;
        };
        let (at, tolerant) = (self.at.key(name), self.tolerant);
        let mut inner = Members { map, at, errors: Vec::new(), known: Vec::new(), tolerant };
        let value = read(&mut inner);
        inner.report_unknown();
        let sound = inner.errors.is_empty();
        self.errors.extend(inner.errors);
        value.filter(|_| sound)
    }

    /// A list; missing or null is the empty one. Errors are reported at the items. Too long a list is one error.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        most: usize,
        mut parse: impl FnMut(&Node) -> Parsed<T>,
    ) -> Vec<T> {
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
    pub fn required_items(&mut self, name: &'static str, most: usize) -> &'a [Node] {
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

    fn items(&mut self, name: &'static str) -> Option<&'a [Node]> {
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

    /// Reports members that nobody asked for, each with the name that was probably meant.
    fn report_unknown(&mut self) {
        if self.tolerant {
            return;
        }
        for member in self.map.members.iter().filter(|member| !self.known.contains(&&*member.key)) {
            let hint = did_you_mean(&member.key, self.known.iter().copied());
            let text = match self.known_names() {
                _ if !hint.is_empty() => format!("is not known here{hint}"),
                none if none.is_empty() => "is not known here: nothing is read from this body".to_owned(),
                names => format!("is not known here; known are {names}"),
            };
            self.errors.push(Diagnostic::shape(self.at.key(&*member.key), text));
        }
    }

    /// The members that nobody has asked for so far.
    pub fn unread_names(&self) -> Vec<String> {
        let members = self.map.members.iter();
        members
            .filter(|member| !self.known.contains(&&*member.key))
            .map(|member| member.key.to_string())
            .collect()
    }

    fn known_names(&self) -> String {
        let mut names = self.known.clone();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }

    /// Ends the reading: `build` gets its values only if there was no error.
    pub fn finish<T>(mut self, build: impl FnOnce() -> Option<T>) -> Result<T, Vec<Diagnostic>> {
        self.report_unknown();
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
        let mut fields = Members::open(&tree, KeyPath::root()).unwrap().tolerant();
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

    #[test]
    fn a_member_that_nobody_asked_for_is_an_error_with_the_nearest_name() {
        let tree = Node::from_json_text(
            r#"{"reason": "x", "customer": "acme", "colour": null, "deep": {"mini": 1, "max": 2}}"#,
        )
        .unwrap();
        let read = |members: Members<'_>| {
            let mut members = members;
            members.optional("reason", |_| Ok(()));
            members.optional("customer_id", |_| Ok(()));
            members.object("deep", |deep| {
                deep.optional("min", |_| Ok(()));
                deep.accept("max");
                Some(())
            });
            members.finish(|| Some(()))
        };
        let errors = read(Members::open(&tree, KeyPath::root()).unwrap()).unwrap_err();
        let shown: Vec<_> = errors.iter().map(|e| format!("{} {}", e.pointer(), e.text)).collect();
        assert_eq!(
            shown,
            [
                "/deep/mini is not known here (did you mean \"min\"?)",
                "/customer is not known here (did you mean \"customer_id\"?)",
                "/colour is not known here; known are customer_id, deep, reason",
            ]
        );
        assert_eq!(read(Members::open(&tree, KeyPath::root()).unwrap().tolerant()), Ok(()));
    }
}
