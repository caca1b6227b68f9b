//! Starting the program: fork, seize, filter, exec.
//!
//! The child waits at a pipe until the parent has seized it, then puts signals back as they
//! were inherited, installs the filter and tries one file after the other as `execvp` does.
//! What goes wrong there comes back over a second pipe, which a successful exec closes.
//! Everything the child needs is prepared before the fork: it allocates nothing.

#![expect(unsafe_code, reason = "fork, and what a child may do before it execs")]

use super::command::{Command, environment, path_of};
use super::signals::Inherited;
use super::{Error, filter, inherited, sys};
use libc::c_char;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{ForkResult, Pid, fork, pipe2, read, write};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// What every traced task reports.
const TRACED_EVENTS: Options = Options::PTRACE_O_TRACESYSGOOD
    .union(Options::PTRACE_O_TRACEFORK)
    .union(Options::PTRACE_O_TRACEVFORK)
    .union(Options::PTRACE_O_TRACECLONE)
    .union(Options::PTRACE_O_TRACEEXEC)
    .union(Options::PTRACE_O_TRACEEXIT)
    .union(Options::PTRACE_O_TRACESECCOMP)
    .union(Options::PTRACE_O_EXITKILL);

/// Runs a file that is no program and has no `#!` line.
const SHELL: &CStr = c"/bin/sh";

/// The child's last step before it failed.
const FAILED_SETUP: u8 = 0;
const FAILED_FILTER: u8 = 1;
const FAILED_EXEC: u8 = 2;

/// A started child: seized, and on its way to exec.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) pid: Pid,
    candidates: Vec<CString>,
    command: Command,
    failure: File,
}

impl Spawned {
    /// Why the child ended before its exec was done. Nothing where it said nothing: the
    /// kernel killed it for a program that cannot be loaded, or somebody else did.
    pub(super) fn failure(mut self) -> Option<Error> {
        let mut report = [0; 5];
        let told = self.failure.read_exact(&mut report).is_ok();
        told.then(|| self.reported(report))
    }

    fn reported(self, report: [u8; 5]) -> Error {
        let [step, errno @ ..] = report;
        let errno = Errno::from_raw(i32::from_ne_bytes(errno));
        match step {
            FAILED_FILTER => Error::seccomp(errno),
            FAILED_EXEC => self.exec_failure(errno),
            _ => Error::Os {
                what: "setting up the program's process",
                errno,
            },
        }
    }

    fn exec_failure(self, errno: Errno) -> Error {
        let there = |file: &CString| path_of(file.clone()).exists();
        let Some(found) = self.candidates.into_iter().find(there) else {
            // A folder of PATH that may not be looked into is no reason to call it found.
            let searched = !self.command.program.as_bytes().contains(&b'/');
            if searched || matches!(errno, Errno::ENOENT | Errno::ENOTDIR) {
                return Error::NotFound {
                    program: self.command.program.into(),
                };
            }
            return Error::NotExecutable {
                program: self.command.program.into(),
                errno,
                reason: errno.desc().to_owned(),
            };
        };
        let reason = match errno {
            Errno::ENOENT => "the interpreter or loader it names does not exist",
            other => other.desc(),
        };
        Error::NotExecutable {
            program: path_of(found),
            errno,
            reason: reason.to_owned(),
        }
    }
}

/// Everything the child uses.
struct Plan<'a> {
    inherited: &'a Inherited,
    filter: Vec<libc::sock_filter>,
    candidates: &'a [CString],
    argv: Vec<*const c_char>,
    /// As `argv`, for the shell: its name, then the file, then the arguments.
    shell_argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    go: OwnedFd,
    failure: OwnedFd,
}

/// Starts `command` seized by the calling thread.
pub(super) fn spawn(command: &Command, inherited: &Inherited) -> Result<Spawned, Error> {
    let (argv, candidates) = (command.argv()?, command.candidates()?);
    let environment = environment()?;
    let (go, go_writer) = pipe2(OFlag::O_CLOEXEC).map_err(Error::os("pipe2"))?;
    let (failure_reader, failure) = pipe2(OFlag::O_CLOEXEC).map_err(Error::os("pipe2"))?;
    let mut plan = Plan {
        inherited,
        filter: filter::program(),
        candidates: &candidates,
        argv: pointers(&argv),
        shell_argv: shell_arguments(&argv),
        envp: pointers(&environment),
        go,
        failure,
    };
    let pid = fork_child(&mut plan, &go_writer)?;
    drop(plan);
    if let Err(errno) = ptrace::seize(pid, TRACED_EVENTS) {
        // It still waits at the pipe.
        let _ = kill(pid, Signal::SIGKILL);
        let _ = sys::wait(sys::Whom::Only(pid));
        return Err(Error::ptrace(errno));
    }
    // Fails only if the child is dead, and the main loop finds that out.
    let _ = write(&go_writer, &[1]);
    let failure = File::from(failure_reader);
    Ok(Spawned {
        pid,
        candidates,
        command: command.clone(),
        failure,
    })
}

