//! The child: reads system calls from a pipe, makes them, writes the results back.
//!
//! # Safety
//! The calls change the very address space this code runs in. The parent never names an address
//! that belonged to the process before the first call, so code, stack and libraries stay. The loop
//! uses its stack only.
#![expect(unsafe_code, reason = "raw system calls are the purpose")]

/// Environment variable that makes the test binary a child.
pub(crate) const MARK: &str = "VMAPLE_JUDGE_CHILD";
/// Descriptors of the pipes.
pub(crate) const COMMANDS: i32 = 90;
pub(crate) const RESULTS: i32 = 91;
/// Number and six arguments.
pub(crate) type Command = [u64; 7];
pub(crate) const COMMAND_BYTES: usize = size_of::<Command>();

/// Serves until the pipe closes.
pub(crate) fn serve() -> ! {
    let mut command: Command = [0; 7];
    loop {
        // SAFETY: `command` is valid for writes of its size.
        let got = unsafe { libc::read(COMMANDS, (&raw mut command).cast(), COMMAND_BYTES) };
        if got != COMMAND_BYTES as isize {
            leave();
        }
        let result = if command[0] == libc::SYS_fork as u64 {
            fork()
        } else {
            call(&command)
        };
        reply(result);
    }
}

fn reply(result: i64) {
    // SAFETY: `result` is valid for reads of its size.
    let put = unsafe { libc::write(RESULTS, (&raw const result).cast(), size_of::<i64>()) };
    if put != size_of::<i64>() as isize {
        leave();
    }
}

/// Makes a system call; errors come back negative.
fn call(command: &Command) -> i64 {
    let [number, a, b, c, d, e, f] = *command;
    // SAFETY: see the module's header.
    let result = unsafe { libc::syscall(number as i64, a, b, c, d, e, f) };
    if result == -1 {
        -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    } else {
        result
    }
}

/// The child of the fork goes on and answers with its number; the parent waits for it.
fn fork() -> i64 {
    // SAFETY: fork has no requirement on memory; the process has one thread.
    let pid = unsafe { libc::syscall(libc::SYS_fork) };
    if pid == 0 {
        // SAFETY: no requirement; should the waiting parent be killed, so is this.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        // SAFETY: no requirement.
        return i64::from(unsafe { libc::getpid() });
    }
    if pid > 0 {
        // SAFETY: a null status pointer is permitted.
        unsafe { libc::waitpid(pid as i32, std::ptr::null_mut(), 0) };
        leave();
    }
    -1
}

fn leave() -> ! {
    // SAFETY: ends the process without running anything.
    unsafe { libc::_exit(0) }
}
