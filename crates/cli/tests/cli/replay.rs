//! A recorded run comes to the same maps without the program; a wrong one does not.

use crate::support::Bench;

#[test]
fn a_recorded_run_replays_to_the_same_maps() {
    let bench = Bench::new();
    let trace = bench.path("trace.jsonl");
    let script = "for i in 1 2; do ls / | sort > /dev/null; done";
    let ran = bench.run(
        &["--record", trace.to_str().unwrap()],
        &["bash", "-c", script],
    );
    ran.assert_equal();
    let replayed = bench.replay(&[], &trace);
    assert!(replayed.output.status.success(), "{}", replayed.stderr());
    replayed.assert_equal();
    for field in [
        "processes",
        "threads",
        "calls",
        "peak_vmas",
        "merges",
        "splits",
        "exit_status",
    ] {
        assert_eq!(ran.json[field], replayed.json[field], "{field}");
    }
}

/// The trace of a small program, as lines.
fn recorded(bench: &Bench) -> Vec<String> {
    let trace = bench.path("trace.jsonl");
    bench
        .run(&["--record", trace.to_str().unwrap()], &["true"])
        .assert_equal();
    std::fs::read_to_string(trace)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn replay_lines(bench: &Bench, lines: &[String]) -> crate::support::Ran {
    let trace = bench.path("changed.jsonl");
    std::fs::write(&trace, lines.join("\n") + "\n").unwrap();
    bench.replay(&[], &trace)
}

#[test]
fn a_wrong_result_in_the_trace_is_a_difference() {
    let bench = Bench::new();
    let mut lines = recorded(&bench);
    let call = lines
        .iter_mut()
        .find(|line| line.contains("\"name\":\"mmap\""))
        .unwrap();
    let mut event: serde_json::Value = serde_json::from_str(call).unwrap();
    event["ret"] = (event["ret"].as_i64().unwrap() + 4096).into();
    *call = event.to_string();
    let ran = replay_lines(&bench, &lines);
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.stderr());
    assert!(ran.number("differences") >= 1);
    assert!(
        ran.stderr().contains("difference in process"),
        "{}",
        ran.stderr()
    );
    assert!(ran.stderr().contains("after mmap("), "{}", ran.stderr());
}

#[test]
fn a_missing_call_shows_in_the_final_map() {
    let bench = Bench::new();
    let mut lines = recorded(&bench);
    let last = lines
        .iter()
        .rposition(|line| line.contains("\"name\":\"munmap\""))
        .unwrap();
    lines.remove(last);
    let ran = replay_lines(&bench, &lines);
    assert_eq!(ran.output.status.code(), Some(1), "{}", ran.stderr());
    assert!(
        ran.stderr().contains("- mirror   + kernel"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn a_malformed_line_is_named_by_its_number() {
    let bench = Bench::new();
    let mut lines = recorded(&bench);
    lines[2] = "{\"event\":\"nonsense\"}".to_owned();
    let ran = replay_lines(&bench, &lines);
    assert_eq!(ran.output.status.code(), Some(125));
    assert!(
        ran.stderr().contains("line 3: unknown variant `nonsense`"),
        "{}",
        ran.stderr()
    );
    assert_eq!(
        ran.stderr().lines().count(),
        1,
        "one clear line\n{}",
        ran.stderr()
    );
}

#[test]
fn no_trace_and_no_such_file_are_told_apart() {
    let bench = Bench::new();
    let ran = bench.replay(&[], &bench.path("missing.jsonl"));
    assert_eq!(ran.output.status.code(), Some(125));
    assert!(
        ran.stderr().contains("cannot open trace"),
        "{}",
        ran.stderr()
    );
    let ran = replay_lines(&bench, &["hello".to_owned()]);
    assert_eq!(ran.output.status.code(), Some(125));
    assert!(ran.stderr().contains("line 1"), "{}", ran.stderr());
}
