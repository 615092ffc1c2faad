//! From a file, wherever it lies, to the body of a request: the same language as the files of the daemon, except that no
//! variable is put in: whose environment would it be?

use prefix_diagnostics::{Diagnostic, Place};
use serde_json::Value;

use super::super::Environment;
use super::super::interpolate::{interpolate, references};
use super::super::read::{Reading, repeated};
use super::super::yaml;

/// Reads YAML or JSON. `name` is what the file is called in diagnostics.
pub fn of_text(name: &str, text: &str) -> Result<Value, Vec<Diagnostic>> {
    let mut node =
        yaml::parse(text).map_err(|error| Reading::<Value>::unreadable(name, error).diagnostics)?;
    let mut found = repeated(name, &node);
    for path in references(&mut node) {
        let place = Place::line(name, node.line_of(&path));
        let text = format!(
            "{path}: a variable is only replaced in the files of the server: write its value, or \"$${{\" for a literal \"${{\""
        );
        found.push(Diagnostic::shape(path, text).at(place));
    }
    if !found.is_empty() {
        return Err(found);
    }
    // what is left are literals
    interpolate(&mut node, text, &Environment::new());
    // a number that JSON does not know becomes null
    Ok(serde_json::to_value(&node).unwrap_or_default())
}
