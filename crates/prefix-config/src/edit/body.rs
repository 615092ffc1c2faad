//! From a file, wherever it lies, to the body of a request: the same language as the files of the daemon, except that no
//! variable is put in: whose environment would it be?

use serde_json::Value;

use super::super::Environment;
use super::super::document::Node;
use super::super::finding::{Finding, FindingKind, Place, Severity};
use super::super::interpolate::interpolate;
use super::super::path::KeyPath;
use super::obstacle::references;

/// Reads YAML or JSON. `name` is what the file is called in findings.
pub fn of_text(name: &str, text: &str) -> Result<Value, Vec<Finding>> {
    let finding = |path: KeyPath, line: Option<u64>, text: String| Finding {
        severity: Severity::Error,
        kind: FindingKind::Shape,
        place: Place::File { name: name.to_owned(), line },
        path,
        text,
    };
    let mut node =
        Node::parse(text).map_err(|error| vec![finding(KeyPath::root(), error.line, error.text)])?;
    let repeated = node.repeated_keys().into_iter().map(|(path, line, first)| {
        let text = format!("{path} is given twice, first in line {first}");
        finding(path, Some(line), text)
    });
    let variables = references(&node).into_iter().map(|path| {
        let line = Some(node.line_of(&path));
        let text = format!("{path}: a variable is only replaced in the files of the server: write its value, or \"$${{\" for a literal \"${{\"");
        finding(path, line, text)
    });
    let findings: Vec<Finding> = repeated.chain(variables).collect();
    if !findings.is_empty() {
        return Err(findings);
    }
    // what is left are literals
    interpolate(&mut node, text, &Environment::new());
    Ok(node.to_json())
}
