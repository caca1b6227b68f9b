//! Bytes as operations on trees, compared with a naive one: see the interpreter's head. What this
//! finds goes to `crates/maple-tree/tests/testdata/fuzz`, where a test replays it.
#![no_main]

#[path = "../../crates/maple-tree/tests/interpreter/mod.rs"]
mod interpreter;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| interpreter::run(bytes));
