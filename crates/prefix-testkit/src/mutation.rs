//! Inputs that nobody would send: what a seeded hand makes of good ones. A smoke run of fuzz targets, on the stable
//! toolchain; `cargo fuzz` looks longer.

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
        usize::try_from(self.roll() % (end.max(1) as u64)).unwrap_or(0)
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

/// Runs an entry with the seeds and with what becomes of them, the same on every machine.
///
/// # Panics
/// If the entry does, or without seeds: the input is in the message.
pub fn smoke(entry: fn(&[u8]), seeds: &[Vec<u8>]) {
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| entry(seed));
    for number in 0..INPUTS {
        let mut dice = Dice(number as u64);
        let input = mutated(&seeds[number % seeds.len()], &mut dice);
        // the number of the input is in the message of a failure
        let result = std::panic::catch_unwind(|| entry(&input));
        assert!(result.is_ok(), "input {number} makes it panic: {:?}", String::from_utf8_lossy(&input));
    }
}
