//! Passwords that everybody tries first: the well-known ones, runs of keys, and the words of this trade.

/// One a line, in lower case.
const COMMON: &str = include_str!("common.txt");

/// True if it is one of them, whatever its case, or nothing but one character.
pub(crate) fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    let mut characters = lower.chars();
    let first = characters.next();
    characters.all(|other| Some(other) == first) || COMMON.lines().any(|line| line == lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_lower_case_and_long_enough_to_matter() {
        let long = COMMON.lines().filter(|line| line.chars().count() >= 12).count();
        assert!(long >= 200, "only {long} of them could be chosen at all");
        assert!(COMMON.lines().all(|line| line == line.to_lowercase() && !line.is_empty()));
        assert!(is_common("PASSWORD1234") && is_common("xxxxxxxxxxxxxxxxxxxx"));
        assert!(!is_common("a sentence that nobody knows"));
    }
}
