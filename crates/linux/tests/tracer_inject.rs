//! A call injected at exec does its work, and the program notices nothing.

mod tracer_support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;
use tracer_support::{Recorder, Scratch, command};
use vmaple_linux::arch::nr;
use vmaple_linux::tracer::{
    self, Decision, Error, ExitStatus, ForkKind, InjectError, MmId, Observer, Options, Outcome,
    RawCall, Stopped, Task, Verdict,
};

/// Starts without the C library and looks at the registers as the kernel set them.
const BARE: &str = r#"
__asm__(
    ".globl _start\n_start:\n"
    "mov %rsp, %r15\n" /* r15 itself is not looked at */
    "or %rbx, %rax\n or %rcx, %rax\n or %rdx, %rax\n or %rsi, %rax\n or %rdi, %rax\n"
    "or %rbp, %rax\n or %r8, %rax\n or %r9, %rax\n or %r10, %rax\n or %r11, %rax\n"
    "or %r12, %rax\n or %r13, %rax\n or %r14, %rax\n"
    "setne %dil\n movzbl %dil, %edi\n"
    "cmpq $2, (%r15)\n je 1f\n or $2, %edi\n" /* argc */
    "1: mov $231, %eax\n syscall\n");
"#;

/// Injects at each exec.
struct Injector {
    /// Sent to the task first.
    signal: Option<Signal>,
    results: Vec<i64>,
    maps_equal: bool,
    elsewhere: Option<InjectError>,
}

impl Injector {
    fn new(signal: Option<Signal>) -> Self {
        Self {
            signal,
            results: Vec::new(),
            maps_equal: false,
            elsewhere: None,
        }
    }

    fn maps(tid: Pid) -> String {
        std::fs::read_to_string(format!("/proc/{tid}/maps")).expect("a map")
    }
}

impl Observer for Injector {
    fn exec(&mut self, task: &mut Stopped<'_>, _: Option<MmId>) -> Decision {
        let before = Self::maps(task.tid());
        if let Some(signal) = self.signal {
            kill(task.tid(), signal)?;
        }
        let private_anonymous = 0x22;
        let at = task.inject(nr::MMAP, [0, 0x10_0000, 0, private_anonymous, u64::MAX, 0])?;
        self.results.push(at);
        assert!(Self::maps(task.tid()).contains(&format!("{at:x}-{:x} ---p", at + 0x10_0000)));
        self.results
            .push(task.inject(nr::MUNMAP, [at.cast_unsigned(), 0x10_0000, 0, 0, 0, 0])?);
        let getpid = 39;
        self.results
            .push(task.inject(getpid, [0; 6])? - i64::from(task.tid().as_raw()));
        self.results
            .push(task.inject(nr::MUNMAP, [1, 0, 0, 0, 0, 0])?);
        self.maps_equal = Self::maps(task.tid()) == before;
        Ok(Verdict::Continue)
    }
    fn call_entry(&mut self, task: &mut Stopped<'_>, _: &RawCall) -> Decision {
        self.elsewhere = task.inject(nr::MUNMAP, [0; 6]).err();
        Ok(Verdict::Continue)
    }
    fn call_exit(&mut self, _: &mut Stopped<'_>, _: &RawCall, _: i64) -> Decision {
        Ok(Verdict::Continue)
    }
    fn forked(&mut self, _: &mut Stopped<'_>, _: Task, _: ForkKind) -> Decision {
        Ok(Verdict::Continue)
    }
}

fn run(program: &std::path::Path, injector: &mut Injector) -> Result<Outcome, Error> {
    tracer::run(
        &command(program, &["argument"]),
        &Options::default(),
        injector,
    )
}

fn bare(scratch: &Scratch) -> std::path::PathBuf {
    let (program, source) = (scratch.path("bare"), scratch.path("bare.c"));
    std::fs::write(&source, BARE).expect("a source file");
    let built = std::process::Command::new("cc")
        .args(["-nostdlib", "-static", "-o"])
        .args([&program, &source])
        .status();
    assert!(built.expect("a C compiler").success());
    program
}

