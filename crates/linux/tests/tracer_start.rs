//! Starting a program, refusing to, and giving up.

mod tracer_support;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};
use tracer_support::own_process::{self, OwnProcess};
use tracer_support::{Recorder, Scratch, command, record};
use vmaple_linux::tracer::{
    self, Command, Decision, Error, ExitStatus, ForkKind, MmId, Observer, Options, Outcome,
    RawCall, Stopped, Task, Verdict,
};

fn attempt(command: &Command) -> Result<Outcome, Error> {
    tracer::run(command, &Options::default(), &mut Recorder::default())
}

fn file(scratch: &Scratch, name: &str, text: &str, mode: u32) -> std::path::PathBuf {
    let path = scratch.path(name);
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    path
}

#[test]
fn what_is_not_there_is_not_found() {
    for name in [
        "no-such-program-anywhere",
        "/no/such/folder/x",
        "./no-such-file",
        "",
    ] {
        let error = attempt(&Command::new(name)).expect_err("nothing to start");
        assert!(matches!(error, Error::NotFound { .. }), "{name}: {error:?}");
    }
}

#[test]
fn what_is_there_but_no_program_is_not_executable() {
    let scratch = Scratch::new("start");
    let text = file(&scratch, "text", "echo hello\n", 0o644);
    let lost = file(&scratch, "lost", "#!/no/such/interpreter\n", 0o755);
    let within = text.join("x");
    for path in [&text, &lost, Path::new("/"), &std::env::temp_dir()] {
        let error = attempt(&command(path, &[])).expect_err("nothing to start");
        let Error::NotExecutable { program, .. } = &error else {
            panic!("{path:?}: {error:?}")
        };
        assert_eq!(program, path);
    }
    let error = attempt(&command(&within, &[])).expect_err("nothing to start");
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
}

#[test]
fn a_script_runs_with_and_without_its_first_line() {
    let scratch = Scratch::new("script");
    for (name, head) in [("with", "#!/bin/sh\n"), ("without", "")] {
        let body = format!("{head}test \"$1\" = 'a b' && test \"$#\" = 2 && exit 33\n");
        let script = file(&scratch, name, &body, 0o755);
        let (outcome, _) = record(&command(&script, &["a b", ""]));
        assert_eq!(outcome.root_status, ExitStatus::Exited(33), "{name}");
    }
}

#[test]
fn a_nul_byte_is_refused() {
    let error = attempt(&Command::new("true").args(["a\0b"])).expect_err("no such argument");
    assert!(matches!(error, Error::NulByte));
}

#[test]
fn input_and_output_are_the_programs() {
    let scratch = Scratch::new("pipes");
    let script = file(
        &scratch,
        "upper",
        "#!/bin/sh\nread x; echo \"<$x>\"; echo oops >&2\n",
        0o755,
    );
    let mut helper = OwnProcess::new(&scratch, &script)
        .process()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test binary again");
    helper
        .stdin
        .take()
        .expect("a pipe")
        .write_all(b"some input\n")
        .expect("a write");
    let output = helper.wait_with_output().expect("its output");
    assert_eq!(output.status.code(), Some(0));
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(out.contains("<some input>\n"), "{out}");
    assert_eq!(err, "oops\n");
}

#[test]
fn no_descriptor_of_the_tracer_leaks() {
    let script = "test \"$(ls /proc/self/fd | wc -l)\" -le \"$1\"";
    let alone = Process::new("sh")
        .args(["-c", "ls /proc/self/fd | wc -l"])
        .output()
        .expect("a run");
    let alone = String::from_utf8(alone.stdout).expect("a number");
    let (outcome, _) = record(&Command::new("sh").args(["-c", script, "sh", alone.trim()]));
    assert_eq!(outcome.root_status, ExitStatus::Exited(0));
}

/// Which call an outer filter refuses in the helper.
const REFUSED: &str = "VMAPLE_TEST_REFUSED";

