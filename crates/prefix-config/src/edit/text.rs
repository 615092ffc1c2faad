//! A document as the text of its file: what is written reads back as the same document, whatever stands in it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_saphyr::{SerializerOptions, ser_options};
use thiserror::Error;

use super::super::Environment;
use super::super::read::{Source, read_file};
use super::Document;

/// A document that no file can hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextError {
    /// The writer refuses it.
    #[error("the document cannot be written as YAML: {0}")]
    Unwritable(String),
    /// It would not come back as it was.
    #[error("{0} would not read back as what was sent, so it is not written")]
    Altered(&'static str),
}

/// The text of the file, with a remark on where the comments are.
pub fn text_of<T>(document: Document, content: &T) -> Result<String, TextError>
where
    T: Serialize + DeserializeOwned + PartialEq,
{
    let unwritable = |error: serde_saphyr::SerializeError| TextError::Unwritable(error.to_string());
    let mut body = serde_saphyr::to_string_with_options(content, style(false)).map_err(unwritable)?;
    if body.contains("${") {
        // what was sent means itself: no variable is put in its place when the file is read, and in quotes it stays text
        body = serde_saphyr::to_string_with_options(content, style(true)).map_err(unwritable)?;
        body = body.replace("${", "$${");
    }
    let file = document.file();
    let text =
        format!("# Written by prefixd, comments are lost. The file before this one: {file}.bak\n{body}");
    let source = Source { file: file.to_owned(), text: text.clone() };
    let back = read_file::<T>(source, document.as_str(), &Environment::new());
    if back.is_sound() && back.value.as_ref() == Some(content) {
        Ok(text)
    } else {
        Err(TextError::Altered(file))
    }
}

fn style(quoted: bool) -> SerializerOptions {
    ser_options! { quote_all: quoted, prefer_block_scalars: false }
}
