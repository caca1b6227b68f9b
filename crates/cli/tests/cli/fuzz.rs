//! `vmaple fuzz`, and `vmaple replay` of scripts. Where the kernel cannot judge, the tests say so
//! and pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::{Bench, vmaple};

/// The output, unless this kernel cannot judge.
fn judged(arguments: &[&str]) -> Option<Output> {
    let output = vmaple().args(arguments).output().unwrap();
    if output.status.code() == Some(125) {
        eprintln!("skipped: {}", stderr(&output));
        return None;
    }
    Some(output)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn scripts(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata")
        .join(folder)
}

#[test]
fn a_run_of_all_profiles_is_equal_and_says_what_it_met() {
    let bench = Bench::new();
    let json = bench.path("fuzz.json");
    let json = json.to_str().unwrap();
    let Some(output) = judged(&["fuzz", "--ops", "8000", "--seed", "4", "--json", json]) else {
        return;
    };
    assert!(output.status.success(), "{}", stderr(&output));
    let result: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(result["differences"], 0);
    assert_eq!(result["seed"], 4);
    assert!(result["operations"].as_u64().unwrap() >= 8000);
    assert_eq!(
        result["operations_by_profile"].as_object().unwrap().len(),
        11
    );
    assert!(
        result["cases"]["mprotect cuts at its start"]
            .as_u64()
            .unwrap()
            > 0
    );
    assert!(stderr(&output).contains("compared operations a second"));
}

#[test]
fn a_mistake_is_found_made_small_and_not_kept() {
    let bench = Bench::new();
    let folder = bench.dir.path().to_str().unwrap();
    let plant = [
        "fuzz",
        "--profile",
        "merge",
        "--plant",
        "result@90",
        "--seed",
        "2",
    ];
    let Some(output) = judged(&[&plant[..], &["--save", folder]].concat()) else {
        return;
    };
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("are enough"),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("# vmaple script"),
        "{}",
        stderr(&output)
    );
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn a_script_is_replayed_on_both_sides() {
    let script = scripts("scripts/arena.script");
    let Some(output) = judged(&["replay", script.to_str().unwrap()]) else {
        return;
    };
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("all equal: 10 operations"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_recorded_script_is_judged_without_a_kernel() {
    let bench = Bench::new();
    let script = scripts("recorded/merge.script");
    let output = vmaple()
        .args(["replay", "--offline"])
        .arg(&script)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let wrong = bench.path("wrong.script");
    let text = fs::read_to_string(&script).unwrap();
    fs::write(&wrong, text.replacen(" = 0x0\n", " = -ENOMEM\n", 1)).unwrap();
    let output = vmaple()
        .args(["replay", "--offline"])
        .arg(&wrong)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("the kernel returned -ENOMEM, vmaple 0x0"));
}

#[test]
fn what_is_no_script_is_named_with_its_line() {
    let bench = Bench::new();
    let script = bench.path("broken.script");
    fs::write(&script, "# vmaple script\nmunmap(1)\n").unwrap();
    let output = vmaple().arg("replay").arg(&script).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(
        stderr(&output).contains("line 2: munmap takes 2 arguments"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_recording_is_made_and_judged() {
    let bench = Bench::new();
    let file = bench.path("brk.script");
    let file = file.to_str().unwrap();
    let record = [
        "fuzz",
        "--profile",
        "heap-and-stack",
        "--record",
        file,
        "--ops",
        "60",
    ];
    let Some(output) = judged(&record) else {
        return;
    };
    assert!(output.status.success(), "{}", stderr(&output));
    let output = vmaple()
        .args(["replay", "--offline", file])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}
