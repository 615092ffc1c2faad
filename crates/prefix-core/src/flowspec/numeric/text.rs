//! The text of a numeric match: `=80|=443`, `<53|>53`, `>=20&<=100`.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use super::{Condition, Numeric, NumericError, Relation};

/// Longer operators first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Relation); 6] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("!=", Relation::NotEqual),
    ("=", Relation::Equal),
    ("<", Relation::Less),
    (">", Relation::Greater),
];

impl Relation {
    fn sign(self) -> &'static str {
        OPERATORS.iter().find_map(|(sign, relation)| (*relation == self).then_some(*sign)).unwrap_or("")
    }
}

impl Numeric {
    /// Writes the match; `plain` may write `=N` in another form.
    pub(in crate::flowspec) fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        plain: impl Fn(u64) -> Option<String>,
    ) -> fmt::Result {
        for (index, term) in self.alternatives().enumerate() {
            if index > 0 {
                f.write_char('|')?;
            }
            for (index, condition) in term.into_iter().enumerate() {
                if index > 0 {
                    f.write_char('&')?;
                }
                match plain(condition.value).filter(|_| condition.relation == Relation::Equal) {
                    Some(text) => f.write_str(&text)?,
                    None => write!(f, "{}{}", condition.relation.sign(), condition.value)?,
                }
            }
        }
        Ok(())
    }

    /// Reads a match; `named` gives the number of a word. A number without operator is `=`.
    pub(in crate::flowspec) fn read(
        text: &str,
        named: impl Fn(&str) -> Option<u64>,
    ) -> Result<Self, NumericError> {
        let condition = |part: &str| {
            let (relation, number) = OPERATORS
                .iter()
                .find_map(|(sign, relation)| part.strip_prefix(sign).map(|rest| (*relation, rest)))
                .unwrap_or((Relation::Equal, part));
            let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            let value = named(number).or_else(|| number.parse().ok().filter(|_| digits));
            value.map(|value| Condition { relation, value })
        };
        let term = |term: &str| term.split('&').map(condition).collect::<Option<Vec<_>>>();
        let alternatives = text.split('|').map(term).collect::<Option<Vec<_>>>();
        Self::from_conditions(alternatives.ok_or_else(|| NumericError::Syntax(text.to_owned()))?)
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, |_| None)
    }
}

impl FromStr for Numeric {
    type Err = NumericError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text, |_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        text.parse::<Numeric>().unwrap().to_string()
    }

    #[test]
    fn a_bare_number_is_equality() {
        assert_eq!(canonical("80|443"), "=80|=443");
    }

    #[test]
    fn not_equal_becomes_ranges() {
        assert_eq!(canonical("!=53"), "<53|>53");
        assert_eq!(canonical("!=53&!=54"), "<53|>54");
        assert_eq!(canonical("!=443&!=53"), "<53|>53&<443|>443");
        assert_eq!(canonical(">=1024&<=65535&!=3306"), ">=1024&<3306|>3306&<=65535");
        assert_eq!(canonical(">=20&<=100&!=20"), ">20&<=100");
    }

    #[test]
    fn the_order_of_writing_does_not_matter() {
        assert_eq!(canonical(">53|<53"), "<53|>53");
        assert_eq!(canonical("<=100&>=20"), ">=20&<=100");
        assert_eq!(canonical(">4&>=5"), canonical(">=5&>4"));
        assert_eq!(canonical("<6&<=5"), canonical("<=5&<6"));
    }

    #[test]
    fn bounds_that_say_nothing_are_left_out() {
        assert_eq!(canonical(">=0&<5"), "<5");
        assert_eq!(canonical(">=0"), ">=0");
        assert_eq!(canonical("=5&>3"), "=5");
        assert_eq!(canonical("=5|=3&=4"), "=5");
    }

    #[test]
    fn what_is_no_match_is_refused() {
        for text in
            ["", "=", "a", "=80|", "80&", "=-1", "=+1", "= 80", "=18446744073709551616", "==80", "<>5"]
        {
            assert_eq!(text.parse::<Numeric>(), Err(NumericError::Syntax(text.to_owned())));
        }
        assert_eq!("=5&=6".parse::<Numeric>(), Err(NumericError::MatchesNothing));
    }
}
