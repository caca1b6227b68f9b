//! The traced program behaves as without vmaple, and vmaple's own words stay off its output.

use std::io::Write;
use std::process::Stdio;

use crate::support::{Bench, vmaple};

#[test]
fn the_exit_status_is_the_programs() {
    let bench = Bench::new();
    let ran = bench.run(&[], &["sh", "-c", "exit 7"]);
    assert_eq!(ran.output.status.code(), Some(7));
    assert_eq!(ran.number("exit_status"), 7);
    ran.assert_equal();
}

#[test]
fn death_by_a_signal_is_told() {
    let bench = Bench::new();
    let ran = bench.run(&[], &["sh", "-c", "kill -SEGV $$"]);
    assert_eq!(ran.output.status.code(), Some(128 + 11), "{}", ran.stderr());
    assert_eq!((ran.number("exit_status"), ran.number("signal")), (139, 11));
}

#[test]
fn standard_input_and_output_are_the_programs() {
    let mut child = vmaple()
        .args(["run", "--", "tr", "a-z", "A-Z"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"HELLO\n");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("all equal"), "{told}");
}

#[test]
fn quiet_says_nothing_when_all_is_equal() {
    let bench = Bench::new();
    let ran = bench.run(&["--quiet"], &["true"]);
    assert_eq!((ran.stdout(), ran.stderr()), (String::new(), String::new()));
    ran.assert_equal();
}

#[test]
fn json_to_standard_output() {
    let output = vmaple()
        .args(["run", "--quiet", "--json", "-", "--", "true"])
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for field in [
        "processes",
        "threads",
        "calls",
        "comparisons",
        "reseeds",
        "differences",
        "peak_vmas",
        "exit_status",
    ] {
        assert!(json[field].is_u64(), "{field} in {json}");
    }
}

#[test]
fn what_cannot_be_started_is_said_in_one_line() {
    let bench = Bench::new();
    let ran = bench.run(&[], &["./no-such-program"]);
    assert_eq!(ran.output.status.code(), Some(127));
    assert!(
        ran.stderr().contains("./no-such-program"),
        "{}",
        ran.stderr()
    );
    assert_eq!(ran.stderr().lines().count(), 1, "{}", ran.stderr());

    std::fs::write(bench.path("data"), "no program").unwrap();
    let ran = bench.run(&[], &["./data"]);
    assert_eq!(ran.output.status.code(), Some(126), "{}", ran.stderr());
    assert_eq!(ran.stderr().lines().count(), 1, "{}", ran.stderr());
}

#[test]
fn how_often_to_compare_is_obeyed() {
    let bench = Bench::new();
    let program = ["perl", "-e", "my @a = map { 'x' x 300000 } 1..50"];
    let every = bench.run(&["--check", "every"], &program);
    let tenth = bench.run(&["--check", "10"], &program);
    let exit = bench.run(&["--check", "exit"], &program);
    for ran in [&every, &tenth, &exit] {
        ran.assert_equal();
    }
    assert!(every.number("comparisons") >= every.number("calls"));
    assert!(tenth.number("comparisons") < every.number("comparisons") / 2);
    assert_eq!(exit.number("comparisons"), 2, "at exec and at exit");
}

#[test]
fn a_planted_wrong_result_is_found() {
    let bench = Bench::new();
    let ran = bench.run(&["--plant", "result@5"], &["true"]);
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.stderr());
    assert_eq!(ran.number("differences"), 1, "{}", ran.stderr());
    assert!(
        ran.stderr().contains("- mirror returned 0x"),
        "{}",
        ran.stderr()
    );
    assert!(
        ran.stderr().contains("+ kernel returned 0x"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn a_planted_missed_call_is_found_in_the_map() {
    let bench = Bench::new();
    let ran = bench.run(&["--plant", "skip@5"], &["true"]);
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.stderr());
    assert_eq!(
        ran.number("differences"),
        1,
        "the run goes on from the kernel's map\n{}",
        ran.stderr()
    );
    assert!(
        ran.stderr().contains("- mirror   + kernel"),
        "{}",
        ran.stderr()
    );
    assert!(ran.number("calls") > 10, "{}", ran.stderr());
}

#[test]
fn fail_fast_ends_the_program() {
    let bench = Bench::new();
    let ran = bench.run(
        &["--plant", "skip@5", "--fail-fast"],
        &["sh", "-c", "echo reached"],
    );
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.stderr());
    assert_eq!(
        ran.stdout(),
        "",
        "the program was stopped before it could say anything"
    );
}

/// Standard error that takes nothing is no reason to end, nor is a full disk one to say so
/// more than once.
#[test]
fn nobody_listens() {
    let full = || {
        let full = std::fs::File::options().write(true).open("/dev/full");
        full.expect("/dev/full")
    };
    let ran = vmaple()
        .args(["run", "--", "echo", "out"])
        .stderr(full())
        .output()
        .expect("vmaple starts");
    assert_eq!(ran.status.code(), Some(0));
    assert_eq!(ran.stdout, b"out\n");
    let ran = vmaple()
        .args(["run", "--record", "/dev/full", "--", "sh", "-c"])
        .arg("ls / | cat > /dev/null; sleep 0.5; ls / > /dev/null")
        .output()
        .expect("vmaple starts");
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(125), "{told}");
    assert_eq!(told.matches("/dev/full").count(), 1, "{told}");
}
