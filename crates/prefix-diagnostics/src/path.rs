//! A key path names one place of a document, whatever file or body it came from.

use std::fmt;

/// The most characters of a key that a JSON pointer repeats: keys come from outside.
const LONGEST_TOKEN: usize = 100;

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Into a map.
    Key(String),
    /// Into a list, 0-based.
    Index(usize),
}

/// The way from the root of a document to one value, shown as `playbooks[0].steps[1].rate_bps`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyPath(Vec<Segment>);

impl KeyPath {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// A path of keys and list positions written with dots: `bgp.neighbors.0.address`.
    ///
    /// For keys known to the program, which hold no dots; a word of digits is a list position.
    pub fn dotted(text: &str) -> Self {
        Self(text.split('.').filter(|word| !word.is_empty()).map(segment).collect())
    }

    /// This path, one key deeper.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.child(Segment::Key(key.into()))
    }

    /// This path, one list position deeper.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.child(Segment::Index(index))
    }

    /// This path, one step deeper.
    #[must_use]
    pub fn child(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    /// The steps from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// True for the document itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The place that holds this one; none for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    /// The last step; none for the root.
    pub fn last(&self) -> Option<&Segment> {
        self.0.last()
    }

    /// The place of this path in a document that has its root at `place`.
    #[must_use]
    pub fn below(&self, place: &Self) -> Self {
        Self(place.0.iter().chain(&self.0).cloned().collect())
    }

    /// Puts a step in front of all others.
    pub fn prepend(&mut self, segment: Segment) {
        self.0.insert(0, segment);
    }

    /// Whether `other` is this place or lies below it.
    pub fn holds(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The JSON pointer of this place (RFC 6901); empty for the root. Of each key it shows at most 100 characters.
    pub fn pointer(&self) -> String {
        let mut out = String::new();
        for segment in &self.0 {
            out.push('/');
            match segment {
                Segment::Key(key) => {
                    let shown: String = key.chars().take(LONGEST_TOKEN).collect();
                    out.push_str(&shown.replace('~', "~0").replace('/', "~1"));
                }
                Segment::Index(index) => out.push_str(&index.to_string()),
            }
        }
        out
    }

    /// The part a reader needs beside the line number: from the innermost list element on.
    ///
    /// `playbooks[1].steps[0].match` gives `steps[0].match`; a path without lists stays whole.
    #[must_use]
    pub fn innermost(&self) -> Self {
        let Some(index) = self.0.iter().rposition(|segment| matches!(segment, Segment::Index(_))) else {
            return self.clone();
        };
        let named = self.0[..index].iter().rposition(|segment| matches!(segment, Segment::Key(_)));
        Self(self.0[named.unwrap_or(0)..].to_vec())
    }
}

fn segment(word: &str) -> Segment {
    match word.parse() {
        Ok(index) if word == "0" || !word.starts_with(['0', '+']) => Segment::Index(index),
        _ => Segment::Key(word.to_owned()),
    }
}

/// As [`KeyPath::dotted`].
impl From<String> for KeyPath {
    fn from(text: String) -> Self {
        Self::dotted(&text)
    }
}

/// As [`KeyPath::dotted`].
impl From<&str> for KeyPath {
    fn from(text: &str) -> Self {
        Self::dotted(text)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_document() {
        let path = KeyPath::dotted("playbooks.1.steps.0").key("match").key("a/b~c");
        assert_eq!(path.to_string(), "playbooks[1].steps[0].match.a/b~c");
        assert_eq!(path.pointer(), "/playbooks/1/steps/0/match/a~1b~0c");
        assert_eq!(KeyPath::root().key("x".repeat(5_000)).pointer().len(), 101);
    }

    #[test]
    fn the_innermost_part_begins_at_the_last_list() {
        assert_eq!(KeyPath::dotted("playbooks.1.steps.0.match").innermost().to_string(), "steps[0].match");
        assert_eq!(KeyPath::dotted("http.rate_limit").innermost().to_string(), "http.rate_limit");
        assert_eq!(KeyPath::root().innermost().to_string(), "");
    }
}
