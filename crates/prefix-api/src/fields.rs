//! The members of an object, read one by one: every mistake is noted, none ends the reading.

use crate::json::{Object, Tree};
use crate::pointer::Pointer;
use crate::problem::FieldError;

/// What a member has to be, or why it is not that.
pub(crate) type Parsed<T> = Result<T, String>;

/// The members of one object.
pub(crate) struct Fields<'a> {
    object: &'a Object,
    at: Pointer<'a>,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// Opens an object; anything else is a mistake. Members given twice are noted at any depth.
    pub(crate) fn open(tree: &'a Tree, at: Pointer<'a>) -> Result<Self, Vec<FieldError>> {
        Self::open_but(tree, at, None)
    }

    /// Like [`Fields::open`], but what is below the member `unread` is left to whoever reads that.
    pub(crate) fn open_but(
        tree: &'a Tree,
        at: Pointer<'a>,
        unread: Option<&str>,
    ) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        tree.report_repeated(&at, unread, &mut errors);
        match tree {
            Tree::Object(object) => Ok(Self { object, at, errors }),
            other => {
                errors.push(at.error(format!("must be an object, not {}", other.kind())));
                Err(errors)
            }
        }
    }

    /// A member that may be missing; null counts as missing.
    pub(crate) fn optional<T>(&mut self, name: &str, parse: impl FnOnce(&Tree) -> Parsed<T>) -> Option<T> {
        match self.object.get(name) {
            None | Some(Tree::Null) => None,
            Some(value) => parse(value).map_err(|detail| self.error(name, detail)).ok(),
        }
    }

    /// A member that must be there.
    pub(crate) fn required<T>(&mut self, name: &str, parse: impl FnOnce(&Tree) -> Parsed<T>) -> Option<T> {
        if !self.has(name) {
            self.error(name, "is required");
        }
        self.optional(name, parse)
    }

    /// An object that may be missing, read like this one; its mistakes are noted at its members.
    pub(crate) fn object<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        let object = match self.object.get(name) {
            None | Some(Tree::Null) => return None,
            Some(Tree::Object(object)) => object,
            Some(other) => {
                let kind = other.kind();
                self.error(name, format!("must be an object, not {kind}"));
                return None;
            }
        };
        let mut inner = Fields { object, at: self.at.member(name), errors: Vec::new() };
        let value = read(&mut inner);
        let errors = inner.errors;
        let sound = errors.is_empty();
        self.errors.extend(errors);
        value.filter(|_| sound)
    }

    /// A list; missing or null is the empty one. Mistakes are noted at the items. Too long a list is one mistake.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        most: usize,
        mut parse: impl FnMut(&Tree) -> Parsed<T>,
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
                Err(detail) => self.errors.push(self.at.member(name).index(index).error(detail)),
            }
        }
        values
    }

    /// A list that must be there, with 1 to `most` items, unread.
    pub(crate) fn required_items(&mut self, name: &str, most: usize) -> &'a [Tree] {
        if !self.has(name) {
            self.error(name, "is required");
        }
        match self.items(name) {
            Some(items) if (1..=most).contains(&items.len()) => items,
            Some(items) => {
                self.error(name, format!("has {} items, 1 to {most} are allowed", items.len()));
                &[]
            }
            None => &[],
        }
    }

    fn items(&mut self, name: &str) -> Option<&'a [Tree]> {
        match self.object.get(name) {
            None | Some(Tree::Null) => None,
            Some(Tree::List(items)) => Some(items),
            Some(other) => {
                let kind = other.kind();
                self.error(name, format!("must be a list, not {kind}"));
                None
            }
        }
    }

    /// Whether a member is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        !matches!(self.object.get(name), None | Some(Tree::Null))
    }

    /// Notes a mistake of a member.
    pub(crate) fn error(&mut self, name: &str, detail: impl Into<String>) {
        let error = self.at.member(name).error(detail);
        self.errors.push(error);
    }

    /// Ends the reading: `build` gets its values only if there was no mistake.
    pub(crate) fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Vec<FieldError>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        build().ok_or_else(|| vec![self.at.error("is incomplete")])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_reported_with_its_place() {
        let tree = Tree::parse(r#"{"a": 1, "a": 2, "list": [1, true, null], "deep": "x"}"#).unwrap();
        let mut fields = Fields::open(&tree, Pointer::root()).unwrap();
        fields.required("missing", |_| Ok(()));
        fields.list("list", 10, |item| match item {
            Tree::Integer(value) => Ok(*value),
            other => Err(format!("must be an integer, not {}", other.kind())),
        });
        fields.list::<()>("deep", 10, |_| Ok(()));
        let errors = fields.finish(|| Some(())).unwrap_err();
        let shown: Vec<_> = errors.iter().map(|e| format!("{} {}", e.pointer, e.detail)).collect();
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
        let tree = Tree::parse(r#"{"a": null}"#).unwrap();
        let mut fields = Fields::open(&tree, Pointer::root()).unwrap();
        assert_eq!(fields.optional("a", |_| Ok(1)), None);
        assert!(fields.finish(|| Some(())).is_ok());
    }
}
