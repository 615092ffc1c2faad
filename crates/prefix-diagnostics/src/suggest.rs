//! The nearest known word, if it is near enough to be meant.

/// The candidate that a hand may have meant by `word`; none if nothing is near.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let asked = folded(word);
    let scored =
        candidates.into_iter().map(|candidate| (strsim::jaro_winkler(&asked, &folded(candidate)), candidate));
    let best = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (best.0 >= 0.82).then_some(best.1)
}

/// ` (did you mean "ttl_seconds"?)`, or nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|best| format!(" (did you mean {best:?}?)")).unwrap_or_default()
}

fn folded(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_key_and_a_stranger_does_not() {
        let keys = ["action", "rate_bps", "rate_pps", "ttl_seconds"];
        assert_eq!(nearest("ttl_second", keys), Some("ttl_seconds"));
        assert_eq!(nearest("ttl-seconds", keys), Some("ttl_seconds"));
        assert_eq!(nearest("rate_bbs", keys), Some("rate_bps"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(did_you_mean("Action", keys), " (did you mean \"action\"?)");
    }
}
