//! x86-64: call numbers, registers, the `syscall` instruction.
//!
//! Numbers are those of the 64-bit table. A task can also enter the kernel through the
//! 32-bit table (another audit architecture) or the x32 one (a bit in the number): both
//! count as foreign, see [`FOREIGN_NR_BIT`].

use super::{CloneFlags, Role, Syscall, When};
use nix::unistd::Pid;

/// Whether [`crate::tracer::run`] works on this processor.
pub const SUPPORTED: bool = true;
/// `AUDIT_ARCH_X86_64`: the ELF machine 62, 64-bit, little-endian.
pub const AUDIT_ARCH: u32 = 0xc000_003e;
/// Set in the number of an x32 call.
pub const FOREIGN_NR_BIT: u32 = 1 << 30;
/// `syscall`.
pub const SYSCALL_INSTRUCTION: &[u8] = &[0x0f, 0x05];

/// Code segment of 64-bit user code; 32-bit code runs on another.
const CODE_SEGMENT_64: u64 = 0x33;

const CLONE_VM: u32 = 0x100;
const CLONE_VFORK: u32 = 0x4000;

/// `prctl` options that change a map or how mappings are made.
const PRCTL: When = When::LowWordIs {
    arg: 0,
    values: &[
        PR_SET_VMA,
        PR_SET_MM,
        PR_SET_THP_DISABLE,
        PR_SET_MEMORY_MERGE,
    ],
};
/// Names an anonymous mapping.
pub const PR_SET_VMA: u32 = 0x5356_4d41;
/// Moves the borders of heap, stack, arguments.
pub const PR_SET_MM: u32 = 35;
/// Switches huge pages off for the process.
pub const PR_SET_THP_DISABLE: u32 = 41;
/// Marks every mapping mergeable.
pub const PR_SET_MEMORY_MERGE: u32 = 67;

/// `ioctl` commands of a userfaultfd that change a map.
const IOCTL: When = When::LowWordIs {
    arg: 1,
    values: &[UFFDIO_REGISTER, UFFDIO_UNREGISTER, UFFDIO_MOVE],
};
/// `_IOWR(0xaa, 0, 32 bytes)`.
pub const UFFDIO_REGISTER: u32 = 0xc020_aa00;
/// `_IOR(0xaa, 1, 16 bytes)`.
pub const UFFDIO_UNREGISTER: u32 = 0x8010_aa01;
/// `_IOWR(0xaa, 5, 40 bytes)`.
pub const UFFDIO_MOVE: u32 = 0xc028_aa05;

/// `ARCH_MAP_VDSO_X32`, `_32`, `_64`.
const ARCH_PRCTL: When = When::LowWordIs {
    arg: 0,
    values: &[0x2001, 0x2002, 0x2003],
};

/// A `clone` that shares the address space changes none: the clone event is enough.
const CLONE: When = When::LowWordLacks {
    arg: 0,
    bits: CLONE_VM,
};

macro_rules! calls {
    ($($constant:ident = $nr:literal, $name:literal, $role:ident, $when:expr;)*) => {
        /// The numbers of the traced calls, by name.
        pub mod nr {
            $(#[doc = concat!("`", $name, "`.")] pub const $constant: u64 = $nr;)*
        }
        /// Every call the filter may hand over. `vfork` is not among them: it shares the
        /// address space, and its event says the rest.
        pub const CALLS: &[Syscall] = &[
            $(Syscall { nr: $nr, name: $name, role: Role::$role, when: $when },)*
        ];
    };
}

calls! {
    MMAP = 9, "mmap", Memory, When::Always;
    MPROTECT = 10, "mprotect", Memory, When::Always;
    MUNMAP = 11, "munmap", Memory, When::Always;
    BRK = 12, "brk", Memory, When::Always;
    IOCTL = 16, "ioctl", Memory, IOCTL;
    MREMAP = 25, "mremap", Memory, When::Always;
    MADVISE = 28, "madvise", Memory, When::Always;
    SHMAT = 30, "shmat", Memory, When::Always;
    CLONE = 56, "clone", Clone, CLONE;
    FORK = 57, "fork", Clone, When::Always;
    EXECVE = 59, "execve", Exec, When::Always;
    SHMDT = 67, "shmdt", Memory, When::Always;
    MLOCK = 149, "mlock", Memory, When::Always;
    MUNLOCK = 150, "munlock", Memory, When::Always;
    MLOCKALL = 151, "mlockall", Memory, When::Always;
    MUNLOCKALL = 152, "munlockall", Memory, When::Always;
    PRCTL = 157, "prctl", Memory, PRCTL;
    ARCH_PRCTL = 158, "arch_prctl", Memory, ARCH_PRCTL;
    IO_SETUP = 206, "io_setup", Memory, When::Always;
    IO_DESTROY = 207, "io_destroy", Memory, When::Always;
    REMAP_FILE_PAGES = 216, "remap_file_pages", Memory, When::Always;
    MBIND = 237, "mbind", Memory, When::Always;
    EXECVEAT = 322, "execveat", Exec, When::Always;
    MLOCK2 = 325, "mlock2", Memory, When::Always;
    PKEY_MPROTECT = 329, "pkey_mprotect", Memory, When::Always;
    CLONE3 = 435, "clone3", Clone3, When::Always;
    PROCESS_MADVISE = 440, "process_madvise", Memory, When::Always;
    SET_MEMPOLICY_HOME_NODE = 450, "set_mempolicy_home_node", Memory, When::Always;
    MAP_SHADOW_STACK = 453, "map_shadow_stack", Memory, When::Always;
    MSEAL = 462, "mseal", Memory, When::Always;
}

const VFORK: u64 = 58;
/// One more than the greatest number in [`CALLS`].
const NR_INDEXED: usize = 463;
/// In [`INDEX`]: not in the table.
const ABSENT: u8 = u8::MAX;

/// From a number to its place in [`CALLS`], so that a stop costs one load.
static INDEX: [u8; NR_INDEXED] = {
    let mut index = [ABSENT; NR_INDEXED];
    let mut at = 0;
    while at < CALLS.len() {
        index[CALLS[at].nr as usize] = at as u8;
        at += 1;
    }
    index
};

/// The entry of a call number, if the tracer takes part in it.
#[must_use]
pub fn syscall(nr: u64) -> Option<&'static Syscall> {
    let place = *INDEX.get(usize::try_from(nr).ok()?)?;
    CALLS.get(usize::from(place))
}

