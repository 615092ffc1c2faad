//! The query of a URL, read like a body: every mistake is noted. A parameter that nobody knows is one: `?victim=` must not
//! list every mitigation, `?dryrun=true` must not be the real thing, `?acton=unban` must not be a ban.

use std::fmt::Display;
use std::future::{Ready, ready};
use std::ops::RangeInclusive;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use prefix_core::page::PageRequest;
use prefix_diagnostics::{Diagnostic, Parsed, did_you_mean};

use crate::problem::Problem;
use crate::value;

/// The parameters of a request.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    /// What is wrong so far.
    pub(crate) errors: Vec<Diagnostic>,
    known: Vec<&'static str>,
}

impl Query {
    /// From the text behind `?`.
    pub(crate) fn new(text: &str) -> Self {
        let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(text);
        let pairs = pairs.map(actix_web::web::Query::into_inner).unwrap_or_default();
        let errors = text.split('&').filter(|pair| !is_utf8(pair)).map(|pair| {
            let name = pair.split('=').next().filter(|name| is_utf8(name)).unwrap_or_default();
            Diagnostic::query(name, "must be UTF-8, percent-encoded")
        });
        Self { errors: errors.collect(), pairs, known: Vec::new() }
    }

    /// A parameter. An empty one is a mistake: a variable of a script that was not set must not mean "all" or "for real".
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Option<T> {
        self.known.push(name);
        let mut given = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let (first, second) = (given.next()?, given.next());
        let parsed = match second {
            Some(_) => Err("is given twice; give it once".to_owned()),
            None if first.is_empty() => Err("is empty: give it a value, or leave it out".to_owned()),
            None => parse(first),
        };
        parsed.map_err(|text| self.errors.push(Diagnostic::query(name, text))).ok()
    }

    /// A parameter that others have and this endpoint cannot: whoever gives it is told why.
    pub(crate) fn refuse(&mut self, name: &'static str, why: &str) {
        if self.pairs.iter().any(|(key, _)| key == name) {
            self.errors.push(Diagnostic::query(name, why));
            self.pairs.retain(|(key, _)| key != name);
        }
    }

    /// A parameter that a type of the domain reads.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        self.optional(name, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// A parameter that is `true` or `false`.
    pub(crate) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        self.optional(name, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("must be true or false, not {}", value::quoted(other))),
        })
    }

    /// A switch that is off unless it is `true`.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        self.boolean(name).unwrap_or(false)
    }

    /// An integer within a range.
    pub(crate) fn integer(&mut self, name: &'static str, range: RangeInclusive<u16>) -> Option<u16> {
        self.optional(name, |text| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let value = if plain { text.parse::<u16>().ok() } else { None };
            value.filter(|value| range.contains(value)).ok_or_else(|| {
                format!(
                    "must be an integer from {} to {}, not {}",
                    range.start(),
                    range.end(),
                    value::quoted(text)
                )
            })
        })
    }

    /// One of these words.
    pub(crate) fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.optional(name, |text| value::one_of(text, words))
    }

    /// `limit`, `cursor`, `start` and `end` (http-api.md §1.3).
    pub(crate) fn page(&mut self) -> PageRequest {
        PageRequest {
            limit: self.integer("limit", 1..=1000).unwrap_or(100),
            cursor: self.parsed("cursor"),
            start: self.optional("start", time),
            end: self.optional("end", time),
        }
    }

    /// Ends the reading: what was not asked for is a mistake.
    pub(crate) fn finish(mut self) -> Result<(), Vec<Diagnostic>> {
        let mut unknown: Vec<&str> = Vec::new();
        for (name, _) in self.pairs.iter().filter(|(name, _)| !self.known.contains(&name.as_str())) {
            if !unknown.contains(&name.as_str()) {
                unknown.push(name);
            }
        }
        for name in unknown {
            let hint = match (self.known.is_empty(), did_you_mean(name, self.known.iter().copied())) {
                (true, _) => ": this takes no parameters".to_owned(),
                (false, hint) if hint.is_empty() => format!(", only {}", self.known.join(", ")),
                (false, hint) => hint,
            };
            self.errors.push(Diagnostic::query(name, format!("is not known here{hint}")));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }
}

