//! What the fuzzer has found, replayed by the same interpreter; and random bytes for where there
//! is no fuzzer.
#![cfg(not(any(loom, shuttle)))]

#[path = "interpreter/mod.rs"]
mod interpreter;

use std::fs;
use std::path::Path;
use vmaple_model::random::SplitMix64;

/// Runs `bytes`; if they fail, says which they were.
fn replay(name: &str, bytes: &[u8]) {
    let outcome = std::panic::catch_unwind(|| interpreter::run(bytes));
    assert!(outcome.is_ok(), "{name} fails: {bytes:02x?}");
}

#[test]
fn what_the_fuzzer_found_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/fuzz");
    let files = fs::read_dir(folder).expect("the folder is part of the crate");
    let mut nr_replayed = 0;
    for file in files {
        let path = file.expect("a readable folder").path();
        let bytes = fs::read(&path).expect("a readable file");
        replay(&path.display().to_string(), &bytes);
        nr_replayed += 1;
    }
    assert!(nr_replayed > 0, "the folder has a corpus");
}

#[test]
fn random_bytes_leave_the_trees_equal() {
    for seed in 0..600 {
        let mut random = SplitMix64::new(seed);
        let len = 1 + random.bounded(900);
        let bytes: Vec<u8> = (0..len).map(|_| random.bounded(256) as u8).collect();
        replay(&format!("seed {seed}"), &bytes);
    }
}