#[test]
fn registers_are_as_the_kernel_set_them() {
    let scratch = Scratch::new("bare");
    let program = bare(&scratch);
    let alone = std::process::Command::new(&program)
        .arg("argument")
        .status()
        .expect("a run");
    assert_eq!(alone.code(), Some(0), "the program itself is wrong");
    let mut injector = Injector::new(None);
    let outcome = run(&program, &mut injector).expect("a run");
    assert_eq!(outcome.root_status, ExitStatus::Exited(0));
    let [at, 0, 0, -22] = injector.results[..] else {
        panic!("{:?}", injector.results)
    };
    assert!(at > 0 && at % 4096 == 0);
    assert!(injector.maps_equal);
}

#[test]
fn a_real_program_runs_on() {
    let scratch = Scratch::new("real");
    let program = scratch.compile(
        "real",
        "#include <stdio.h>\n#include <stdlib.h>\n\
         int main(int c, char **v) { free(malloc(1 << 20)); return c == 2 ? 11 : 1; }",
    );
    let mut injector = Injector::new(None);
    let outcome = run(&program, &mut injector).expect("a run");
    assert_eq!(outcome.root_status, ExitStatus::Exited(11));
    assert!(matches!(injector.elsewhere, Some(InjectError::NotAtExec)));
}

#[test]
fn a_signal_that_comes_meanwhile_arrives_afterwards() {
    let scratch = Scratch::new("meanwhile");
    let program = bare(&scratch);
    let mut injector = Injector::new(Some(Signal::SIGTERM));
    let outcome = run(&program, &mut injector).expect("a run");
    assert_eq!(
        outcome.root_status,
        ExitStatus::Signaled {
            signal: 15,
            core_dumped: false
        }
    );
    assert_eq!(injector.results.len(), 4);
}

#[test]
fn a_stop_that_comes_meanwhile_stops_the_program_afterwards() {
    let scratch = Scratch::new("stop");
    let program = bare(&scratch);
    let mut injector = Injector::new(Some(Signal::SIGSTOP));
    let waker = std::thread::spawn(move || {
        let stopped = || {
            let bare = std::fs::read_dir("/proc")
                .ok()?
                .filter_map(Result::ok)
                .find(|entry| {
                    std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == program)
                })?;
            let status = std::fs::read_to_string(bare.path().join("wchan")).ok();
            let pid = bare.file_name().into_string().ok()?.parse().ok()?;
            status.map(|_| Pid::from_raw(pid))
        };
        std::thread::sleep(Duration::from_millis(300));
        let pid = stopped().expect("the program is there, stopped");
        kill(pid, Signal::SIGCONT).expect("a continue");
        scratch
    });
    let start = std::time::Instant::now();
    let program = std::env::temp_dir()
        .join(format!("vmaple-tracer-stop-{}", std::process::id()))
        .join("bare");
    let outcome = run(&program, &mut injector).expect("a run");
    assert!(start.elapsed() >= Duration::from_millis(250));
    assert_eq!(outcome.root_status, ExitStatus::Exited(0));
    drop(waker.join().expect("the waker"));
}

#[test]
fn a_task_killed_meanwhile_is_an_error_and_no_hang() {
    let scratch = Scratch::new("killed");
    let program = bare(&scratch);
    let mut injector = Injector::new(Some(Signal::SIGKILL));
    match run(&program, &mut injector) {
        Err(Error::Observer(error)) => {
            assert!(
                matches!(error.downcast_ref(), Some(InjectError::Killed)),
                "{error}"
            );
        }
        other => panic!("{other:?}"),
    }
    let after = tracer::run(
        &command(&program, &[]),
        &Options::default(),
        &mut Recorder::default(),
    );
    assert_eq!(after.expect("a run").root_status, ExitStatus::Exited(2));
}