/// A stopped task's registers.
#[derive(Clone, Copy, Debug)]
pub struct Registers(libc::user_regs_struct);

/// Reads the registers of a task in a ptrace stop.
///
/// # Errors
/// `ESRCH` if it is not stopped (any more).
pub fn registers(tid: Pid) -> nix::Result<Registers> {
    nix::sys::ptrace::getregs(tid).map(Registers)
}

/// Writes the registers of a task in a ptrace stop.
///
/// # Errors
/// `ESRCH` if it is not stopped (any more).
pub fn set_registers(tid: Pid, regs: Registers) -> nix::Result<()> {
    nix::sys::ptrace::setregs(tid, regs.0)
}

impl Registers {
    /// Whether the task runs 64-bit code.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.0.cs == CODE_SEGMENT_64
    }

    /// The flags of the fork-like call the task is in.
    #[must_use]
    pub fn clone_flags(&self) -> CloneFlags {
        match self.0.orig_rax {
            _ if !self.is_native() => CloneFlags::Unknown,
            nr::CLONE => CloneFlags::Value(self.0.rdi),
            nr::FORK => CloneFlags::Value(0),
            VFORK => CloneFlags::Value(u64::from(CLONE_VM | CLONE_VFORK)),
            nr::CLONE3 => CloneFlags::InMemory(self.0.rdi),
            _ => CloneFlags::Unknown,
        }
    }

    /// These registers, about to run call `nr` by the trap instruction at `at`.
    ///
    /// `orig_rax` -1 tells the kernel that there is no call to restart on the way out.
    #[must_use]
    pub fn calling(&self, at: u64, nr: u64, args: [u64; 6]) -> Self {
        let [rdi, rsi, rdx, r10, r8, r9] = args;
        Self(libc::user_regs_struct {
            rip: at,
            rax: nr,
            orig_rax: u64::MAX,
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            ..self.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_found_by_its_number() {
        for call in CALLS {
            assert_eq!(syscall(u64::from(call.nr)), Some(call));
        }
        for untraced in [0, 1, 39, VFORK, 462 + 1, u64::MAX] {
            assert_eq!(syscall(untraced), None);
        }
    }

    #[test]
    fn numbers_agree_with_the_c_library() {
        let known = [
            (nr::MMAP, libc::SYS_mmap),
            (nr::BRK, libc::SYS_brk),
            (nr::MREMAP, libc::SYS_mremap),
            (nr::SHMAT, libc::SYS_shmat),
            (nr::SHMDT, libc::SYS_shmdt),
            (nr::CLONE, libc::SYS_clone),
            (nr::EXECVE, libc::SYS_execve),
            (nr::MUNLOCKALL, libc::SYS_munlockall),
            (nr::PRCTL, libc::SYS_prctl),
            (nr::ARCH_PRCTL, libc::SYS_arch_prctl),
            (nr::IO_SETUP, libc::SYS_io_setup),
            (nr::REMAP_FILE_PAGES, libc::SYS_remap_file_pages),
            (nr::MBIND, libc::SYS_mbind),
            (nr::EXECVEAT, libc::SYS_execveat),
            (nr::MLOCK2, libc::SYS_mlock2),
            (nr::PKEY_MPROTECT, libc::SYS_pkey_mprotect),
            (nr::CLONE3, libc::SYS_clone3),
            (nr::PROCESS_MADVISE, libc::SYS_process_madvise),
            (
                nr::SET_MEMPOLICY_HOME_NODE,
                libc::SYS_set_mempolicy_home_node,
            ),
            (nr::MSEAL, libc::SYS_mseal),
        ];
        for (ours, theirs) in known {
            assert_eq!(i64::try_from(ours), Ok(theirs));
        }
    }
}
