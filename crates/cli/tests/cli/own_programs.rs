//! The C programs beside these tests, each made to move its address space in its own way.
//! They check themselves; the mirror must follow, `VmFlags` included.

use crate::support::{Bench, Ran};

/// Compiles and mirrors `program`; it must end with `status` and never differ.
#[track_caller]
fn is_mirrored(program: &str, arguments: &[&str], status: i32) -> Ran {
    let bench = Bench::new();
    let path = bench.compile(program);
    let words: Vec<&str> = std::iter::once(path.as_str())
        .chain(arguments.iter().copied())
        .collect();
    let ran = bench.run(&["--check", "every"], &words);
    assert_eq!(
        ran.output.status.code(),
        Some(status),
        "{program} {arguments:?}\n{}",
        ran.stderr()
    );
    ran.assert_equal();
    ran
}

#[test]
fn a_program_that_makes_every_memory_call() {
    let bench = Bench::new();
    let program = bench.compile("kitchen_sink");
    let ran = bench.run(&["--check", "every", "--flags"], &[&program]);
    assert_eq!(ran.output.status.code(), Some(0), "{}", ran.stderr());
    ran.assert_equal();
    let kinds = ran.json["calls_by_kind"].as_object().unwrap();
    for call in [
        "mremap",
        "mlock2",
        "mseal",
        "remap_file_pages",
        "shmat",
        "fork",
        "madvise",
    ] {
        assert!(kinds.contains_key(call), "{call} in {kinds:?}");
    }
    assert!(
        ran.number("stack_growths") > 0,
        "its stack grows by faults\n{}",
        ran.stderr()
    );
}

#[test]
fn calls_whose_results_hang_on_pages_and_settings() {
    let bench = Bench::new();
    let program = bench.compile("pages");
    let ran = bench.run(&["--check", "every", "--flags"], &[&program]);
    assert_eq!(ran.output.status.code(), Some(0), "{}", ran.stderr());
    ran.assert_equal();
}

#[test]
fn threads_that_map_at_the_same_time() {
    let ran = is_mirrored("threads", &["6", "300"], 0);
    assert!(ran.number("threads") == 7, "{}", ran.stderr());
}

#[test]
fn a_tree_of_forks_that_exec_themselves() {
    let ran = is_mirrored("forks", &[], 0);
    assert!(ran.number("processes") > 10, "{}", ran.stderr());
}

#[test]
fn processes_that_end_inside_their_threads_calls() {
    is_mirrored("dies_busy", &["20"], 0);
}

#[test]
fn mapped_files_renamed_and_unlinked() {
    is_mirrored("rename_unlink", &[], 0);
}

#[test]
fn signals_between_memory_calls() {
    is_mirrored("signals", &["alarm"], 0);
    is_mirrored("signals", &["altstack"], 0);
    is_mirrored("signals", &["stop-child"], 0);
    is_mirrored("signals", &["exit", "9"], 9);
    let ran = is_mirrored("signals", &["die", "SEGV"], 128 + 11);
    assert_eq!(ran.number("signal"), 11);
}

#[test]
fn what_has_no_model_is_named_and_counted() {
    let bench = Bench::new();
    let program = bench.compile("outside");
    let ran = bench.run(&["--check", "every"], &[&program]);
    assert_eq!(ran.output.status.code(), Some(0), "{}", ran.stderr());
    assert_eq!(
        (ran.number("differences"), ran.number("reseeds")),
        (0, 2),
        "{}",
        ran.stderr()
    );
    let told = ran.stderr();
    assert!(told.contains("re-seed: mbind is outside"), "{told}");
    assert!(told.contains("MAP_HUGETLB"), "{told}");
    assert!(told.contains("re-seeds: 1 mbind"), "{told}");
}

/// Random calls, weighted so that neighbours split and merge all the time.
#[track_caller]
fn random(profile: &str) {
    let bench = Bench::new();
    let program = bench.compile("random_ops");
    for seed in ["1", "2", "3"] {
        let options = ["--check", "every"];
        let ran = bench.run(&options, &[&program, seed, "1500", profile]);
        assert_eq!(
            ran.output.status.code(),
            Some(0),
            "{profile} {seed}\n{}",
            ran.stderr()
        );
        ran.assert_equal();
        assert!(
            ran.number("calls") > 500,
            "{profile} {seed}\n{}",
            ran.stderr()
        );
    }
}

#[test]
fn random_calls_that_merge_and_split() {
    random("merge");
    random("mixed");
}

#[test]
fn random_calls_that_move() {
    random("mremap");
}

#[test]
fn random_calls_that_lock_and_limit() {
    random("mlock");
}

#[test]
fn random_calls_across_forks() {
    random("fork");
}

#[test]
fn random_calls_on_files() {
    random("files");
}

#[test]
fn random_calls_on_break_and_stack() {
    random("brk");
    random("stack");
}
