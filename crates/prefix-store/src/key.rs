//! Lookup keys: a text of any length finds its rows by the head of its SHA-256, because an index entry of PostgreSQL
//! holds at most 2,700 bytes. A query always compares the text as well, so equal heads do no harm.

use prefix_core::address::VictimIp;
use prefix_core::name::{ExternalEventId, Pop, SourceName};
use prefix_core::ports::RequestKey;
use sha2::{Digest, Sha256};

fn head(digest: &[u8]) -> i64 {
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(head)
}

/// Each part with its length, so that no two lists of parts have the same bytes.
fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The key of one text.
pub(crate) fn of_text(text: &str) -> i64 {
    head(&digest(&[text]))
}

/// The key of an attack episode.
pub(crate) fn of_episode(source: &SourceName, id: &ExternalEventId) -> i64 {
    head(&digest(&[source.as_str(), id.as_str()]))
}

/// The id of the end of an episode: the whole digest, which stands for source and id.
pub(crate) fn of_end(source: &SourceName, id: &ExternalEventId) -> Vec<u8> {
    digest(&[source.as_str(), id.as_str()]).to_vec()
}

/// The key of a source that saw a victim.
pub(crate) fn of_sighting(source: &SourceName, victim: VictimIp) -> i64 {
    head(&digest(&[source.as_str(), &victim.to_string()]))
}

/// The lock of the leadership of a pop. Two pops with one lock would only wait for each other.
pub(crate) fn of_leadership(pop: &Pop) -> i64 {
    head(&digest(&["leadership", pop.as_str()]))
}

/// The lock of those that change which rules there are at a pop.
pub(crate) fn of_admission(pop: &str) -> i64 {
    head(&digest(&["admission", pop]))
}

/// The lock of those that seal the chain of a pop.
pub(crate) fn of_sealing(pop: &Pop) -> i64 {
    head(&digest(&["sealing", pop.as_str()]))
}

/// The lock that transactions on behalf of a stored credential share for the length of their commit, and that whoever ends
/// a credential has alone.
pub(crate) fn of_access() -> i64 {
    of_text("access")
}

/// The lock of those that change operators and tokens.
pub(crate) fn of_people() -> i64 {
    of_text("people")
}

/// The lock of the instance that deletes what is too old, of all that use the database.
pub(crate) fn of_retention() -> i64 {
    of_text("retention")
}

/// The lock of whoever makes parts of the events.
pub(crate) fn of_event_days() -> i64 {
    of_text("event days")
}

/// The id of a stored reply: the whole digest, which stands for the key itself.
pub(crate) fn of_reply(key: &RequestKey) -> Vec<u8> {
    digest(&[&key.principal, &key.path, &key.key]).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        let reply = |principal: &str, path: &str| {
            let (principal, path) = (principal.to_owned(), path.to_owned());
            of_reply(&RequestKey { principal, path, key: "k".into() })
        };
        assert_ne!(reply("ab", "c"), reply("a", "bc"));
    }
}
