//! Files that arguments name; `-` is stdin.

use crate::exit::Failure;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// What a file is called in messages.
pub(crate) fn name(file: &Path) -> String {
    if file == Path::new("-") { "stdin".to_owned() } else { file.display().to_string() }
}

fn unreadable(file: &Path, error: &impl std::fmt::Display) -> Failure {
    Failure::Usage(format!("cannot read {}: {error}", name(file)))
}

/// Reads a file that an option names.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| unreadable(file, &error))
}

/// Reads a file that may be `-` for stdin.
pub(crate) fn read_or_stdin(file: &Path) -> Result<Vec<u8>, Failure> {
    if file != Path::new("-") {
        return read(file);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(|error| unreadable(file, &error))?;
    Ok(bytes)
}

/// The text of a file that may be `-` for stdin.
pub(crate) fn text(file: &Path) -> Result<String, Failure> {
    String::from_utf8(read_or_stdin(file)?)
        .map_err(|_| unreadable(file, &"stream did not contain valid UTF-8"))
}

/// The JSON of a file.
pub(crate) fn json<T: DeserializeOwned>(file: &Path) -> Result<T, Failure> {
    serde_json::from_slice(&read(file)?)
        .map_err(|error| Failure::Invalid(format!("{} is no JSON: {error}", file.display())))
}

/// A document of the configuration, YAML or JSON.
pub(crate) fn document(file: &Path) -> Result<Value, Failure> {
    prefix_config::edit::body::of_text(&name(file), &text(file)?).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::Invalid(lines.join("\n"))
    })
}
