//! From registers to a typed [`Call`], following the pointers where arguments lie in memory.

use libc::c_long;
use vmaple::BrkArea;

use crate::call::{Call, Span};
use crate::tracer::{RawCall, Stopped};

/// `prctl`'s `PR_SET_VMA`.
const PR_SET_VMA: u64 = 0x5356_4d41;
/// The longest anonymous name Linux takes, its terminating zero included.
const ANON_NAME_MAX: usize = 80;
/// The most ranges one `process_madvise` may name (`UIO_MAXIOV`).
const MOST_SPANS: usize = 1024;
/// `pidfd` values that mean "this process" and "this thread" (Linux 6.14).
const PIDFD_SELF: [i32; 2] = [-10_000, -10_001];

/// The register holds a C `int`: its upper half is not the kernel's business.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the kernel truncates just so"
)]
fn int(register: u64) -> i32 {
    register as i32
}

/// The register holds a C `unsigned int`.
fn word(register: u64) -> u64 {
    register & 0xffff_ffff
}

/// The typed call behind `raw`.
///
/// A pointer that cannot be followed leaves the pointed-to values empty or zero: the kernel
/// will fail the call with `EFAULT`, and so the values do not matter.
pub(crate) fn decode(stopped: &Stopped<'_>, raw: &RawCall) -> Call {
    #[expect(clippy::cast_possible_wrap, reason = "system call numbers are small")]
    let number = raw.nr as c_long;
    in_registers(number, raw.args).unwrap_or_else(|| with_pointers(stopped, number, raw))
}

/// Calls whose arguments are all in the registers.
fn in_registers(number: c_long, [a, b, c, d, e, f]: [u64; 6]) -> Option<Call> {
    let (addr, len) = (a, b);
    Some(match number {
        libc::SYS_mmap => Call::Mmap {
            addr,
            len,
            prot: c,
            flags: d,
            fd: int(e),
            offset: f,
        },
        libc::SYS_munmap => Call::Munmap { addr, len },
        libc::SYS_mprotect => Call::Mprotect { addr, len, prot: c },
        libc::SYS_pkey_mprotect => Call::PkeyMprotect {
            addr,
            len,
            prot: c,
            pkey: int(d),
        },
        libc::SYS_mremap => Call::Mremap {
            addr,
            old_len: b,
            new_len: c,
            flags: d,
            new_addr: e,
        },
        libc::SYS_brk => Call::Brk { addr },
        libc::SYS_madvise => Call::Madvise {
            addr,
            len,
            advice: int(c),
        },
        libc::SYS_mlock => Call::Mlock { addr, len },
        libc::SYS_mlock2 => Call::Mlock2 {
            addr,
            len,
            flags: word(c),
        },
        libc::SYS_munlock => Call::Munlock { addr, len },
        libc::SYS_mlockall => Call::Mlockall { flags: word(a) },
        libc::SYS_munlockall => Call::Munlockall,
        libc::SYS_mseal => Call::Mseal {
            addr,
            len,
            flags: c,
        },
        libc::SYS_shmat => Call::Shmat {
            shmid: int(a),
            addr: b,
            flags: word(c),
        },
        libc::SYS_shmdt => Call::Shmdt { addr },
        libc::SYS_remap_file_pages => Call::RemapFilePages {
            addr,
            size: b,
            prot: c,
            pgoff: d,
            flags: e,
        },
        libc::SYS_io_setup => Call::IoSetup { nr_events: word(a) },
        libc::SYS_io_destroy => Call::IoDestroy { ctx: a },
        libc::SYS_execve | libc::SYS_execveat => Call::Exec,
        libc::SYS_clone | libc::SYS_clone3 => Call::Fork,
        _ => return None,
    })
}

/// Calls that say more behind a pointer, and all the rest.
fn with_pointers(stopped: &Stopped<'_>, number: c_long, raw: &RawCall) -> Call {
    let [a, b, c, d, e, _] = raw.args;
    match number {
        libc::SYS_process_madvise => process_madvise(stopped, raw),
        libc::SYS_prctl if a == PR_SET_VMA => Call::SetVma {
            what: b,
            addr: c,
            len: d,
            anon_name: name(stopped, e),
        },
        libc::SYS_prctl if int(a) == libc::PR_SET_MM => Call::SetMm {
            what: b,
            value: c,
            size: d,
            arg5: e,
            map: (b == PR_SET_MM_MAP).then(|| bounds(stopped, c)).flatten(),
        },
        libc::SYS_prctl if int(a) == libc::PR_SET_THP_DISABLE => {
            Call::ThpDisable { args: [b, c, d, e] }
        }
        libc::SYS_ioctl => userfault(stopped, raw),
        number => other(number, raw),
    }
}

