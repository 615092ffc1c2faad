//! What people see: a few lines, with colour where a terminal shows it.

use anstyle::{AnsiColor, Style};
use std::io::{IsTerminal, Write};

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    coloured: bool,
    terminal: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { coloured: terminal && !forbidden, terminal }
    }

    /// A line that opens a part of the story.
    pub(crate) fn heading(self, text: &str) {
        println!("\n{}", self.styled(Style::new().bold(), text));
    }

    /// A name and what there is to say about it.
    pub(crate) fn fact(self, name: &str, text: &str) {
        let name = format!("{name:<10}");
        println!("  {} {text}", self.styled(Style::new().dimmed(), &name));
    }

    /// A command as one could type it.
    pub(crate) fn command(self, line: &str) {
        println!("  {}", self.styled(AnsiColor::Cyan.on_default(), &format!("$ {line}")));
    }

    /// Something that came out well.
    pub(crate) fn good(self, text: &str) {
        println!("  {} {text}", self.styled(AnsiColor::Green.on_default().bold(), "ok"));
    }

    /// Text of another program, set apart.
    pub(crate) fn quote(self, text: &str) {
        for line in text.trim_end().lines() {
            println!("    {}", self.styled(Style::new(), line));
        }
    }

    /// A line that the next one replaces; only where there is a terminal to replace it in.
    pub(crate) fn passing(self, text: &str) {
        if self.terminal {
            print!("\r\x1b[2K  {}", self.styled(Style::new().dimmed(), text));
            let _ = std::io::stdout().flush();
        }
    }

    /// Takes away the last passing line.
    pub(crate) fn passed(self) {
        if self.terminal {
            print!("\r\x1b[2K");
            let _ = std::io::stdout().flush();
        }
    }

    fn styled(self, style: Style, text: &str) -> String {
        if self.coloured { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
