//! The characters of a path, one after the other, with the literals that they make.

use serde_json::{Number, Value};

/// The largest index, 2^53 - 1 (RFC 9535 §2.1).
const LARGEST_INDEX: i64 = (1 << 53) - 1;

/// What is wrong, and at which octet.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) what: String,
}

pub(super) type Read<T> = Result<T, Wrong>;

/// A text that is read from its beginning.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub(super) fn place(&self) -> usize {
        self.at
    }

    pub(super) fn back_to(&mut self, place: usize) {
        self.at = place;
    }

    pub(super) fn wrong<T>(&self, what: impl Into<String>) -> Read<T> {
        Err(Wrong { at: self.at, what: what.into() })
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Takes the word if it comes next.
    pub(super) fn takes(&mut self, word: &str) -> bool {
        let is_next = self.rest().starts_with(word);
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    pub(super) fn expect(&mut self, word: &str) -> Read<()> {
        if self.takes(word) { Ok(()) } else { self.wrong(format!("expected {word:?}")) }
    }

    /// Passes over blanks (`S` of the grammar).
    pub(super) fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// `member-name-shorthand`.
    pub(super) fn shorthand(&mut self) -> Option<&'t str> {
        let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_' || !letter.is_ascii();
        self.peek().filter(|first| is_first(*first))?;
        Some(self.take_while(|letter| is_first(letter) || letter.is_ascii_digit()))
    }

    /// The name of a function.
    pub(super) fn function_name(&mut self) -> &'t str {
        self.take_while(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
    }

    /// Whether an integer comes next.
    pub(super) fn is_at_integer(&self) -> bool {
        self.peek().is_some_and(|next| next == '-' || next.is_ascii_digit())
    }

    /// `int`: no leading zero, no `-0`, within 2^53.
    pub(super) fn integer(&mut self) -> Read<i64> {
        let start = self.at;
        let minus = self.takes("-");
        let digits = self.take_while(|letter| letter.is_ascii_digit());
        let number: Option<i64> = self.text[start..self.at].parse().ok();
        let is_canonical = !digits.starts_with('0') || (digits == "0" && !minus);
        match number.filter(|number| is_canonical && number.abs() <= LARGEST_INDEX) {
            Some(number) => Ok(number),
            None => {
                self.at = start;
                self.wrong("expected an integer from -(2^53-1) to 2^53-1 without leading zero")
            }
        }
    }

    /// `number` of a comparison: as in JSON.
    pub(super) fn number(&mut self) -> Read<Value> {
        let start = self.at;
        self.take_while(|letter| letter.is_ascii_digit() || matches!(letter, '-' | '+' | '.' | 'e' | 'E'));
        match self.text[start..self.at].parse::<Number>() {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) => {
                self.at = start;
                self.wrong("expected a number as in JSON")
            }
        }
    }

    /// `string-literal`, in single or double quotes.
    pub(super) fn string(&mut self) -> Read<String> {
        let Some(quote @ ('"' | '\'')) = self.peek() else {
            return self.wrong("expected a text in quotes");
        };
        let start = self.at;
        self.next();
        let mut text = String::new();
        loop {
            let before = self.at;
            match self.next() {
                None => {
                    self.at = start;
                    return self.wrong("a text whose closing quote is missing");
                }
                Some(end) if end == quote => return Ok(text),
                Some('\\') => text.push(self.escaped(quote)?),
                Some(control) if u32::from(control) < 0x20 => {
                    self.at = before;
                    return self.wrong("a control character in a text: write it as \\u00XX");
                }
                Some(letter) => text.push(letter),
            }
        }
    }

    fn escaped(&mut self, quote: char) -> Read<char> {
        let place = self.at;
        let letter = match self.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(same @ ('/' | '\\')) => same,
            Some(same) if same == quote => same,
            Some('u') => return self.code_point(),
            _ => {
                self.at = place;
                return self.wrong("an unknown escape");
            }
        };
        Ok(letter)
    }

    /// The four hexadecimal digits behind `\u`, or two such escapes that make one character.
    fn code_point(&mut self) -> Read<char> {
        let place = self.at;
        let mut units = vec![self.four_digits()?];
        if (0xD800..0xDC00).contains(&units[0]) {
            self.expect("\\u")?;
            units.push(self.four_digits()?);
        }
        match char::decode_utf16(units).next() {
            Some(Ok(letter)) => Ok(letter),
            _ => {
                self.at = place;
                self.wrong("half of a surrogate pair")
            }
        }
    }

    fn four_digits(&mut self) -> Read<u16> {
        let digits =
            self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
            Some(unit) => {
                self.at += 4;
                Ok(unit)
            }
            None => self.wrong("expected four hexadecimal digits"),
        }
    }
}
