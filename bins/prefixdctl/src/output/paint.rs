//! Colour where it helps eyes, and nothing that could harm a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};

/// What a text means; the colour follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
}

impl Tone {
    pub(crate) fn style(self) -> Style {
        let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().effects(Effects::BOLD),
            Self::Dim => Style::new().effects(Effects::DIMMED),
            Self::Good => color(AnsiColor::Green),
            Self::Warn => color(AnsiColor::Yellow),
            Self::Bad => color(AnsiColor::Red).effects(Effects::BOLD),
        }
    }
}

/// Paints, or leaves plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    pub(crate) on: bool,
}

impl Paint {
    /// `text` in the colour of `tone`.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let text = printable(text);
        if !self.on || tone == Tone::Plain {
            return text;
        }
        let style = tone.style();
        format!("{}{text}{}", style.render(), style.render_reset())
    }
}

/// Whether a terminal obeys the character instead of showing it: control characters (C0, DEL, C1), which move, hide and
/// overwrite, and those of Unicode that turn the direction of what follows (UAX #9) or end a line.
pub(crate) fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with what a terminal obeys spelled out: names and reasons come from outside.
pub(crate) fn printable(text: &str) -> String {
    spelled_out(text, &[], |letter, clean| clean.extend(letter.escape_default()))
}

/// JSON that means the same, with what a terminal obeys as `\u` and four hexadecimal digits. Only texts can contain such
/// characters; blanks between them stay.
pub(crate) fn printable_json(text: &str) -> String {
    spelled_out(text, &['\n', '\t'], |letter, clean| {
        if letter == '\r' {
            // stands between texts: within one it is no JSON
            clean.push(' ');
        } else {
            let _ = write!(clean, "\\u{:04x}", u32::from(letter));
        }
    })
}

/// The text of a place in CSV: its line breaks and tabs stay, because quotes surround them.
pub(crate) fn printable_csv(text: &str) -> String {
    spelled_out(text, &['\n', '\t'], |letter, clean| clean.extend(letter.escape_default()))
}

fn spelled_out(text: &str, but: &[char], spell: impl Fn(char, &mut String)) -> String {
    let is_spelled = |letter: char| is_obeyed(letter) && !but.contains(&letter);
    if !text.chars().any(is_spelled) {
        return text.to_owned();
    }
    let mut clean = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_spelled(letter) {
            spell(letter, &mut clean);
        } else {
            clean.push(letter);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_command_the_terminal() {
        assert_eq!(printable("evil\u{1b}[2J\r\nname"), "evil\\u{1b}[2J\\r\\nname");
        assert_eq!(printable("plain"), "plain");
        assert_eq!(
            printable("a\u{9b}2J\u{7f}\u{202e}b\u{2066}\u{2028}"),
            "a\\u{9b}2J\\u{7f}\\u{202e}b\\u{2066}\\u{2028}"
        );
        assert_eq!(printable("Müller, 東京, \u{200d}"), "Müller, 東京, \u{200d}");
    }

    #[test]
    fn json_means_the_same_and_cannot_command_the_terminal() {
        let body = "{\"a\":\r\n \"\u{9b}2J\u{7f}\u{202e}\u{2069}ü\"}";
        let shown = printable_json(body);
        assert_eq!(shown, "{\"a\": \n \"\\u009b2J\\u007f\\u202e\\u2069ü\"}");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&shown), value(body));
        // what is no JSON at all is no danger either
        assert_eq!(printable_json("\u{1b}[2J"), "\\u001b[2J");
    }

    #[test]
    fn colour_is_only_added_when_it_is_on() {
        assert_eq!(Paint { on: false }.paint(Tone::Bad, "x"), "x");
        assert_eq!(Paint { on: true }.paint(Tone::Good, "x"), "\u{1b}[32mx\u{1b}[0m");
    }
}
