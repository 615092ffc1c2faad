//! The fuzz targets for a few thousand inputs each: seeds that are good, and what a seeded hand makes of them. Any
//! panic is a failure; `cargo fuzz` (`fuzz/`) looks longer.
#![allow(clippy::unwrap_used)]

#[path = "../fuzz/entry.rs"]
mod entry;

use std::path::Path;

/// How many inputs are made of each seed set.
const INPUTS: usize = 4_000;

/// A small generator of numbers (splitmix64): the same inputs on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

/// Words that parsers stumble over.
const WORDS: [&[u8]; 14] = [
    b"null",
    b"-1",
    b"1e999",
    b"0",
    b"18446744073709551616",
    b"\"\"",
    b"{}",
    b"[]",
    b"\\u0000",
    b"\xff",
    b"\"ip\":",
    b"::ffff:0:0",
    b"9999-12-31T23:59:60Z",
    b"[[[[[[[[[[[[[[[[",
];

/// One to eight changes of a seed.
fn mutated(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(8) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => {
                bytes.remove(at);
            }
            2 => bytes.truncate(at),
            3 => {
                let end = (at + dice.below(16)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                bytes.splice(at..at, WORDS[dice.below(WORDS.len())].iter().copied());
            }
        }
    }
    bytes
}

fn run(entry: fn(&[u8]), seeds: &[Vec<u8>]) {
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| entry(seed));
    for number in 0..INPUTS {
        let mut dice = Dice(u64::try_from(number).unwrap());
        let input = mutated(&seeds[number % seeds.len()], &mut dice);
        // the number of the input is in the message of a failure
        let result = std::panic::catch_unwind(|| entry(&input));
        assert!(result.is_ok(), "input {number} makes it panic: {:?}", String::from_utf8_lossy(&input));
    }
}

fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payloads").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| !path.to_string_lossy().contains(".expected."));
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn nothing_that_looks_like_alertmanager_makes_it_panic() {
    run(entry::alertmanager, &files("alertmanager"));
}

#[test]
fn nothing_that_looks_like_fastnetmon_makes_it_panic() {
    run(entry::fastnetmon, &files("fastnetmon"));
}

#[test]
fn nothing_that_looks_like_a_webhook_makes_it_panic() {
    let seed = br#"{"alerts":[{"target":{"ip":"203.0.113.10"},"type":"udp_flood","time":"2026-11-22T16:38:03Z","bps":"1.5 G",
        "a":2,"b":3,"score":85,"id":4711,"ports":[53,0,"x",70000],"state":"unban"}]}"#;
    let mut seeds = files("recipes");
    seeds.push(seed.to_vec());
    run(entry::webhook, &seeds);
}

#[test]
fn no_headers_make_a_signature_panic_or_hold() {
    let seeds = [
        b"sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843\n10\nbody".to_vec(),
        b"5bdcc146\n1970-01-01T00:00:00Z\n{}".to_vec(),
        b"\n\n".to_vec(),
    ];
    run(entry::signature, &seeds);
}

#[test]
fn no_bytes_of_a_speaker_make_the_nlri_decoder_panic() {
    let of_the_contract = [
        "0e0120cb00710a0381110504358235",
        "140120cb00710a03811105043502355401bb9201bb",
        "0e0120cb00710a038106090202c110",
        "090120cb00710a0c8002",
        "1301800020010db8001000000000000000000001",
    ];
    let seeds: Vec<_> = of_the_contract.iter().map(|text| hex::decode(text).unwrap()).collect();
    run(entry::nlri, &seeds);
}
