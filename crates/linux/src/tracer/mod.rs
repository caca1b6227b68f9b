//! Follows a real program and reports its memory calls.
//!
//! [`run`] starts a program under ptrace and tells an [`Observer`] about every memory call,
//! fork, exec and exit of it and of all its threads and children, until the last of them is
//! gone. A seccomp filter hands over only the calls that can change an address space; all
//! others run at full speed. Calls on one address space are let through one at a time, so the
//! observer sees the order in which they took effect.
//!
//! The program is to notice nothing: it keeps its terminal, process group, descriptors, signals
//! and exit status. What it cannot do is trace others that are traced already (a debugger needs
//! its child for itself), make a task that nobody may trace (`CLONE_UNTRACED`), or gain
//! privileges by a set-user-ID program when the tracer has none.
//!
//! | file | knows |
//! |---|---|
//! | `command` `spawn` `filter` `inherited` | how a program comes to run under the tracer |
//! | `sys` `stops` | the kernel's requests and answers |
//! | `tasks` `order` | who is there, and whose turn it is |
//! | `engine` | the loop: wait, decode, act, resume |
//! | `calls` `family` | what a stop at a call, or at a birth or death, means |
//! | `signals` `jobs` | signals to the tracer itself, job control |
//! | `observer` `stopped` `inject` | what is told, and what an observer may do |
//!
//! A run belongs to the calling thread: ptrace requests count only from there. While it lasts,
//! that thread must have no other children, whose ends would be waited for as well.

mod calls;
mod command;
mod engine;
mod error;
mod family;
mod filter;
mod inherited;
mod inject;
mod jobs;
mod observer;
mod order;
mod signals;
mod spawn;
mod stopped;
mod stops;
mod sys;
mod tasks;

pub use command::Command;
pub use error::Error;
pub use inject::InjectError;
pub use observer::{
    Decision, ExitStatus, ForkKind, MmId, Observer, ObserverError, RawCall, ShareKind, Task,
    Verdict,
};
pub use stopped::Stopped;

use std::time::Duration;

/// How to trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How often [`Observer::tick`] is called and signals to the tracer are looked at.
    pub tick: Duration,
    /// How long a call may keep others of its address space waiting before they are let through.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(50),
            patience: Duration::from_millis(250),
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// How the program itself ended.
    pub root_status: ExitStatus,
    /// Processes seen, the program included.
    pub processes: u64,
    /// Threads seen, the first of each process included.
    pub threads: u64,
    /// An observer's [`Verdict::Stop`] ended it.
    pub stopped: bool,
}

/// Runs a program and everything it starts to the end, under `observer`'s eyes.
///
/// # Errors
/// If the program could not be started, the kernel refuses to trace it, or the observer gives
/// up. Whatever had been started is killed.
pub fn run(
    command: &Command,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Outcome, Error> {
    if !crate::arch::SUPPORTED {
        return Err(Error::Unsupported);
    }
    let handlers = signals::Handlers::install(options.tick)?;
    let spawned = spawn::spawn(command, &handlers.for_program())?;
    engine::Tracer::new(options, observer, spawned).run()
}
