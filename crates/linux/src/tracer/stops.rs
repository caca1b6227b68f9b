//! What a wait status of a seized task means.

/// `PTRACE_EVENT_STOP`, which the C library does not name.
const EVENT_STOP: i32 = 128;
/// Marks a system call stop under `PTRACE_O_TRACESYSGOOD`.
const SYSCALL_TRAP: i32 = libc::SIGTRAP | 0x80;

/// Why a wait for a task returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is gone, by `exit`.
    Exited(u8),
    /// It is gone, by a signal.
    Killed { signal: i32, core_dumped: bool },
    /// The filter handed over a call.
    Filtered,
    /// At a border of a system call.
    Syscall,
    /// It made a task: `PTRACE_EVENT_FORK`, `_VFORK`, `_CLONE`.
    NewTask(Made),
    /// It replaced its program.
    Exec,
    /// It is about to end.
    Exiting,
    /// It is about to get this signal.
    Signal(i32),
    /// It takes part in a group-stop.
    Group,
    /// Its first stop, or the end of a group-stop.
    Trap,
    /// An event that was not asked for.
    Other,
}

/// Which event announced a new task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    Fork,
    Vfork,
    Clone,
}

/// Reads a wait status.
pub(super) fn decode(status: i32) -> Stop {
    if libc::WIFEXITED(status) {
        // The kernel keeps the low eight bits.
        return Stop::Exited(libc::WEXITSTATUS(status) as u8);
    }
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        return Stop::Killed {
            signal,
            core_dumped: libc::WCOREDUMP(status),
        };
    }
    let signal = libc::WSTOPSIG(status);
    match status >> 16 {
        0 if signal == SYSCALL_TRAP => Stop::Syscall,
        0 => Stop::Signal(signal),
        libc::PTRACE_EVENT_SECCOMP => Stop::Filtered,
        libc::PTRACE_EVENT_FORK => Stop::NewTask(Made::Fork),
        libc::PTRACE_EVENT_VFORK => Stop::NewTask(Made::Vfork),
        libc::PTRACE_EVENT_CLONE => Stop::NewTask(Made::Clone),
        libc::PTRACE_EVENT_EXEC => Stop::Exec,
        libc::PTRACE_EVENT_EXIT => Stop::Exiting,
        EVENT_STOP if signal == libc::SIGTRAP => Stop::Trap,
        EVENT_STOP => Stop::Group,
        _ => Stop::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn stopped(signal: i32, event: i32) -> i32 {
        event << 16 | signal << 8 | 0x7f
    }

    #[test]
    fn a_breakpoint_is_a_signal_and_a_system_call_is_not() {
        assert_eq!(
            decode(stopped(libc::SIGTRAP, 0)),
            Stop::Signal(libc::SIGTRAP)
        );
        assert_eq!(decode(stopped(SYSCALL_TRAP, 0)), Stop::Syscall);
        assert_eq!(decode(stopped(64, 0)), Stop::Signal(64));
    }

    #[test]
    fn the_signal_of_a_stop_event_tells_group_stops_from_traps() {
        assert_eq!(decode(stopped(libc::SIGTRAP, EVENT_STOP)), Stop::Trap);
        for signal in [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            assert_eq!(decode(stopped(signal, EVENT_STOP)), Stop::Group);
        }
    }

    #[test]
    fn ends_carry_their_reason() {
        assert_eq!(decode(0x2a00), Stop::Exited(42));
        assert_eq!(
            decode(0x09),
            Stop::Killed {
                signal: 9,
                core_dumped: false
            }
        );
        assert_eq!(
            decode(0x8b),
            Stop::Killed {
                signal: 11,
                core_dumped: true
            }
        );
    }
}
