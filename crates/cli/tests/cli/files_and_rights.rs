//! Calls whose outcome hangs on the kind of a file, its seals, or what the caller may do at
//! that moment.

use crate::support::Bench;

#[track_caller]
fn is_mirrored(what: &str) {
    let bench = Bench::new();
    let program = bench.compile("files_and_rights");
    let trace = bench.path("trace.jsonl");
    let path = trace.to_str().expect("a plain path");
    let options = ["--check", "every", "--record", path];
    let ran = bench.run(&options, &[&program, what]);
    assert_eq!(
        ran.output.status.code(),
        Some(0),
        "{what}\n{}",
        ran.stderr()
    );
    ran.assert_equal();
    // All that the mirror knew is in the trace.
    bench.replay(&[], &trace).assert_equal();
}

#[test]
fn rings_of_io_setup() {
    is_mirrored("rings");
}

#[test]
fn a_file_that_is_sealed_while_it_is_mapped() {
    is_mirrored("seals");
}

#[test]
fn files_that_cannot_be_mapped() {
    is_mirrored("refused");
}

#[test]
fn the_right_to_lock_given_up() {
    let own = std::fs::metadata("/proc/self").expect("a mounted /proc");
    if std::os::unix::fs::MetadataExt::uid(&own) != 0 {
        return eprintln!("skipped: only root has it to give up");
    }
    is_mirrored("locked");
}

/// A replay comes to the same figures as the run.
#[test]
fn what_was_not_followed_is_in_the_trace() {
    let bench = Bench::new();
    let trace = bench.path("trace.jsonl");
    let path = trace.to_str().expect("a plain path");
    for (program, what) in [("files_and_rights", "narrow"), ("kitchen_sink", "")] {
        let program = bench.compile(program);
        let ran = bench.run(&["--record", path], &[&program, what]);
        assert_eq!(ran.output.status.code(), Some(0), "{}", ran.stderr());
        let replayed = bench.replay(&[], &trace);
        for figure in [
            "reseeds",
            "stack_growths",
            "calls",
            "merges",
            "splits",
            "differences",
        ] {
            assert_eq!(
                ran.number(figure),
                replayed.number(figure),
                "{figure}\n{}",
                ran.stderr()
            );
        }
    }
}
