//! Text for people, line by line.

use crate::output::{Eyes, Tone};

/// A text in the making.
#[derive(Debug)]
pub(crate) struct Prose {
    pub(crate) eyes: Eyes,
    text: String,
}

impl Prose {
    pub(crate) fn new(eyes: Eyes) -> Self {
        Self { eyes, text: String::new() }
    }

    /// A line whose parts are painted, and so made harmless, already.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref().trim_end());
        self.text.push('\n');
    }

    /// A line in one colour.
    pub(crate) fn toned(&mut self, tone: Tone, line: &str) {
        let line = self.eyes.paint.paint(tone, line);
        self.line(line);
    }

    /// A heading, with an empty line before it.
    pub(crate) fn heading(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.line("");
        }
        self.toned(Tone::Strong, text);
    }

    /// One fact: a dim label of fixed width and its text.
    pub(crate) fn fact(&mut self, label: &str, text: &str) {
        let paint = self.eyes.paint;
        let label = paint.paint(Tone::Dim, &format!("{label:<8}"));
        self.line(format!("  {label}  {}", paint.paint(Tone::Plain, text)));
    }

    /// One fact, if there is something to say.
    pub(crate) fn fact_of(&mut self, label: &str, text: Option<impl ToString>) {
        if let Some(text) = text {
            self.fact(label, &text.to_string());
        }
    }

    /// One item behind a coloured mark.
    pub(crate) fn item(&mut self, tone: Tone, mark: &str, text: &str) {
        let paint = self.eyes.paint;
        self.line(format!("  {} {}", paint.paint(tone, mark), paint.paint(Tone::Plain, text)));
    }

    /// Finished lines.
    pub(crate) fn block(&mut self, block: &str) {
        self.text.push_str(block);
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}
