//! The text of a bitmask match: `syn&!ack`, `is_fragment|last_fragment`, and for what has no simple form
//! `(syn|ack)&!fin` and `!(syn&ack)`. A bit without a name is hexadecimal.

use std::fmt::{self, Write as _};

use super::{BitNames, Bitmask, BitmaskError, BitmaskOperand};

impl Bitmask {
    /// Writes the match with the names of the component's bits; a bit without a name is hexadecimal.
    pub(in crate::flowspec) fn write(&self, f: &mut fmt::Formatter<'_>, names: &BitNames) -> fmt::Result {
        let word = |bit: u16| names.name(bit).map_or_else(|| format!("{bit:#x}"), str::to_owned);
        for (index, term) in self.terms.iter().enumerate() {
            if index > 0 {
                f.write_char('|')?;
            }
            for (index, operand) in term.iter().enumerate() {
                if index > 0 {
                    f.write_char('&')?;
                }
                let words: Vec<_> =
                    (0..16).map(|shift| 1 << shift).filter(|bit| operand.bits & bit != 0).map(word).collect();
                let not = if operand.not { "!" } else { "" };
                match words.len() {
                    0 => f.write_str("0x0")?,
                    1 => write!(f, "{not}{}", words[0])?,
                    _ if operand.all => write!(f, "{not}({})", words.join("&"))?,
                    _ if term.len() == 1 && !operand.not => f.write_str(&words.join("|"))?,
                    _ => write!(f, "{not}({})", words.join("|"))?,
                }
            }
        }
        Ok(())
    }

    /// Reads a match with the names of the component's bits.
    pub(in crate::flowspec) fn read(text: &str, names: &BitNames) -> Result<Self, BitmaskError> {
        let syntax = || BitmaskError::Syntax(text.to_owned());
        let terms = split(text, '|')
            .ok_or_else(syntax)?
            .into_iter()
            .map(|term| {
                split(term, '&')
                    .ok_or_else(syntax)?
                    .into_iter()
                    .map(|part| operand(part, names, &syntax))
                    .collect()
            })
            .collect::<Result<_, _>>()?;
        Self::any_of(terms)
    }
}

/// Splits outside parentheses; none if parentheses do not fit.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _ if character == separator && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (depth == 0).then_some(parts)
}

fn operand(
    part: &str,
    names: &BitNames,
    syntax: &impl Fn() -> BitmaskError,
) -> Result<BitmaskOperand, BitmaskError> {
    let (inner, not) = part.strip_prefix('!').map_or((part, false), |inner| (inner, true));
    let Some(group) = inner.strip_prefix('(') else {
        return Ok(BitmaskOperand { bits: bits_of(inner, names, syntax)?, not, all: true });
    };
    let group = group.strip_suffix(')').ok_or_else(syntax)?;
    let (all, any) = (group.contains('&'), group.contains('|'));
    if all == any {
        return Err(syntax());
    }
    let bits = group
        .split(if all { '&' } else { '|' })
        .try_fold(0, |bits, word| bits_of(word, names, syntax).map(|bit| bits | bit))?;
    Ok(BitmaskOperand { bits, not, all })
}

fn bits_of(word: &str, names: &BitNames, syntax: &impl Fn() -> BitmaskError) -> Result<u16, BitmaskError> {
    match word.strip_prefix("0x") {
        Some(digits) if !digits.starts_with('+') => u16::from_str_radix(digits, 16).map_err(|_| syntax()),
        _ if word.is_empty() || word.contains(['!', '(', ')']) => Err(syntax()),
        _ => names.bit(word),
    }
}
