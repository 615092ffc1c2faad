//! From text to a path, by recursive descent whose depth is bounded.

use serde_json::Value;

use super::functions;
use super::scan::{Read, Scanner};
use super::syntax::{Comparable, Comparison, Logical, Query, Segment, Selector, Slice};
use super::{DEEPEST_NESTING, MOST_SEGMENTS};
use crate::expression::ExpressionBudget;

/// Reads a whole path.
pub(super) fn path(text: &str, budget: &mut ExpressionBudget) -> Read<Query> {
    let mut parser = Parser { scan: Scanner::new(text), depth: 0, budget };
    parser.scan.expect("$")?;
    let query = Query { is_absolute: true, segments: parser.segments()? };
    match parser.scan.rest() {
        "" => Ok(query),
        _ => parser.scan.wrong("expected \".\", \"[\" or the end"),
    }
}

pub(super) struct Parser<'t, 'b> {
    pub(super) scan: Scanner<'t>,
    depth: usize,
    pub(super) budget: &'b mut ExpressionBudget,
}

/// What stands on a side of a comparison, or alone as a test.
pub(super) enum Operand {
    /// A path, which is a test or, if it is singular, a value.
    Query(Query),
    Value(Comparable),
    Test(Logical),
}

impl Parser<'_, '_> {
    /// Reads something within something else.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth == DEEPEST_NESTING {
            return self.scan.wrong(format!(
                "filters, parentheses and functions are nested deeper than {DEEPEST_NESTING}"
            ));
        }
        self.depth += 1;
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    fn segments(&mut self) -> Read<Vec<Segment>> {
        let mut segments = Vec::new();
        loop {
            let place = self.scan.place();
            self.scan.blanks();
            let segment = if self.scan.takes("..") {
                Segment::Descendant(match self.scan.peek() {
                    Some('[') => self.bracketed()?,
                    _ => vec![self.dotted()?],
                })
            } else if self.scan.takes(".") {
                Segment::Child(vec![self.dotted()?])
            } else if self.scan.peek() == Some('[') {
                Segment::Child(self.bracketed()?)
            } else {
                // blanks that no segment follows belong to what comes next
                self.scan.back_to(place);
                return Ok(segments);
            };
            segments.push(segment);
            if segments.len() > MOST_SEGMENTS {
                return self.scan.wrong(format!("more than {MOST_SEGMENTS} segments"));
            }
        }
    }

    /// What follows a dot.
    fn dotted(&mut self) -> Read<Selector> {
        if self.scan.takes("*") {
            return Ok(Selector::Wildcard);
        }
        match self.scan.shorthand() {
            Some(name) => Ok(Selector::Name(name.to_owned())),
            None => self.scan.wrong("expected a name or \"*\""),
        }
    }

    fn bracketed(&mut self) -> Read<Vec<Selector>> {
        self.scan.expect("[")?;
        let mut selectors = Vec::new();
        loop {
            self.scan.blanks();
            selectors.push(self.selector()?);
            self.scan.blanks();
            if !self.scan.takes(",") {
                break;
            }
        }
        self.scan.expect("]")?;
        Ok(selectors)
    }

    fn selector(&mut self) -> Read<Selector> {
        match self.scan.peek() {
            Some('"' | '\'') => self.scan.string().map(Selector::Name),
            Some('*') => self.scan.expect("*").map(|()| Selector::Wildcard),
            Some('?') => {
                self.scan.expect("?")?;
                self.nested(Self::any).map(Selector::Filter)
            }
            _ => self.index_or_slice(),
        }
    }

    fn index_or_slice(&mut self) -> Read<Selector> {
        let start = self.optional_integer()?;
        let place = self.scan.place();
        self.scan.blanks();
        if !self.scan.takes(":") {
            self.scan.back_to(place);
            return match start {
                Some(index) => Ok(Selector::Index(index)),
                None => self.scan.wrong("expected a name in quotes, an index, a slice, \"*\" or \"?\""),
            };
        }
        self.scan.blanks();
        let end = self.optional_integer()?;
        let place = self.scan.place();
        self.scan.blanks();
        let mut step = 1;
        if self.scan.takes(":") {
            let place = self.scan.place();
            self.scan.blanks();
            match self.optional_integer()? {
                Some(given) => step = given,
                None => self.scan.back_to(place),
            }
        } else {
            self.scan.back_to(place);
        }
        Ok(Selector::Slice(Slice { start, end, step }))
    }

    fn optional_integer(&mut self) -> Read<Option<i64>> {
        if self.scan.is_at_integer() { self.scan.integer().map(Some) } else { Ok(None) }
    }

    /// `logical-or-expr`.
    pub(super) fn any(&mut self) -> Read<Logical> {
        let mut parts = vec![self.all()?];
        while self.takes_word("||") {
            parts.push(self.all()?);
        }
        Ok(alone(parts, Logical::Any))
    }

    /// `logical-and-expr`.
    fn all(&mut self) -> Read<Logical> {
        let mut parts = vec![self.basic()?];
        while self.takes_word("&&") {
            parts.push(self.basic()?);
        }
        Ok(alone(parts, Logical::All))
    }

    /// Takes the word if it comes after blanks.
    fn takes_word(&mut self, word: &str) -> bool {
        let place = self.scan.place();
        self.scan.blanks();
        let taken = self.scan.takes(word);
        if !taken {
            self.scan.back_to(place);
        }
        taken
    }

    fn basic(&mut self) -> Read<Logical> {
        self.scan.blanks();
        let negated = self.scan.takes("!");
        self.scan.blanks();
        let part = if self.scan.takes("(") {
            let inner = self.nested(Self::any)?;
            self.scan.blanks();
            self.scan.expect(")")?;
            inner
        } else {
            self.test_or_comparison(negated)?
        };
        Ok(if negated { Logical::Not(Box::new(part)) } else { part })
    }

    fn test_or_comparison(&mut self, negated: bool) -> Read<Logical> {
        let place = self.scan.place();
        let left = self.operand()?;
        let comparison = if negated { None } else { self.comparison() };
        let Some(comparison) = comparison else {
            return match left {
                Operand::Query(query) => Ok(Logical::Exists(query)),
                Operand::Test(test) => Ok(test),
                Operand::Value(_) => {
                    self.scan.back_to(place);
                    self.scan.wrong("a value is no condition: compare it with another one")
                }
            };
        };
        let left = self.comparable(left, place)?;
        self.scan.blanks();
        let place = self.scan.place();
        let right = self.operand()?;
        let right = self.comparable(right, place)?;
        Ok(Logical::Compare(left, comparison, right))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        // longer words first
        const WORDS: [(&str, Comparison); 6] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        WORDS.iter().find_map(|(word, comparison)| self.takes_word(word).then_some(*comparison))
    }

    pub(super) fn operand(&mut self) -> Read<Operand> {
        let literal = |value: Value| Ok(Operand::Value(Comparable::Literal(value)));
        match self.scan.peek() {
            Some('@' | '$') => self.query().map(Operand::Query),
            Some('"' | '\'') => literal(Value::String(self.scan.string()?)),
            Some(next) if next == '-' || next.is_ascii_digit() => literal(self.scan.number()?),
            _ => {
                let place = self.scan.place();
                match self.scan.function_name() {
                    "true" => literal(Value::Bool(true)),
                    "false" => literal(Value::Bool(false)),
                    "null" => literal(Value::Null),
                    name if !name.is_empty() && self.scan.takes("(") => functions::call(self, name, place),
                    _ => {
                        self.scan.back_to(place);
                        self.scan.wrong("expected a path, a literal or a function")
                    }
                }
            }
        }
    }

    /// A path within a filter.
    pub(super) fn query(&mut self) -> Read<Query> {
        let is_absolute = self.scan.takes("$");
        if !is_absolute {
            self.scan.expect("@")?;
        }
        Ok(Query { is_absolute, segments: self.segments()? })
    }

    /// An operand as a value; `place` is where it begins.
    pub(super) fn comparable(&mut self, operand: Operand, place: usize) -> Read<Comparable> {
        let why = match operand {
            Operand::Value(value) => return Ok(value),
            Operand::Query(query) if query.is_singular() => return Ok(Comparable::Singular(query)),
            Operand::Query(_) => "a path that may find several values cannot be compared",
            Operand::Test(_) => "a condition cannot be compared",
        };
        self.scan.back_to(place);
        self.scan.wrong(why)
    }
}

/// One part stands for itself.
fn alone(mut parts: Vec<Logical>, join: impl FnOnce(Vec<Logical>) -> Logical) -> Logical {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}
