//! Running a system call in a task that has just exec'd.
//!
//! From its exec event the task is stepped to the exit border of the exec, where its registers
//! are those with which the program starts. For each call they are pointed at a `syscall`
//! instruction found in the task's own code; the call then passes its entry border, the
//! filter's stop if the filter wants it, and its exit border, where the registers are put back.
//! All signals are masked meanwhile, so they stay pending and arrive afterwards; the two that
//! cannot be masked are `SIGKILL`, after which there is nothing to restore, and `SIGSTOP`, which
//! is sent again at the end.

use super::stopped::{At, read_memory};
use super::stops::{Stop, decode};
use super::sys::{self, Resume, SyscallInfo, Whom};
use crate::arch::{self, Registers};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};

/// Why a call could not be injected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InjectError {
    /// The task has not just exec'd.
    #[error("a call can be injected at exec only")]
    NotAtExec,
    /// The new program is not 64-bit code.
    #[error("the program does not use the native system call table")]
    Foreign,
    /// No instruction that enters the kernel was found in the task's code.
    #[error("no system call instruction in the program's code")]
    NoInstruction,
    /// The task was killed meanwhile.
    #[error("the task was killed")]
    Killed,
    /// A request on the task failed.
    #[error("the task could not be controlled: {0}")]
    Os(#[from] Errno),
}

/// Runs one call; see [`super::Stopped::inject`].
pub(super) fn call(
    tid: Pid,
    at: &mut At,
    backlog: &mut VecDeque<(Pid, i32)>,
    nr: u64,
    args: [u64; 6],
) -> Result<i64, InjectError> {
    if *at == At::Elsewhere {
        return Err(InjectError::NotAtExec);
    }
    let mut detour = Detour {
        tid,
        backlog,
        stop_held: false,
    };
    let result = detour.with_signals_masked(|detour| {
        if *at == At::ExecEvent {
            detour.go_to_exit()?;
            *at = At::ExecExit;
        }
        detour.call_here(nr, args)
    });
    // The task is gone, or about to be: `ESRCH` is all that says so.
    result.map_err(|error| match error {
        InjectError::Os(Errno::ESRCH) => InjectError::Killed,
        other => other,
    })
}

/// A task taken off its way.
struct Detour<'a> {
    tid: Pid,
    backlog: &'a mut VecDeque<(Pid, i32)>,
    /// A `SIGSTOP` came; it is to be sent again.
    stop_held: bool,
}

impl Detour<'_> {
    fn with_signals_masked<T>(
        &mut self,
        detour: impl FnOnce(&mut Self) -> Result<T, InjectError>,
    ) -> Result<T, InjectError> {
        let mask = sys::swap_signal_mask(self.tid, sys::ALL_SIGNALS)?;
        let result = detour(self);
        // Fails only if the task was killed, and `result` says so by then.
        let _ = sys::swap_signal_mask(self.tid, mask);
        if self.stop_held {
            let _ = kill(self.tid, Signal::SIGSTOP);
        }
        result
    }

    /// From an exit border, runs one call up to its own exit border.
    fn call_here(&mut self, nr: u64, args: [u64; 6]) -> Result<i64, InjectError> {
        let saved = arch::registers(self.tid)?;
        if !saved.is_native() {
            return Err(InjectError::Foreign);
        }
        let instruction = find_instruction(self.tid).ok_or(InjectError::NoInstruction)?;
        self.run(saved.calling(instruction, nr, args), saved)
    }

    fn run(&mut self, calling: Registers, saved: Registers) -> Result<i64, InjectError> {
        arch::set_registers(self.tid, calling)?;
        let result = self.go_to_exit();
        if !matches!(result, Err(InjectError::Killed)) {
            arch::set_registers(self.tid, saved)?;
        }
        result
    }

    /// Goes on to the next exit border, whatever other stops are on the way.
    fn go_to_exit(&mut self) -> Result<i64, InjectError> {
        loop {
            sys::resume(self.tid, Resume::ToSyscall, 0)?;
            match self.next_stop()? {
                Stop::Syscall => {
                    if let SyscallInfo::Exit(result) = sys::syscall_info(self.tid)? {
                        return Ok(result);
                    }
                }
                // Resumed without it: a masked signal does not get here.
                Stop::Signal(signal) => self.stop_held |= signal == libc::SIGSTOP,
                Stop::Group => self.stop_held = true,
                _ => {}
            }
        }
    }

    /// The task's next stop; its end is left to the tracer.
    fn next_stop(&mut self) -> Result<Stop, InjectError> {
        let (tid, status) = loop {
            match sys::wait(Whom::Only(self.tid)) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        let stop = decode(status);
        if matches!(stop, Stop::Exiting | Stop::Exited(_) | Stop::Killed { .. }) {
            self.backlog.push_back((tid, status));
            return Err(InjectError::Killed);
        }
        Ok(stop)
    }
}

/// The address of an instruction that enters the kernel: in the vdso if there is one, else in
/// any code of the task. Bytes inside of another instruction serve as well.
fn find_instruction(tid: Pid) -> Option<u64> {
    let maps = std::fs::File::open(format!("/proc/{tid}/maps")).ok()?;
    let mut code: Vec<(u64, u64, bool)> = BufReader::new(maps)
        .lines()
        .map_while(Result::ok)
        .filter_map(|l| code_range(&l))
        .collect();
    code.sort_by_key(|&(_, _, vdso)| !vdso);
    code.into_iter()
        .find_map(|(start, end, _)| find_in(tid, start, end))
}

/// Start, end, and whether it is the vdso, of a maps line with readable code.
fn code_range(line: &str) -> Option<(u64, u64, bool)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let readable_code = matches!(fields.next()?.as_bytes(), [b'r', _, b'x', _]);
    let address = |text| u64::from_str_radix(text, 16).ok();
    let vdso = line.ends_with("[vdso]");
    readable_code.then_some((address(start)?, address(end)?, vdso))
}

fn find_in(tid: Pid, start: u64, end: u64) -> Option<u64> {
    const WINDOW: u64 = 64 << 10;
    let pattern = arch::SYSCALL_INSTRUCTION;
    let mut window = [0; WINDOW as usize];
    let mut from = start;
    while from < end {
        let wanted = usize::try_from(WINDOW.min(end - from)).ok()?;
        let read = read_memory(tid, from, &mut window[..wanted]).ok()?;
        let found = window[..read]
            .windows(pattern.len())
            .position(|bytes| bytes == pattern);
        if let Some(offset) = found {
            return Some(from + offset as u64);
        }
        from += read.max(1) as u64;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_readable_code_is_searched() {
        let vdso = "7ffe0000-7ffe2000 r-xp 00000000 00:00 0    [vdso]";
        assert_eq!(code_range(vdso), Some((0x7ffe_0000, 0x7ffe_2000, true)));
        let file = "1000-2000 r-xp 00001000 fe:00 42    /bin/x y";
        assert_eq!(code_range(file), Some((0x1000, 0x2000, false)));
        for other in [
            "1000-2000 rw-p 0 00:00 0",
            "1000-2000 --xp 0 00:00 0",
            "",
            "x-y r-xp",
        ] {
            assert_eq!(code_range(other), None);
        }
    }
}
