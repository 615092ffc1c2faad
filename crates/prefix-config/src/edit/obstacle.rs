//! What a file says only together with the environment cannot be written down without losing that.

use super::super::document::{Content, Node};
use super::super::finding::{Finding, FindingKind, Place, Severity};
use super::super::folder::{ConfigSource, SETTINGS};
use super::super::interpolate::has_variable;
use super::super::merge::Overrides;
use super::super::path::KeyPath;
use super::Document;

impl ConfigSource {
    /// Why the document cannot be replaced: variables that lie over its file, which would go on to win, and variables
    /// that stand in it, in whose place their values would be written. Empty if nothing is in the way.
    pub fn obstacles(&self, document: Document) -> Vec<Finding> {
        let file = document.file();
        let over = Overrides::of(document.word(), self.environment());
        let over = over.variables().map(|variable| {
            let text = format!("this variable lies over {file}, and would go on to win over what is written: take it out of the environment and restart");
            finding(Place::Environment(variable.to_owned()), KeyPath::root(), text)
        });
        over.chain(self.references(document)).collect()
    }

    fn references(&self, document: Document) -> Vec<Finding> {
        let (file, Ok(text)) = (document.file(), self.text(document.file())) else { return Vec::new() };
        let parsed = |text: &str| Node::parse(text).ok();
        let (file, node) = match text {
            Some(text) => (file, parsed(&text)),
            None => {
                let settings = self.text(SETTINGS).ok().flatten();
                let section = settings.and_then(|text| parsed(&text)?.take_member(document.word()));
                (SETTINGS, section)
            }
        };
        let mut found = Vec::new();
        if let Some(node) = node {
            found.extend(references(&node).into_iter().map(|path| {
                let place = Place::File { name: file.to_owned(), line: Some(node.line_of(&path)) };
                let text = format!("{path} takes its value from a variable, and that value would be written in its place: edit the file and reload");
                finding(place, path, text)
            }));
        }
        found
    }
}

/// Every place where a variable stands.
pub(super) fn references(node: &Node) -> Vec<KeyPath> {
    let mut found = Vec::new();
    collect(node, &KeyPath::root(), &mut found);
    found
}

fn finding(place: Place, path: KeyPath, text: String) -> Finding {
    Finding { severity: Severity::Error, kind: FindingKind::Rule, place, path, text }
}

fn collect(node: &Node, path: &KeyPath, found: &mut Vec<KeyPath>) {
    match &node.content {
        Content::Text(text) if has_variable(text) => found.push(path.clone()),
        Content::List(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &path.index(index), found);
            }
        }
        Content::Map(map) => {
            for member in &map.members {
                collect(&member.value, &path.key(&*member.key), found);
            }
        }
        _ => {}
    }
}
