//! JSON Pointers (RFC 6901): where in a body something is wrong.

use std::fmt;

use crate::problem::FieldError;

/// A place in a JSON document, built while walking down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pointer<'a> {
    parent: Option<&'a Pointer<'a>>,
    token: Token<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Token<'a> {
    Root,
    Member(&'a str),
    Index(usize),
}

/// Names come from outside; a pointer shows no more of each than this many characters.
const LONGEST_TOKEN: usize = 100;

impl<'a> Pointer<'a> {
    /// The whole document.
    pub(crate) fn root() -> Self {
        Self { parent: None, token: Token::Root }
    }

    /// A member of the object here.
    pub(crate) fn member<'b>(&'b self, name: &'b str) -> Pointer<'b> {
        Pointer { parent: Some(self), token: Token::Member(name) }
    }

    /// An item of the list here.
    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), token: Token::Index(index) }
    }

    /// Something is wrong here.
    pub(crate) fn error(&self, detail: impl Into<String>) -> FieldError {
        FieldError::new(self.to_string(), detail)
    }
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.token {
            Token::Root => Ok(()),
            Token::Index(index) => write!(f, "/{index}"),
            Token::Member(name) => {
                let shown: String = name.chars().take(LONGEST_TOKEN).collect();
                write!(f, "/{}", shown.replace('~', "~0").replace('/', "~1"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_escaped_and_bounded() {
        let root = Pointer::root();
        let list = root.member("a/b~c");
        assert_eq!(list.index(3).to_string(), "/a~1b~0c/3");
        assert_eq!(root.to_string(), "");
        assert_eq!(root.member(&"x".repeat(5_000)).to_string().len(), 101);
    }
}
