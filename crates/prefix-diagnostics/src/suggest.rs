//! The nearest known word, if it is near enough to be meant.

/// So alike are two names of which one may be meant by the other, 0 to 1.
const NEAR: f64 = 0.82;

/// The candidate that a hand may have meant by `word`; none if nothing is near.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let asked = folded(word);
    let (mut best, mut score) = (None, 0.0);
    for candidate in candidates {
        let known = folded(candidate);
        let alike = strsim::jaro_winkler(&asked, &known);
        // "ports" for "dst_ports": half of a name is as near as a slip
        let is_end = known.strip_suffix(&asked).is_some_and(|rest| rest.ends_with('_'));
        let alike = if is_end && !asked.is_empty() { alike.max(NEAR) } else { alike };
        if alike > score {
            (best, score) = (Some(candidate), alike);
        }
    }
    best.filter(|_| score >= NEAR)
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
        assert_eq!(nearest("ports", ["dst_ports", "excluded_dst_ports", "src_ports"]), Some("dst_ports"));
        assert_eq!(nearest("", ["dst_ports"]), None);
        assert_eq!(did_you_mean("Action", keys), " (did you mean \"action\"?)");
    }
}
