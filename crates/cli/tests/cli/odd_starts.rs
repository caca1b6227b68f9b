//! Programs that start in an unusual way: other layouts, other users, and not at all.

use crate::support::{Bench, Ran, have};

/// Compiles `odd_starts` and mirrors it behind the words of `before`.
fn start(before: &[&str], what: &str) -> Ran {
    let bench = Bench::new();
    let program = bench.compile("odd_starts");
    let words = before.iter().copied().chain([program.as_str(), what]);
    let words: Vec<&str> = words.collect();
    // Whoever is to run it has to get at it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bench.dir.path(), open).expect("our own folder");
    bench.run(&["--check", "every"], &words)
}

#[track_caller]
fn is_mirrored(before: &[&str], what: &str) {
    let ran = start(before, what);
    assert_eq!(
        ran.output.status.code(),
        Some(0),
        "{before:?} {what}\n{}",
        ran.stderr()
    );
    ran.assert_equal();
}

#[test]
fn a_heap_that_begins_where_the_data_ends() {
    if have("setarch") {
        is_mirrored(&["setarch", "-R"], "heap");
    }
    is_mirrored(&[], "heap");
}

#[test]
fn placement_from_below() {
    let unlimited = "ulimit -s unlimited; exec \"$@\"";
    is_mirrored(&["bash", "-c", unlimited, "bash"], "map");
    if have("setarch") {
        is_mirrored(&["setarch", "-L"], "map");
        is_mirrored(&["setarch", "-L", "-R"], "map");
    }
}

#[test]
fn readable_memory_that_is_executable() {
    if have("setarch") {
        is_mirrored(&["setarch", "-X"], "map");
        is_mirrored(&["setarch", "-X"], "heap");
    }
}

/// Tracing another user's process takes a capability, its limits another one.
#[test]
fn a_program_that_becomes_another_user() {
    let own = std::fs::metadata("/proc/self").expect("a mounted /proc");
    if std::os::unix::fs::MetadataExt::uid(&own) != 0 {
        return eprintln!("skipped: only root can become somebody else");
    }
    is_mirrored(&[], "uid");
}

#[test]
fn a_program_that_the_kernel_kills_while_it_loads_it() {
    let bench = Bench::new();
    let program = bench.compile_with("too_large", &["-mcmodel=large"]);
    let alone = std::process::Command::new(&program).status();
    let signal = std::os::unix::process::ExitStatusExt::signal(&alone.expect("it starts"));
    let Some(signal) = signal else {
        return eprintln!("skipped: this kernel refuses the program in another way");
    };
    let ran = bench.run(&[], &[&program]);
    assert_eq!(
        ran.output.status.code(),
        Some(128 + signal),
        "{}",
        ran.stderr()
    );
    // And a shell's copy of itself, whose map is lost with it.
    let ran = bench.run(
        &["--check", "every"],
        &["bash", "-c", "\"$0\"; true", &program],
    );
    assert_eq!(ran.output.status.code(), Some(0), "{}", ran.stderr());
    ran.assert_equal();
}