/// `prctl(PR_SET_MM)`'s option for all bounds at once.
const PR_SET_MM_MAP: u64 = 14;

/// The bounds at the beginning of a `struct prctl_mm_map`.
fn bounds(stopped: &Stopped<'_>, at: u64) -> Option<Box<BrkArea>> {
    let mut words = [0_u64; 11];
    for (index, word) in words.iter_mut().enumerate() {
        let mut bytes = [0; 8];
        let read = stopped.read_memory(at.checked_add(8 * index as u64)?, &mut bytes);
        read.ok().filter(|count| *count == bytes.len())?;
        *word = u64::from_ne_bytes(bytes);
    }
    let [
        start_code,
        end_code,
        start_data,
        end_data,
        start_brk,
        brk,
        rest @ ..,
    ] = words;
    let [start_stack, arg_start, arg_end, env_start, env_end] = rest;
    Some(Box::new(BrkArea {
        start_brk,
        brk,
        start_stack,
        start_code,
        end_code,
        start_data,
        end_data,
        arg_start,
        arg_end,
        env_start,
        env_end,
    }))
}

/// A call without a model, by its name.
fn other(number: c_long, raw: &RawCall) -> Call {
    #[cfg(target_arch = "x86_64")]
    if matches!(number, libc::SYS_fork | libc::SYS_vfork) {
        return Call::Fork;
    }
    let call = match number {
        libc::SYS_prctl => format!("prctl({})", raw.args[0]),
        _ => crate::arch::syscall(raw.nr)
            .map_or_else(|| format!("syscall {number}"), |call| call.name.to_owned()),
    };
    Call::Other {
        call,
        args: raw.args,
    }
}

/// The ioctls of a userfaultfd that change mappings, told by their request number.
fn userfault(stopped: &Stopped<'_>, raw: &RawCall) -> Call {
    /// `_IOWR(0xAA, 0, struct uffdio_register)`.
    const REGISTER: u64 = 0xc020_aa00;
    /// `_IOR(0xAA, 1, struct uffdio_range)`.
    const UNREGISTER: u64 = 0x8010_aa01;
    let fd = int(raw.args[0]);
    let value = |index: u64| read_u64(stopped, raw.args[2].wrapping_add(index * 8)).unwrap_or(0);
    match raw.args[1] & 0xffff_ffff {
        REGISTER => Call::UffdRegister {
            fd,
            start: value(0),
            len: value(1),
            mode: value(2),
        },
        UNREGISTER => Call::UffdUnregister {
            fd,
            start: value(0),
            len: value(1),
        },
        request => Call::Other {
            call: format!("ioctl({request:#x})"),
            args: raw.args,
        },
    }
}

fn process_madvise(stopped: &Stopped<'_>, raw: &RawCall) -> Call {
    let [pidfd, vector, count, advice, flags, _] = raw.args;
    let pidfd = int(pidfd);
    let own = PIDFD_SELF.contains(&pidfd) || pidfd_names(stopped, pidfd);
    let mut spans = Vec::new();
    for index in 0..usize::try_from(count).unwrap_or(usize::MAX).min(MOST_SPANS) as u64 {
        let at = vector.wrapping_add(index * 16);
        let (Some(start), Some(len)) =
            (read_u64(stopped, at), read_u64(stopped, at.wrapping_add(8)))
        else {
            break;
        };
        spans.push(Span { start, len });
    }
    Call::ProcessMadvise {
        own,
        spans,
        advice: int(advice),
        flags,
    }
}

/// Whether descriptor `fd` of the stopped task is a pidfd of its own process.
fn pidfd_names(stopped: &Stopped<'_>, fd: i32) -> bool {
    let task = stopped.task();
    let Ok(info) = std::fs::read_to_string(format!("/proc/{}/fdinfo/{fd}", task.tid)) else {
        return false;
    };
    let pid = info
        .lines()
        .find_map(|line| line.strip_prefix("Pid:"))
        .map(str::trim);
    pid == Some(task.tgid.to_string().as_str())
}

fn read_u64(stopped: &Stopped<'_>, addr: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    let read = stopped.read_memory(addr, &mut bytes).ok()?;
    (read == bytes.len()).then(|| u64::from_ne_bytes(bytes))
}

/// The zero-terminated name at `addr`; `None` for a null pointer.
fn name(stopped: &Stopped<'_>, addr: u64) -> Option<String> {
    if addr == 0 {
        return None;
    }
    let mut bytes = [0; ANON_NAME_MAX];
    let read = stopped.read_memory(addr, &mut bytes).unwrap_or(0);
    let end = bytes[..read].iter().position(|&b| b == 0).unwrap_or(read);
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
}
