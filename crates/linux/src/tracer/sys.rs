//! What is asked of the kernel: the few requests that have no safe wrapper, or none that takes
//! real-time signals, and a task's status.

#![expect(
    unsafe_code,
    reason = "raw ptrace, wait4, waitid and kcmp calls, one per function"
)]

use nix::errno::Errno;
use nix::unistd::Pid;
use std::ptr;

/// A signal set as the kernel has it.
pub(super) type KernelSigset = u64;
/// What `PTRACE_SETSIGMASK` takes for "all".
pub(super) const ALL_SIGNALS: KernelSigset = u64::MAX;

/// How a task in a ptrace stop is set going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// To the next event.
    Freely,
    /// To the next system call border or event.
    ToSyscall,
}

/// One of the requests whose data argument is a number.
fn request(request: libc::c_uint, tid: Pid, data: usize) -> nix::Result<()> {
    // SAFETY: the requests made by this file's callers (CONT, SYSCALL, LISTEN) read `data` as
    // a signal number and touch no memory of this process.
    let done =
        unsafe { libc::ptrace(request, tid.as_raw(), ptr::null_mut::<libc::c_void>(), data) };
    Errno::result(done).map(drop)
}

/// Lets a stopped task go on, with a signal (0: none) if it is in a signal-delivery stop.
pub(super) fn resume(tid: Pid, how: Resume, signal: i32) -> nix::Result<()> {
    let what = match how {
        Resume::Freely => libc::PTRACE_CONT,
        Resume::ToSyscall => libc::PTRACE_SYSCALL,
    };
    request(what, tid, signal.unsigned_abs() as usize)
}

/// Leaves a task in its group-stop, but lets it report the end of it.
pub(super) fn listen(tid: Pid) -> nix::Result<()> {
    request(libc::PTRACE_LISTEN, tid, 0)
}

/// What `PTRACE_GET_SYSCALL_INFO` says of a stopped task.
#[derive(Clone, Copy, Debug)]
pub(super) enum SyscallInfo {
    /// Not at a system call.
    None,
    /// At the entry border.
    Entry,
    /// At the exit border, with the result.
    Exit(i64),
    /// At the filter's stop.
    Filtered { arch: u32, nr: u64, args: [u64; 6] },
}

/// Asks what system call stop a task is in.
pub(super) fn syscall_info(tid: Pid) -> nix::Result<SyscallInfo> {
    // As in ptrace(2): op (1 byte), padding, arch (4), instruction and stack pointer, then
    // number and arguments, or the result.
    let mut words = [0_u64; 11];
    // SAFETY: the kernel writes at most `size_of_val(&words)` bytes into `words`, which lives
    // across the call and for which every bit pattern is valid.
    let done = unsafe {
        libc::ptrace(
            libc::PTRACE_GET_SYSCALL_INFO,
            tid.as_raw(),
            size_of_val(&words),
            words.as_mut_ptr(),
        )
    };
    Errno::result(done)?;
    let head = words[0].to_ne_bytes();
    let [_, _, _, _, arch @ ..] = head;
    Ok(match head[0] {
        1 => SyscallInfo::Entry,
        2 => SyscallInfo::Exit(words[3].cast_signed()),
        3 => {
            let [_, _, _, nr, args @ .., _] = words;
            SyscallInfo::Filtered {
                arch: u32::from_ne_bytes(arch),
                nr,
                args,
            }
        }
        _ => SyscallInfo::None,
    })
}

/// Swaps the signal mask of a stopped task.
pub(super) fn swap_signal_mask(tid: Pid, mask: KernelSigset) -> nix::Result<KernelSigset> {
    let mut old: KernelSigset = 0;
    // SAFETY: the kernel writes eight bytes (the third argument) to `old`.
    let done = unsafe {
        libc::ptrace(
            libc::PTRACE_GETSIGMASK,
            tid.as_raw(),
            size_of::<KernelSigset>(),
            &raw mut old,
        )
    };
    Errno::result(done)?;
    // SAFETY: the kernel reads eight bytes (the third argument) from `mask`.
    let done = unsafe {
        libc::ptrace(
            libc::PTRACE_SETSIGMASK,
            tid.as_raw(),
            size_of::<KernelSigset>(),
            &raw const mask,
        )
    };
    Errno::result(done)?;
    Ok(old)
}

/// Which tasks to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// Every child and tracee of the calling thread.
    Any,
    /// This one.
    Only(Pid),
}

/// Waits for a task of the calling thread to stop or end. `EINTR` if a signal came first.
pub(super) fn wait(whom: Whom) -> nix::Result<(Pid, i32)> {
    wait_with(whom, 0).map(|found| found.unwrap_or((Pid::from_raw(0), 0)))
}

/// As [`wait`], but says `None` if there is nothing to report now.
pub(super) fn wait_now(whom: Whom) -> nix::Result<Option<(Pid, i32)>> {
    wait_with(whom, libc::WNOHANG)
}

fn wait_with(whom: Whom, flags: i32) -> nix::Result<Option<(Pid, i32)>> {
    let pid = match whom {
        Whom::Any => -1,
        Whom::Only(tid) => tid.as_raw(),
    };
    let flags = flags | libc::__WALL | libc::__WNOTHREAD;
    let mut status = 0;
    // SAFETY: the kernel writes one int to `status`, which lives across the call.
    let found = unsafe { libc::waitpid(pid, &raw mut status, flags) };
    let found = Errno::result(found)?;
    Ok((found != 0).then(|| (Pid::from_raw(found), status)))
}

/// Whether a task has something to report that nobody has waited for yet.
pub(super) fn has_news(tid: Pid) -> bool {
    let flags = libc::WNOHANG | libc::WNOWAIT | libc::WEXITED | libc::WSTOPPED | libc::__WALL;
    // SAFETY: all-zero bytes are a valid siginfo_t: it holds integers and pointers only.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills in `info`, which lives across the call.
    let done = unsafe {
        libc::waitid(
            libc::P_PID,
            tid.as_raw().unsigned_abs(),
            &raw mut info,
            flags,
        )
    };
    done == 0 && info.si_signo != 0
}

/// Whether two live tasks share their address space; `None` if the kernel does not say.
pub(super) fn same_mm(one: Pid, other: Pid) -> Option<bool> {
    const KCMP_VM: libc::c_int = 1;
    // SAFETY: kcmp reads two process ids and a type here, and touches no memory.
    let order = unsafe {
        libc::syscall(
            libc::SYS_kcmp,
            one.as_raw(),
            other.as_raw(),
            KCMP_VM,
            0_usize,
            0_usize,
        )
    };
    match order {
        0 => Some(true),
        1..=3 => Some(false),
        _ => None,
    }
}

/// Who sent the signal a task is stopped for; `None` if it was the kernel.
pub(super) fn signal_sender(tid: Pid) -> Option<Pid> {
    let info = nix::sys::ptrace::getsiginfo(tid).ok()?;
    sender(&info)
}

/// Who sent this signal; `None` if it was the kernel.
pub(super) fn sender(info: &libc::siginfo_t) -> Option<Pid> {
    if info.si_code > 0 {
        return None;
    }
    // SAFETY: a code of 0 or less means that a process sent the signal, and then the kernel
    // (or the sender) has filled in the pid field. It is an integer in any case.
    let pid = unsafe { info.si_pid() };
    Some(Pid::from_raw(pid))
}

/// A field of `/proc/TID/status`, by its name with the colon.
pub(super) fn status_field(tid: Pid, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().to_owned())
}
