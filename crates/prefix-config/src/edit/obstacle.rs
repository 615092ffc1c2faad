//! What a file says only together with the environment cannot be written down without losing that.

use prefix_diagnostics::{Diagnostic, KeyPath, Place};

use super::super::folder::{ConfigSource, SETTINGS};
use super::super::interpolate::references;
use super::super::merge::Overrides;
use super::super::yaml;
use super::Document;

impl ConfigSource {
    /// Why the document cannot be replaced: variables that lie over its file, which would go on to win, and variables
    /// that stand in it, in whose place their values would be written. Empty if nothing is in the way.
    pub fn obstacles(&self, document: Document) -> Vec<Diagnostic> {
        let file = document.file();
        let over = Overrides::of(document.as_str(), self.environment());
        let over = over.variables().map(|variable| {
            let text = format!("this variable lies over {file}, and would go on to win over what is written: take it out of the environment and restart");
            Diagnostic::error(KeyPath::root(), text).at(Place::Environment(variable.to_owned()))
        });
        over.chain(self.references(document)).collect()
    }

    fn references(&self, document: Document) -> Vec<Diagnostic> {
        let parsed = |text: &str| yaml::parse(text).ok();
        let (file, node) = match self.text(document.file()) {
            Err(_) => return Vec::new(),
            Ok(Some(text)) => (document.file(), parsed(&text)),
            Ok(None) => {
                let settings = self.text(SETTINGS).ok().flatten();
                (SETTINGS, settings.and_then(|text| parsed(&text)?.take_member(document.as_str())))
            }
        };
        let Some(mut node) = node else { return Vec::new() };
        let found = references(&mut node).into_iter().map(|path| {
            let place = Place::line(file, node.line_of(&path));
            let text = format!("{path} takes its value from a variable, and that value would be written in its place: edit the file and reload");
            Diagnostic::error(path, text).at(place)
        });
        found.collect()
    }
}
