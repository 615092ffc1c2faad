//! The fuzz targets for a few thousand inputs each: seeds that are good, and what a seeded hand makes of them. Any
//! panic is a failure; `cargo fuzz` (`fuzz/`) looks longer.

#[path = "../fuzz/entry.rs"]
mod entry;

use std::path::Path;

use prefix_testkit::mutation::smoke;

fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payloads").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| !path.to_string_lossy().contains(".expected."));
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn nothing_that_looks_like_alertmanager_makes_it_panic() {
    smoke(entry::alertmanager, &files("alertmanager"));
}

#[test]
fn nothing_that_looks_like_fastnetmon_makes_it_panic() {
    smoke(entry::fastnetmon, &files("fastnetmon"));
}

#[test]
fn nothing_that_looks_like_a_webhook_makes_it_panic() {
    let seed = br#"{"alerts":[{"target":{"ip":"203.0.113.10"},"type":"udp_flood","time":"2026-11-22T16:38:03Z","bps":"1.5 G",
        "a":2,"b":3,"score":85,"id":4711,"ports":[53,0,"x",70000],"state":"unban"}]}"#;
    let mut seeds = files("recipes");
    seeds.push(seed.to_vec());
    smoke(entry::webhook, &seeds);
}

#[test]
fn no_headers_make_a_signature_panic_or_hold() {
    let seeds = [
        b"sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843\n10\nbody".to_vec(),
        b"5bdcc146\n1970-01-01T00:00:00Z\n{}".to_vec(),
        b"\n\n".to_vec(),
    ];
    smoke(entry::signature, &seeds);
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
    smoke(entry::nlri, &seeds);
}

#[test]
fn whatever_path_is_accepted_finds_what_the_reference_finds() {
    let document = r#"{"alerts":[{"ip":"203.0.113.10","level":3,"tags":["a","b"]},{"level":7.5}],"limit":5,"x":{"y":[[1,2],[3]]}}"#;
    let paths = [
        "$.alerts[*].ip",
        "$..level",
        "$.alerts[?@.level > 3 && @.level <= $.limit || !@.ip].tags[0,-1]",
        "$['alerts'][::-1]",
        "$.x.y[0:2:1][-1:]",
        "$.alerts[?length(@.tags) == 2 || count(@..*) < 3]",
        "$.alerts[?value(@..ip) == '203.0.113.10']",
        "$.alerts[?search(@.ip, '0.1[13]')]",
        "$..[?(@.y[0][0]==1)]",
        "$..*",
    ];
    let seeds: Vec<_> = paths.iter().map(|path| format!("{path}\n{document}").into_bytes()).collect();
    smoke(entry::jsonpath, &seeds);
}

#[test]
fn no_patterns_together_exceed_their_budget() {
    // small ones: thousands of large ones would take minutes to compile, and have tests of their own
    let seeds = [b"([0-9.]+)G".to_vec(), b"(a|b){3}".to_vec(), b"(?-u:\\w+)".to_vec()];
    smoke(entry::patterns, &seeds);
}