/// Forks with every signal blocked, so that none meets the tracer's handlers in the child.
fn fork_child(plan: &mut Plan<'_>, go_writer: &OwnedFd) -> Result<Pid, Error> {
    let before = SigSet::all()
        .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)
        .map_err(Error::os("sigprocmask"))?;
    // SAFETY: the child runs `child` only, which makes system calls on what was prepared before
    // the fork: no allocation, no lock that another thread could hold.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        child(plan, go_writer);
    }
    before.thread_set_mask().map_err(Error::os("sigprocmask"))?;
    match forked {
        Ok(ForkResult::Parent { child }) => Ok(child),
        Ok(ForkResult::Child) => quit(), // it does not come here
        Err(errno) => Err(Error::Os {
            what: "fork",
            errno,
        }),
    }
}

/// Between fork and exec.
fn child(plan: &mut Plan<'_>, go_writer: &OwnedFd) -> ! {
    // Closes the child's copy, so that the parent's death ends the wait.
    let _ = nix::unistd::close(std::os::fd::AsRawFd::as_raw_fd(go_writer));
    let mut byte = [0];
    loop {
        match read(&plan.go, &mut byte) {
            Ok(1) => break,
            Err(Errno::EINTR) => {}
            _ => quit(),
        }
    }
    if let Err(errno) = plan.inherited.apply() {
        report(plan, FAILED_SETUP, errno);
    }
    for fd in inherited::closed_descriptors() {
        let _ = nix::unistd::close(fd);
    }
    if let Err(errno) = install_filter(&mut plan.filter) {
        report(plan, FAILED_FILTER, errno);
    }
    let errno = exec(plan);
    report(plan, FAILED_EXEC, errno)
}

fn report(plan: &Plan<'_>, step: u8, errno: Errno) -> ! {
    let [a, b, c, d] = (errno as i32).to_ne_bytes();
    let _ = write(plan.failure.as_fd(), &[step, a, b, c, d]);
    quit()
}

fn quit() -> ! {
    // SAFETY: ends the process without running anything of the parent's.
    unsafe { libc::_exit(127) }
}

/// Installs the filter: as a privileged process if possible, so that set-user-ID programs
/// keep their meaning, else with `no_new_privs`.
fn install_filter(filter: &mut [libc::sock_filter]) -> nix::Result<()> {
    let program = libc::sock_fprog {
        // The table has a hundred statements or so.
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    match set_filter(&program) {
        Err(Errno::EACCES) => {
            nix::sys::prctl::set_no_new_privs()?;
            set_filter(&program)
        }
        done => done,
    }
}

fn set_filter(program: &libc::sock_fprog) -> nix::Result<()> {
    // Without SPEC_ALLOW older kernels slow the program down by speculation barriers; kernels
    // that are older still do not know the flag.
    match seccomp(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW, program) {
        Err(Errno::EINVAL) => seccomp(0, program),
        done => done,
    }
}

fn seccomp(flags: libc::c_ulong, program: &libc::sock_fprog) -> nix::Result<()> {
    // SAFETY: the kernel reads the header and, through it, `len` statements that the caller
    // keeps alive; it writes nothing.
    let done = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            ptr::from_ref(program),
        )
    };
    Errno::result(done).map(drop)
}

/// Tries the files in turn; returns the error that `execvp` would.
fn exec(plan: &mut Plan<'_>) -> Errno {
    let mut denied = false;
    let mut last = Errno::ENOENT;
    for file in plan.candidates {
        last = exec_file(file, &plan.argv, &plan.envp);
        if last == Errno::ENOEXEC {
            plan.shell_argv[1] = file.as_ptr();
            last = exec_file(SHELL, &plan.shell_argv, &plan.envp);
        }
        match last {
            Errno::EACCES => denied = true,
            Errno::ENOENT | Errno::ENOTDIR | Errno::ENODEV | Errno::ESTALE | Errno::ETIMEDOUT => {}
            other => return other,
        }
    }
    if denied { Errno::EACCES } else { last }
}

fn exec_file(file: &CStr, argv: &[*const c_char], envp: &[*const c_char]) -> Errno {
    // SAFETY: both lists end with a null pointer and hold pointers to C strings that the
    // parent's side of the fork owns until after this process has exec'd or ended.
    unsafe { libc::execve(file.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    Errno::last()
}

/// Pointers to strings, and the null at the end.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

/// The shell's argument list, with a place for the file.
fn shell_arguments(argv: &[CString]) -> Vec<*const c_char> {
    let arguments = argv.iter().skip(1).map(|string| string.as_ptr());
    [SHELL.as_ptr(), ptr::null()]
        .into_iter()
        .chain(arguments)
        .chain([ptr::null()])
        .collect()
}
