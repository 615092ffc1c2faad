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
        let alike = if are_swapped(&asked, &known) { alike.max(NEAR) } else { alike };
        if alike > score && !is_opposite(&asked, &known) {
            (best, score) = (Some(candidate), alike);
        }
    }
    best.filter(|_| score >= NEAR)
}

/// ` (did you mean "ttl_seconds"?)`, or nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|best| format!(" (did you mean {best:?}?)")).unwrap_or_default()
}

/// Whether two neighbouring letters changed places, which in a short word is most of it: `upd`, `udp`.
fn are_swapped(asked: &str, known: &str) -> bool {
    let sorted = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.sort_unstable();
        letters
    };
    strsim::osa_distance(asked, known) == 1 && sorted(asked) == sorted(known)
}

/// Words that are alike and mean the contrary: nobody writes one for the other.
fn is_opposite(asked: &str, known: &str) -> bool {
    const PAIRS: [(&str, &str); 4] =
        [("dst", "src"), ("destination", "source"), ("min", "max"), ("bps", "pps")];
    let parts = |word: &str| word.split('_').map(str::to_owned).collect::<Vec<_>>();
    let (asked, known) = (parts(asked), parts(known));
    let has = |word: &[String], part: &str| word.iter().any(|own| own == part);
    let contrary = |one: &str, other: &str| has(&asked, one) && has(&known, other) && !has(&known, one);
    PAIRS.iter().any(|(one, other)| contrary(one, other) || contrary(other, one))
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
        assert_eq!(nearest("upd", ["udp", "tcp"]), Some("udp"));
        assert_eq!(nearest("tpc", ["udp", "tcp"]), Some("tcp"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("ports", ["dst_ports", "excluded_dst_ports", "src_ports"]), Some("dst_ports"));
        assert_eq!(nearest("", ["dst_ports"]), None);
        assert_eq!(did_you_mean("Action", keys), " (did you mean \"action\"?)");
    }

    #[test]
    fn the_contrary_is_never_meant() {
        assert_eq!(nearest("dst_ports", ["src_ports", "tcp_flags"]), None);
        assert_eq!(nearest("dst_ports", ["src_ports", "top_dst_ports"]), Some("top_dst_ports"));
        assert_eq!(nearest("max_ttl_seconds", ["min_ttl_seconds"]), None);
        assert_eq!(nearest("src_port", ["src_ports"]), Some("src_ports"));
    }
}
