//! The chain as its verifier sees it: whole, changed, with a link missing, with its end cut off.

use chrono::DateTime;

use super::*;
use crate::audit::{Actor, AuditAction};

fn chain(length: i64) -> (Vec<AuditEntry>, ChainHead) {
    let mut entries: Vec<AuditEntry> = (0..length)
        .map(|number| {
            let at = DateTime::from_timestamp(1_795_000_000 + number, 123_456_789).unwrap();
            let details =
                json!({"number": number, "ratio": 0.1, "big": u64::MAX, "text": "ü\u{1}\"", "b": 1, "a": 2});
            AuditEntry::new(at, Actor::operator("ada"), AuditAction::Withdraw, details)
                .on("mitigation", number)
        })
        .collect();
    let head = seal(None, &mut entries).unwrap();
    (entries, head)
}

fn verify(entries: &[AuditEntry], head: ChainHead) -> Verdict {
    let mut verifier = Verifier::new(1, None, None);
    for entry in entries {
        if !verifier.check(entry) {
            break;
        }
    }
    verifier.finish(Some(head))
}

#[test]
fn a_chain_begins_at_one_with_zeros_and_has_no_gaps() {
    let (entries, head) = chain(5);
    let seals: Vec<Seal> = entries.iter().filter_map(|entry| entry.seal).collect();
    assert_eq!(seals.iter().map(|seal| seal.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(seals[0].prev_hash.to_string(), "0".repeat(64));
    for pair in seals.windows(2) {
        assert_eq!(pair[1].prev_hash, pair[0].hash);
    }
    let verdict = verify(&entries, head);
    assert_eq!((verdict.checked, verdict.broken), (5, None));
    assert_eq!((verdict.first_seq, verdict.last_seq, verdict.head_hash), (Some(1), Some(5), Some(head.hash)));
}

#[test]
fn sealing_in_pieces_gives_the_same_chain() {
    let (whole, head) = chain(7);
    let mut pieces = whole.clone();
    pieces.iter_mut().for_each(|entry| entry.seal = None);
    let (first, second) = pieces.split_at_mut(3);
    let middle = seal(None, first);
    assert_eq!(seal(middle, second), Some(head));
    assert_eq!(pieces, whole);
}

#[test]
fn the_hash_is_that_of_the_canonical_document() {
    // by hand: members sorted, no white space, six decimals, the big integer as text
    let id = "018f5c3e-1111-7000-8000-000000000001".parse::<uuid::Uuid>().unwrap();
    let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    let mut entry =
        AuditEntry::new(at, Actor::SYSTEM, AuditAction::Start, json!({"n": u64::MAX, "x": 1.5, "e": 1e21}));
    entry.audit_id = id.into();
    seal(None, std::slice::from_mut(&mut entry));
    let canonical = format!(
        "{{\"action\":\"start\",\"actor_type\":\"system\",\"audit_id\":\"{id}\",\"details\":{{\"e\":1e+21,\
         \"n\":\"18446744073709551615\",\"x\":1.5}},\"prev_hash\":\"{}\",\"schema_version\":1,\"seq\":1,\
         \"timestamp\":\"2026-11-18T11:06:40.000000Z\"}}",
        "0".repeat(64)
    );
    let expected = hex::encode(Sha256::digest(canonical));
    assert_eq!(entry.seal.unwrap().hash.to_string(), expected);
}

#[test]
fn a_changed_entry_is_found_at_its_place() {
    type Tamper = fn(&mut AuditEntry);
    let tampers: [Tamper; 6] = [
        |entry| entry.details["number"] = json!(99),
        |entry| entry.actor = Actor::operator("mallory"),
        |entry| entry.action = "ingest".into(),
        |entry| entry.target_id = None,
        |entry| entry.timestamp += chrono::TimeDelta::microseconds(1),
        |entry| entry.audit_id = AuditId::generate(),
    ];
    for tamper in tampers {
        let (mut entries, head) = chain(5);
        tamper(&mut entries[2]);
        let broken = verify(&entries, head).broken.unwrap();
        assert_eq!((broken.seq, broken.problem), (3, ChainProblem::Hash));
        assert_eq!(broken.audit_id, Some(entries[2].audit_id));
    }
}

#[test]
fn an_entry_hashed_anew_breaks_the_link_behind_it() {
    let (mut entries, head) = chain(5);
    entries[2].details = json!({});
    let before = entries[1].seal.map(|seal| ChainHead { seq: seal.seq, hash: seal.hash });
    seal(before, &mut entries[2..3]);
    let broken = verify(&entries, head).broken.unwrap();
    assert_eq!((broken.seq, broken.problem), (4, ChainProblem::Link));
}

#[test]
fn a_missing_entry_is_found_wherever_it_was() {
    for missing in 0..5_usize {
        let (mut entries, head) = chain(5);
        entries.remove(missing);
        let broken = verify(&entries, head).broken.unwrap();
        let seq = i64::try_from(missing).unwrap() + 1;
        assert_eq!((broken.seq, broken.problem), (seq, ChainProblem::Gap), "entry {missing}");
    }
}

#[test]
fn an_end_cut_off_together_with_its_head_is_found_by_a_hash_noted_earlier() {
    let (entries, head) = chain(5);
    let shorter = entries[3].seal.map(|seal| ChainHead { seq: seal.seq, hash: seal.hash });
    let mut verifier = Verifier::new(1, None, Some(head.hash));
    assert!(entries[..4].iter().all(|entry| verifier.check(entry)));
    let broken = verifier.finish(shorter).broken.unwrap();
    assert_eq!(broken.problem, ChainProblem::ExpectMissing);
    let mut verifier = Verifier::new(1, None, Some(head.hash));
    assert!(entries.iter().all(|entry| verifier.check(entry)));
    assert_eq!(verifier.finish(Some(head)).broken, None);
}

#[test]
fn of_an_end_cut_off_the_missing_hash_is_said_first_and_of_a_hole_the_hole() {
    let (entries, head) = chain(10);
    let verify = |entries: &[AuditEntry], expect| {
        let mut verifier = Verifier::new(1, None, expect);
        for entry in entries {
            verifier.check(entry);
        }
        verifier.finish(Some(head)).broken.map(|broken| (broken.seq, broken.problem))
    };
    let early = entries[3].seal.unwrap().hash;
    assert_eq!(verify(&entries[..7], Some(head.hash)), Some((7, ChainProblem::ExpectMissing)));
    assert_eq!(verify(&entries[..7], Some(early)), Some((8, ChainProblem::Gap)));
    let hole = [&entries[..5], &entries[6..]].concat();
    assert_eq!(verify(&hole, Some(head.hash)), Some((6, ChainProblem::Gap)));
}

#[test]
fn a_part_of_the_chain_can_be_checked_alone() {
    let (entries, head) = chain(6);
    let before = entries[2].seal.map(|seal| ChainHead { seq: seal.seq, hash: seal.hash });
    for before in [None, before] {
        let mut verifier = Verifier::new(4, before, None);
        assert!(entries[3..].iter().all(|entry| verifier.check(entry)));
        let verdict = verifier.finish(Some(head));
        assert_eq!((verdict.checked, verdict.first_seq, verdict.broken), (3, Some(4), None));
    }
}

#[test]
fn nothing_is_a_whole_chain() {
    let verdict = Verifier::new(1, None, None).finish(None);
    let nothing = Verdict { checked: 0, first_seq: None, last_seq: None, head_hash: None, broken: None };
    assert_eq!(verdict, nothing);
}
