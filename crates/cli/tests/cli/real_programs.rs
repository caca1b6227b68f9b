//! Programs that every Debian has, mirrored call by call: no difference, no re-seed.

use crate::support::{Bench, have};

/// The program ends well, prints what it prints, and its map never differed.
#[track_caller]
fn is_mirrored(program: &[&str]) -> crate::support::Ran {
    if !have(program[0]) {
        let output = std::process::Command::new("true").output().expect("true");
        return crate::support::Ran {
            output,
            json: serde_json::Value::Null,
        };
    }
    let bench = Bench::new();
    let ran = bench.run(&["--check", "every"], program);
    assert!(
        ran.output.status.success(),
        "{program:?}: {}\n{}",
        ran.output.status,
        ran.stderr()
    );
    ran.assert_equal();
    assert!(
        ran.number("calls") > 5,
        "no memory calls seen\n{}",
        ran.stderr()
    );
    ran
}

#[test]
fn ls_of_a_large_tree() {
    let ran = is_mirrored(&["ls", "-lR", "/usr/share/doc"]);
    assert!(
        ran.stdout().contains("/usr/share/doc:"),
        "the program's output is its own"
    );
}

#[test]
fn python_with_threads() {
    let script = "
import json, ssl, sqlite3, threading
def work():
    for i in range(40):
        a = [bytearray(300_000) for _ in range(8)]
        b = json.dumps(list(range(2000)))
        del a
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sqlite3.connect(':memory:').execute('select 6*7').fetchone()[0])
";
    let ran = is_mirrored(&["python3", "-c", script]);
    if !ran.json.is_null() {
        assert_eq!(ran.stdout(), "42\n");
        assert!(ran.number("threads") >= 9, "{}", ran.stderr());
    }
}

#[test]
fn bash_with_pipes_and_subshells() {
    let script = "for i in 1 2 3; do (echo $i | tr 1-3 a-c) | cat; done; echo $(ls / | wc -l) > /dev/null; wait";
    let ran = is_mirrored(&["bash", "-c", script]);
    assert_eq!(ran.stdout(), "a\nb\nc\n");
    assert!(ran.number("processes") > 9, "{}", ran.stderr());
}

#[test]
fn node_with_worker_threads() {
    let script = "
const { Worker } = require('worker_threads');
const work = `const a = []; for (let i = 0; i < 2e4; i++) a.push({ i, s: 'x' + i });`;
let left = 3;
for (let i = 0; i < 3; i++) new Worker(work, { eval: true }).on('exit', () => { if (--left === 0) console.log('done'); });
";
    let ran = is_mirrored(&["node", "-e", script]);
    if !ran.json.is_null() {
        assert_eq!(ran.stdout(), "done\n");
    }
}

#[test]
fn perl_and_git() {
    is_mirrored(&[
        "perl",
        "-e",
        "my @a = map { $_ x 1000 } 1..2000; fork or exit 0; wait; print scalar @a",
    ]);
    is_mirrored(&["git", "--version"]);
}

#[test]
fn the_c_compiler() {
    let bench = Bench::new();
    let source = bench.path("hello.c");
    std::fs::write(
        &source,
        "#include <stdio.h>\nint main(void) { return puts(\"hi\") < 0; }\n",
    )
    .unwrap();
    let out = bench.path("hello");
    let ran = bench.run(
        &["--check", "every"],
        &[
            "cc",
            "-O2",
            "-o",
            out.to_str().unwrap(),
            source.to_str().unwrap(),
        ],
    );
    assert!(ran.output.status.success(), "{}", ran.stderr());
    ran.assert_equal();
    assert!(out.exists());
}