/// Whether this is UTF-8 once its percent signs are decoded.
fn is_utf8(text: &str) -> bool {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let decoded = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &behind[2..] } else { behind };
    }
    std::str::from_utf8(&bytes).is_ok()
}

fn time(text: &str) -> Parsed<chrono::DateTime<chrono::Utc>> {
    value::time_of(text)
        .map_err(|error| if text.contains(' ') { format!("{error}; write + as %2B in a URL") } else { error })
}

impl FromRequest for Query {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::new(request.query_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(query: Query) -> Vec<String> {
        query.finish().unwrap_err().into_iter().map(|e| format!("{} {}", e.pointer(), e.text)).collect()
    }

    #[test]
    fn every_mistake_is_reported_with_its_parameter() {
        let mut query =
            Query::new("limit=0&start=2026-01-01T00:00:00+01:00&explain=yes&cursor=x&a=1&a=2&unknown=1");
        query.page();
        query.flag("explain");
        query.optional("a", |_| Ok(()));
        let errors = errors(query);
        assert_eq!(errors.len(), 6, "{errors:?}");
        assert_eq!(errors[0], "?limit must be an integer from 1 to 1000, not \"0\"");
        assert!(errors[1].starts_with("?cursor cursor is not one"), "{}", errors[1]);
        assert!(errors[2].starts_with("?start") && errors[2].ends_with("%2B in a URL"), "{}", errors[2]);
        assert_eq!(errors[3], "?explain must be true or false, not \"yes\"");
        assert_eq!(errors[4], "?a is given twice; give it once");
        assert_eq!(errors[5], "?unknown is not known here, only limit, cursor, start, end, explain, a");
    }

    #[test]
    fn bytes_that_are_no_text_are_a_mistake_and_not_another_text() {
        for (bad, place) in
            [("action=%FF", "?action"), ("a=1&b=%C3", "?b"), ("%FF=1", "?"), ("a=%c3%28", "?a")]
        {
            let errors = errors(Query::new(bad));
            assert_eq!(errors[0], format!("{place} must be UTF-8, percent-encoded"), "{bad}");
        }
        for good in ["a=%C3%BC", "a=%zz&b=%", "a=100%+%4", "", "a=%F0%9F%94%A5"] {
            let mut query = Query::new(good);
            for name in ["a", "b"] {
                query.optional(name, |_| Ok(()));
            }
            assert!(query.errors.iter().all(|error| error.text.starts_with("is empty")), "{good}");
        }
    }

    #[test]
    fn a_parameter_that_nobody_knows_is_a_mistake() {
        let read = |text: &str| {
            let mut query = Query::new(text);
            query.flag("dry_run");
            query.flag("force");
            query
        };
        assert_eq!(
            errors(read("dryrun=true&x=1&x=2")),
            [
                "?dryrun is not known here (did you mean \"dry_run\"?)",
                "?x is not known here, only dry_run, force"
            ]
        );
        assert!(read("dry_run=true").finish().is_ok());
        assert_eq!(errors(Query::new("x")), ["?x is not known here: this takes no parameters"]);
    }

    #[test]
    fn limits_are_plain_numbers() {
        for bad in
            ["limit=1001", "limit=-1", "limit=+5", "limit=1e2", "limit=99999999999999999999", "limit=%00"]
        {
            let mut query = Query::new(bad);
            query.page();
            assert_eq!(errors(query).len(), 1, "{bad}");
        }
        let mut query = Query::new("limit=1000&end=2026-01-01T00%3A00%3A00%2B01%3A00");
        assert_eq!(query.page().limit, 1000);
        assert!(query.finish().is_ok());
    }
}
