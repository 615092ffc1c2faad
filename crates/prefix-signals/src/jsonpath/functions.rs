//! The functions of RFC 9535 §2.4.

use serde_json::Value;

use super::parse::{Operand, Parser};
use super::scan::Read;
use super::syntax::{Comparable, Logical};
use crate::expression::{Anchored, Pattern};

/// Reads the arguments of a function; its name, which begins at `place`, and `(` are read.
pub(super) fn call(parser: &mut Parser<'_, '_>, name: &str, place: usize) -> Read<Operand> {
    let called = parser.nested(|parser| {
        parser.scan.blanks();
        let called = match name {
            "length" => Operand::Value(Comparable::Length(Box::new(value(parser)?))),
            "count" => Operand::Value(Comparable::Count(parser.query()?)),
            "value" => Operand::Value(Comparable::ValueOf(parser.query()?)),
            "match" => Operand::Test(fits(parser, Anchored::Yes)?),
            "search" => Operand::Test(fits(parser, Anchored::No)?),
            _ => {
                parser.scan.back_to(place);
                return parser.scan.wrong(format!(
                    "the function {name:?} is unknown: there are length, count, value, match and search"
                ));
            }
        };
        parser.scan.blanks();
        Ok(called)
    })?;
    parser.scan.expect(")")?;
    Ok(called)
}

fn value(parser: &mut Parser<'_, '_>) -> Read<Comparable> {
    let place = parser.scan.place();
    let operand = parser.operand()?;
    parser.comparable(operand, place)
}

/// The arguments of `match` and `search`.
fn fits(parser: &mut Parser<'_, '_>, anchored: Anchored) -> Read<Logical> {
    let text = value(parser)?;
    parser.scan.blanks();
    parser.scan.expect(",")?;
    parser.scan.blanks();
    let place = parser.scan.place();
    let Comparable::Literal(Value::String(pattern)) = value(parser)? else {
        parser.scan.back_to(place);
        return parser.scan.wrong("the pattern must be a text in quotes: none is taken from a payload");
    };
    match Pattern::compile(&pattern, anchored, parser.budget) {
        Ok(pattern) => Ok(Logical::Fits(text, pattern)),
        Err(error) => {
            parser.scan.back_to(place);
            parser.scan.wrong(error.to_string())
        }
    }
}