fn refused(name: &str, call: i64) -> Option<i32> {
    let scratch = Scratch::new(name);
    let script = file(&scratch, "script", "#!/bin/sh\nexit 0\n", 0o755);
    let mut helper = OwnProcess::new(&scratch, &script).process();
    let output = helper
        .env(REFUSED, call.to_string())
        .output()
        .expect("this test binary again");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = err.lines().filter(|line| !line.is_empty()).count();
    assert_eq!(lines, 1, "one line to read: {err}");
    assert!(err.contains("seccomp profile"), "{err}");
    output.status.code()
}

#[test]
fn a_refused_ptrace_is_explained() {
    assert_eq!(refused("ptrace", libc::SYS_ptrace), Some(201));
}

#[test]
fn a_refused_filter_is_explained() {
    assert_eq!(refused("seccomp", libc::SYS_seccomp), Some(202));
}

/// Not a test: the tracer as a process of its own, under an outer filter if asked for.
#[test]
fn own_process() {
    if let Some(call) = std::env::var_os(REFUSED) {
        let call = call
            .to_str()
            .and_then(|call| call.parse().ok())
            .expect("a number");
        let arch = std::env::consts::ARCH
            .try_into()
            .expect("a known architecture");
        let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let rules = BTreeMap::from([(call, vec![])]);
        let filter =
            SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).expect("a filter");
        let program: BpfProgram = filter.try_into().expect("a program");
        seccompiler::apply_filter(&program).expect("the filter is taken");
    }
    own_process::run();
}

/// Gives up at some point, in some way.
struct Quitter {
    exits_left: u32,
    how: fn() -> Decision,
    seen: Vec<Pid>,
}

impl Observer for Quitter {
    fn exec(&mut self, task: &mut Stopped<'_>, _: Option<MmId>) -> Decision {
        self.seen.push(task.tid());
        Ok(Verdict::Continue)
    }
    fn call_entry(&mut self, _: &mut Stopped<'_>, _: &RawCall) -> Decision {
        Ok(Verdict::Continue)
    }
    fn call_exit(&mut self, _: &mut Stopped<'_>, _: &RawCall, _: i64) -> Decision {
        self.exits_left = self.exits_left.saturating_sub(1);
        if self.exits_left == 0 {
            (self.how)()
        } else {
            Ok(Verdict::Continue)
        }
    }
    fn forked(&mut self, _: &mut Stopped<'_>, child: Task, _: ForkKind) -> Decision {
        self.seen.push(child.tid);
        Ok(Verdict::Continue)
    }
}

/// Runs something that would last for a minute, and checks that nothing of it is left.
fn quit(how: fn() -> Decision) -> std::thread::Result<Result<Outcome, Error>> {
    let mut quitter = Quitter {
        exits_left: 60,
        how,
        seen: Vec::new(),
    };
    let script = "for i in 1 2 3 4; do sleep 60 & done; while :; do (:); done";
    let command = Command::new("sh").args(["-c", script]);
    let start = Instant::now();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        tracer::run(&command, &Options::default(), &mut quitter)
    }));
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(quitter.seen.len() > 1);
    for pid in quitter.seen {
        // A process nobody of ours has to reap may be a zombie for a moment.
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            kill(pid, None).is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
        };
        assert!(gone(), "{pid} is still there");
    }
    result
}

#[test]
fn a_verdict_ends_everything() {
    let outcome = quit(|| Ok(Verdict::Stop))
        .expect("no panic")
        .expect("an outcome");
    assert!(outcome.stopped);
    let killed = ExitStatus::Signaled {
        signal: 9,
        core_dumped: false,
    };
    assert_eq!(outcome.root_status, killed);
}

#[test]
fn an_observers_error_ends_everything_and_comes_back() {
    let error = quit(|| Err("no more".into()))
        .expect("no panic")
        .expect_err("an error");
    assert_eq!(error.to_string(), "the observer gave up: no more");
}

#[test]
fn a_panic_of_the_observer_leaves_nothing_behind() {
    assert!(quit(|| panic!("planted")).is_err());
}
